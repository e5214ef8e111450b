use super::config::BulkheadConfig;
use super::gate::{Gate, Joined};
use super::state::Standing;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{Name, Observer, Reason};
use std::{fmt, sync::Arc, time::Duration};

/// So many calls at a time, and a bounded queue for those beyond. Clones share the permits.
///
/// See the [module](crate::bulkhead).
#[derive(Clone)]
pub struct Bulkhead(Arc<Core>);

pub(super) struct Core {
    pub(super) name: Name,
    pub(super) max_wait: Option<Duration>,
    pub(super) gate: Gate,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl Bulkhead {
    /// Lets this many calls run at a time.
    ///
    /// Zero refuses all, until [`set_limit`](Bulkhead::set_limit) says otherwise.
    #[allow(clippy::new_ret_no_self)]
    pub const fn new(limit: u32) -> BulkheadConfig {
        BulkheadConfig::new(limit)
    }

    pub(super) fn of(core: Core) -> Self {
        Bulkhead(Arc::new(core))
    }

    /// The name it was built with.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// How many calls may run at a time.
    pub fn limit(&self) -> u32 {
        self.0.gate.limit()
    }

    /// How many permits are out.
    ///
    /// That is: calls that run, and those that were just handed a permit in line and have not
    /// looked yet. Above [`limit`](Bulkhead::limit) while a lowered limit lets calls drain. Takes
    /// the line's lock, for a few instructions.
    pub fn in_flight(&self) -> u32 {
        self.0.gate.in_flight()
    }

    /// How many calls wait in line.
    pub fn queued(&self) -> u32 {
        self.0.gate.queued()
    }

    /// Changes the limit, from this moment on, for all clones.
    ///
    /// Raised, the new permits go to those in line first. Lowered, running calls go on to their
    /// end, and none is let in until fewer than the new limit run. Zero refuses all that come, and
    /// all that wait in line: they are woken and get
    /// [`Reason::BulkheadFull`](crate::Reason::BulkheadFull).
    ///
    /// ```
    /// use seawall::Bulkhead;
    ///
    /// let reports = Bulkhead::new(4).build()?;
    /// reports.set_limit(16);
    /// assert_eq!((reports.limit(), reports.in_flight()), (16, 0));
    /// # Ok::<_, seawall::BuildError>(())
    /// ```
    pub fn set_limit(&self, limit: u32) {
        self.0.gate.set_limit(limit);
    }

    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

/// Holds a permit. Every other ticket is a place in line, plus one.
const PERMIT: Ticket = Ticket(0);

fn ticket(place: u32) -> Ticket {
    Ticket(u64::from(place) + 1)
}

/// `None`: it holds a permit.
fn place(Ticket(ticket): Ticket) -> Option<u32> {
    u32::try_from(ticket.checked_sub(1)?).ok()
}

impl Policy for Bulkhead {
    fn name(&self) -> Name {
        self.0.name
    }

    #[inline]
    fn enter(&self, call: &Call<'_>) -> Enter {
        let core = &*self.0;
        let Err(instead) = core.gate.try_enter() else {
            return Enter::Proceed(PERMIT);
        };
        if core.gate.is_full(instead) {
            return Enter::Reject(Reason::BulkheadFull);
        }
        // In line, and only the gate behind a call: an `Enter` that a function returns through memory
        // would take every refusal through memory (docs/decisions.md, "Pitfalls").
        let until = core.max_wait.and_then(|wait| call.now().checked_add(wait));
        match core.gate.join(until, call.waker()) {
            Joined::Permit => Enter::Proceed(PERMIT),
            Joined::Full => Enter::Reject(Reason::BulkheadFull),
            Joined::Place(place) => Enter::Wait {
                ticket: ticket(place),
                until,
            },
        }
    }

    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        let Some(place) = place(ticket) else {
            return Enter::Proceed(PERMIT);
        };
        // Looked at before the clock: a permit that is there at the last moment wins.
        match self.0.gate.look(place, call.waker()) {
            Standing::Granted => Enter::Proceed(PERMIT),
            Standing::Waiting(until) => match (until, self.0.max_wait) {
                (Some(at), Some(after)) if at <= call.now() => {
                    Enter::Reject(Reason::QueueTimeout { after })
                }
                _ => Enter::Wait { ticket, until },
            },
            Standing::Refused => Enter::Reject(Reason::BulkheadFull),
        }
    }

    #[inline]
    fn exit(&self, ticket: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        match place(ticket) {
            None => self.0.gate.release(),
            Some(place) => self.0.gate.leave(place),
        }
        Exit::Pass
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
    }
}

crate::pipeline::single!(Bulkhead, gate);
