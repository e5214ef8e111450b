//! The contract: what a policy is.
//!
//! A policy is a state machine that is asked before an attempt and told after it. It never waits,
//! polls or reads a clock: what it wants done (a deadline, a wait, another attempt) it *returns*,
//! and the driver does it. So it can be tested with plain function calls, and one driver serves the
//! combinators and the tower layers alike.
//!
//! A policy of your own takes about thirty lines. This one lets a call through only while the
//! service is not being drained, and counts what is inside:
//!
//! ```
//! use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
//! use seawall::{Name, Pipeline, Reason};
//! use std::sync::{Arc, atomic::{AtomicBool, AtomicU32, Ordering}};
//!
//! #[derive(Default)]
//! struct Drain {
//!     draining: AtomicBool,
//!     inside: AtomicU32,
//! }
//!
//! impl Policy for Drain {
//!     fn name(&self) -> Name {
//!         "drain".into()
//!     }
//!     fn enter(&self, _: &Call<'_>) -> Enter {
//!         if self.draining.load(Ordering::Relaxed) {
//!             return Enter::Reject(Reason::Other("the service is being drained"));
//!         }
//!         self.inside.fetch_add(1, Ordering::Relaxed);
//!         Enter::Proceed(Ticket(0))
//!     }
//!     fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
//!         self.inside.fetch_sub(1, Ordering::Relaxed);
//!         Exit::Pass
//!     }
//! }
//!
//! # tokio_test::block_on(async {
//! let drain = Arc::new(Drain::default());
//! let guard = Pipeline::builder("orders").with(drain.clone()).build()?;
//! guard.run(|| async { Ok::<_, std::io::Error>(()) }).await?;
//! drain.draining.store(true, Ordering::Relaxed);
//! let refused = guard.run(|| async { Ok::<_, std::io::Error>(()) }).await.unwrap_err();
//! assert_eq!(refused.to_string(), "`drain` refused: the service is being drained");
//! assert_eq!(drain.inside.load(Ordering::Relaxed), 0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod call;

pub use call::Call;
pub(crate) use call::{Listener, Told};

use crate::{Class, Name, Observer, Reason, Rejected};
use std::{sync::Arc, time::Duration};

use crate::clock::Instant;

/// A state machine that is asked before an attempt and told after it.
///
/// Every ticket a policy issues, in an [`Enter`] or in [`Exit::Again`], comes back through exactly
/// one [`exit`](Policy::exit), innermost policy first: also when the future is dropped, the
/// operation panics, or an outer deadline cuts it off. The operation's future is dropped before.
///
/// Methods are called in the task that runs the call and must not block. A panic of a policy goes
/// on to the caller; the other policies still get their exits.
pub trait Policy: Send + Sync + 'static {
    /// The label in errors, events and metrics.
    fn name(&self) -> Name;

    /// May an attempt go further in?
    fn enter(&self, call: &Call<'_>) -> Enter;

    /// What an [`Enter`] asked for has come.
    ///
    /// The waker was woken ([`Enter::Wait`]), its time has passed (`Wait`, [`Enter::Within`],
    /// [`Enter::Hedge`]), or a hedged attempt has failed. The answer's ticket takes the place of
    /// the old one; after `Reject`, the old one still gets its `exit`.
    ///
    /// A task can be polled for reasons of its own, so a call in [`Enter::Wait`] may be resumed
    /// before either has come: look, and answer `Wait` again, with the `until` it had. So keep that by
    /// the ticket, and where it has passed, give a reason; a `Wait` until then is refused as
    /// [`Reason::Expired`]. (The default refuses.)
    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        let _ = (ticket, call);
        Enter::Reject(Reason::Expired)
    }

    /// What `ticket` had let in has ended. Called exactly once for every ticket.
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit;

    /// What a pipeline has to know of it before the first call. Default: [`Role::Gate`].
    fn role(&self) -> Role {
        Role::Gate
    }

    /// Hears of calls made with this policy alone, outside a pipeline. Default: nobody.
    fn observer(&self) -> Option<&dyn Observer> {
        None
    }
}

impl<P: Policy + ?Sized> Policy for Arc<P> {
    fn name(&self) -> Name {
        (**self).name()
    }
    #[inline]
    fn enter(&self, call: &Call<'_>) -> Enter {
        (**self).enter(call)
    }
    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        (**self).resume(ticket, call)
    }
    #[inline]
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        (**self).exit(ticket, outcome, call)
    }
    fn role(&self) -> Role {
        (**self).role()
    }
    fn observer(&self) -> Option<&dyn Observer> {
        (**self).observer()
    }
}

/// A policy's note to itself, given back at the end.
///
/// A generation, an attempt number, a place in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// A policy's answer to "may an attempt go further in?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enter {
    /// It may.
    Proceed(Ticket),
    /// It may; everything further in has to end within this time, counted from the first time the
    /// call has to wait. Then [`Policy::resume`] says why it ends (`Reject`) or grants more
    /// (`Within`). The driver keeps the deadline in the ticket's place: the ticket that `exit` gets
    /// means nothing. [`Duration::MAX`] is no limit.
    Within(Duration),
    /// It may, but not before this instant. Refused at once if a deadline comes first.
    Delay {
        /// Comes back at the end.
        ticket: Ticket,
        /// When the call goes on.
        until: Instant,
    },
    /// It has to stay in line. [`Policy::resume`] is called when the [waker](Call::waker) is woken,
    /// and at `until` at the latest.
    Wait {
        /// Comes back when resumed, and at the end.
        ticket: Ticket,
        /// The end of the wait.
        until: Option<Instant>,
    },
    /// It may. [`Policy::resume`] is called after `after`, and when an attempt has failed, and may
    /// answer `Hedge` again, which starts one more attempt beside the others, or `Proceed`: no
    /// more. For policies of [`Role::Hedge`].
    Hedge {
        /// Comes back when resumed, and at the end.
        ticket: Ticket,
        /// When to ask again.
        after: Option<Duration>,
    },
    /// It may not.
    Reject(Reason),
}

/// A policy's answer to "this has ended".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Let it go on outward.
    Pass,
    /// Come in again, from this policy inward, after this time. The new ticket gets an `exit` of
    /// its own; where no further attempt is possible ([`Call::may_repeat`]), it gets it at once,
    /// with [`Outcome::Unused`].
    Again {
        /// The next attempt's ticket.
        ticket: Ticket,
        /// The wait before it.
        after: Duration,
    },
}

/// How what a ticket had let in has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// The operation answered.
    Answered(Class),
    /// A deadline, inside or outside, cut a running attempt.
    TimedOut,
    /// A policy further in refused. The dependency was not asked, or is not to blame.
    Rejected(&'a Rejected),
    /// Dropped while under way: by the caller, as the loser of a race, or by a deadline that cut a
    /// wait further in.
    Cancelled,
    /// Never let in: the wait was refused, given up or dropped. Give back whatever the ticket
    /// holds.
    Unused,
    /// The operation panicked.
    Panicked,
}

impl Outcome<'_> {
    /// Nothing another attempt could improve on.
    #[inline]
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Outcome::Answered(Class::Transient | Class::Throttled(_) | Class::Pushback(Some(_)))
                | Outcome::TimedOut
                | Outcome::Rejected(_)
        )
    }
}

/// What a pipeline has to know of a policy before the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Lets through or refuses.
    Gate,
    /// May answer [`Exit::Again`]: requests have to be kept.
    Repeat,
    /// Answers [`Enter::Hedge`]: requests have to be kept, and a pipeline holds one at most.
    Hedge,
}
