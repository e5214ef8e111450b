//! What happened, for whoever listens. Nothing is built when nobody does.
//!
//! One [`Event`] enum goes to one [`Observer`]: a pipeline's
//! ([`observer`](crate::pipeline::Builder::observer)) hears of its own calls; a handle's own
//! (`.observer(..)` on each configuration) hears of calls made without a pipeline and of changes
//! made by hand; a saga engine's (`saga::Builder::observer`) hears of its sagas. An observer runs
//! after every lock is released and may panic or be slow without hurting the policy; being slow, it
//! delays only the call, or the saga, that told it.
//!
//! Events of one call arrive in the order of its life. State changes are told after unlocking, so
//! two of them may arrive swapped: their `sequence` counts the changes of that policy and is
//! certain.
//!
//! ```
//! use seawall::{Event, Name, Pipeline, Retry, retry::Backoff};
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
//!
//! # tokio_test::block_on(async {
//! let retries = Arc::new(AtomicU32::new(0));
//! let count = retries.clone();
//! let guard = Pipeline::builder("catalog")
//!     .with(Retry::attempts(3).backoff(Backoff::none()))
//!     .observer(move |_source: Name, event: &Event<'_>| {
//!         if let Event::RetryScheduled { .. } = event {
//!             count.fetch_add(1, Ordering::Relaxed);
//!         }
//!     })
//!     .build()?;
//! let answer = guard.run(|| async { Err::<(), _>("down") }).await;
//! assert!(answer.is_err());
//! assert_eq!(retries.load(Ordering::Relaxed), 2);
//! # Ok::<_, seawall::BuildError>(())
//! # }).unwrap();
//! ```
#[cfg(feature = "saga")]
mod saga;
#[cfg(feature = "saga")]
pub use saga::{SagaEvent, SagaEventKind};

use crate::{Class, Name, Rejected, circuit_breaker};
use std::{panic::AssertUnwindSafe, time::Duration};

/// What happened. Borrowed and cheap; one enum for the whole crate.
///
/// In the order of a call's life.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A policy makes the call wait: in a bulkhead's line, or for a rate limit's turn.
    #[non_exhaustive]
    Waiting {
        /// The policy.
        policy: Name,
        /// When the wait ends at the latest, from now. `None`: when it is woken.
        at_most: Option<Duration>,
    },
    /// The wait is over and the call goes on inward.
    #[non_exhaustive]
    Waited {
        /// The policy.
        policy: Name,
        /// How long it was.
        waited: Duration,
    },
    /// One attempt ended with an answer of the operation.
    #[non_exhaustive]
    AttemptEnded {
        /// How many attempts of this call have reached the operation, this one included: 1 for the
        /// first. A service that failed to become ready was not reached.
        attempt: u32,
        /// What the dialect made of the answer.
        class: Class,
    },
    /// A deadline has passed, and the attempt or the wait under way was dropped.
    #[non_exhaustive]
    TimedOut {
        /// The timeout's name.
        policy: Name,
        /// Whether an attempt was running. Otherwise the call was waiting and the dependency had
        /// nothing to do with it.
        running: bool,
    },
    /// Another attempt will be made.
    #[non_exhaustive]
    RetryScheduled {
        /// The policy that asked for it.
        policy: Name,
        /// The wait before it.
        after: Duration,
    },
    /// Another attempt would have been in order and was not made; the last answer stands.
    #[non_exhaustive]
    GaveUp {
        /// The policy.
        policy: Name,
        /// Why not.
        why: GaveUp,
    },
    /// One more attempt was started beside those under way.
    #[non_exhaustive]
    Hedged {
        /// The hedge.
        policy: Name,
        /// How many attempts are or have been under way, this one included.
        attempts: u32,
    },
    /// A policy refused; also told of a refusal that another policy then retries.
    Rejected(&'a Rejected),
    /// A circuit breaker changed its state.
    #[non_exhaustive]
    StateChanged {
        /// The breaker.
        policy: Name,
        /// What it was.
        from: circuit_breaker::State,
        /// What it is.
        to: circuit_breaker::State,
        /// Why.
        cause: circuit_breaker::Cause,
        /// The number of this change among the breaker's, from 1.
        sequence: u64,
    },
    /// A failed call was answered with the last good answer.
    #[non_exhaustive]
    ServedStale {
        /// The [`LastKnownGood`](crate::value::LastKnownGood) it came from.
        policy: Name,
        /// How old it is.
        age: Duration,
    },
    /// A saga scope undid a step, failed to (it will try again), or had to leave it.
    #[non_exhaustive]
    Undo {
        /// The scope's name.
        scope: Name,
        /// The step's name.
        step: Name,
        /// What came of it.
        outcome: UndoOutcome<'a>,
    },
    /// Something happened to a durable saga. Told to the observer of its
    /// [engine](crate::saga::Builder::observer).
    #[cfg(feature = "saga")]
    #[cfg_attr(docsrs, doc(cfg(feature = "saga")))]
    Saga(&'a SagaEvent<'a>),
    /// The store of a saga engine has closed: nothing is written any more, and the sagas go on when
    /// it is opened anew.
    #[cfg(feature = "saga")]
    #[cfg_attr(docsrs, doc(cfg(feature = "saga")))]
    #[non_exhaustive]
    StoreClosed {
        /// Why.
        cause: &'a crate::saga::StoreError,
    },
}

/// Why another attempt was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// All attempts are used.
    Attempts,
    /// The shared budget is empty.
    Budget,
    /// The wait would not end before an enclosing deadline or the policy's own limit of elapsed
    /// time.
    Deadline,
    /// The request cannot, or must not, be sent again.
    NotRepeatable,
}

/// What came of undoing one step of a saga scope.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum UndoOutcome<'a> {
    /// It is undone.
    #[non_exhaustive]
    Undone {
        /// Which try it was; the first is 1.
        attempts: u32,
    },
    /// It failed and will be tried again.
    #[non_exhaustive]
    Retrying {
        /// Which try failed; the first is 1.
        attempt: u32,
        /// What the compensation said.
        error: &'a str,
    },
    /// It stays applied, or may: nobody tries any more.
    #[non_exhaustive]
    Left {
        /// How often it was tried. 0: not at all.
        attempts: u32,
        /// Why.
        error: &'a str,
    },
}

/// Hears events.
///
/// Implemented for closures of `(source, event)`, where `source` is the name of the pipeline, or of
/// the policy for a call made without one.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    ///
    /// Called in the task that made the call, outside every lock; a panic is contained.
    fn on_event(&self, source: Name, event: &Event<'_>);
}

impl<F: Fn(Name, &Event<'_>) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, source: Name, event: &Event<'_>) {
        self(source, event)
    }
}

/// The only way events leave: a listener that panics must not hurt the call, least of all from a
/// destructor.
#[cold]
pub(crate) fn notify(observer: &dyn Observer, source: Name, event: &Event<'_>) {
    contain((), || observer.on_event(source, event));
}

/// Runs a user's callback; a panic in it gives `or` instead. The one place where panics of
/// callbacks end.
#[inline]
pub(crate) fn contain<T>(or: T, callback: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(AssertUnwindSafe(callback)).unwrap_or(or)
}
