//! What a walk knows of time: its deadlines and the hedge's, which are set, which run, which is next;
//! and the wait it is in.
//!
//! A span begins to run when the call first has to wait; until then its frame keeps the span, from
//! then on the instant, both in nanoseconds and in place of a ticket. So an operation that is ready
//! at once costs no reading of the clock.
use crate::clock::{Instant, NEVER, nanos, nanos_of};
use crate::policy::{Call, Enter, Policy, Ticket};
use crate::run::plan::Stack;
use crate::run::tickets::Held;
use crate::run::walk::{Phase, Track, Woken};
use crate::{Event, Reason, Rejected};
use std::{ops::Range, time::Duration};

/// Instants are nanoseconds as in [`Call::nanos`]. Neighbours begin unlike: alike, the compiler fills
/// them as one piece of memory, and moves that as one with the room for the timer beside them.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    /// The end of the wait that the walk is in, or was in last.
    until: u64,
    /// When it began; 0: nobody is to hear how long it took.
    since: u64,
    hedge_after: u64,
    /// Frames that hold a deadline, and those whose deadline (or hedge delay) runs already.
    timed: u16,
    armed: u16,
}

#[inline(always)]
fn bit(i: usize) -> u16 {
    1 << i
}

impl Deadlines {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Deadlines {
            until: NEVER,
            since: 0,
            hedge_after: NEVER,
            timed: 0,
            armed: 0,
        }
    }

    /// The walk waits, for this instant or for a wake-up. `begins`: from now on, and when it is over an
    /// observer hears how long.
    pub(super) fn wait(&mut self, until: Option<Instant>, begins: bool, call: &Call<'_>) {
        self.until = until.map_or(NEVER, nanos_of);
        if begins {
            self.since = call.nanos();
        }
    }

    /// Whether the wait for an instant is over.
    pub(super) fn waited_out(&self, call: &Call<'_>) -> bool {
        self.until <= call.nanos()
    }

    /// How long the wait took, told once.
    pub(super) fn take_waited(&mut self, call: &Call<'_>) -> Option<Duration> {
        match std::mem::take(&mut self.since) {
            0 => None,
            since => Some(Duration::from_nanos(call.nanos().saturating_sub(since))),
        }
    }

    fn is_armed(&self, i: usize) -> bool {
        self.armed & bit(i) != 0
    }
}

impl<A: Held> Track<A> {
    #[inline(always)]
    pub(super) fn limit(&mut self, i: usize, span: Duration) {
        self.held.put(i, nanos(span));
        self.deadlines.timed |= bit(i);
        self.deadlines.armed &= !bit(i);
    }

    /// Frames `i` and further in will be entered anew: their old deadlines must not cut them.
    pub(super) fn forget_deadlines_from(&mut self, i: usize) {
        self.deadlines.timed &= bit(i) - 1;
        self.deadlines.armed &= bit(i) - 1;
    }

    fn is_due(&self, i: usize, call: &Call<'_>) -> bool {
        self.deadlines.timed & self.deadlines.armed & bit(i) != 0
            && self.held.get(i) <= call.nanos()
    }

    /// Whether the time of a frame around frame `i` is up: nothing more is sent in it.
    pub(super) fn is_any_due(&self, i: usize, call: &Call<'_>) -> bool {
        (0..i).any(|j| self.is_due(j, call))
    }

    /// Whether a deadline has passed without the task having been polled: then a wait that ends now
    /// ended too late. (At equal instants it ends before the deadline.)
    pub(super) fn is_overdue(&self, call: &Call<'_>) -> bool {
        (0..self.held.len()).any(|i| self.is_due(i, call) && self.held.get(i) < call.nanos())
    }

    /// The outermost deadline of this walk that is due, unless its policy grants more time.
    pub(super) fn expired<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        call: &Call<'_>,
    ) -> Woken {
        let running = self.phase == Phase::Running;
        self.expired_in(self.floor()..self.held.len(), stack, running, call)
    }

    /// As `expired`, for these frames. Those around a race are asked once, for all its lanes.
    pub(crate) fn expired_in<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        frames: Range<usize>,
        stack: &S,
        running: bool,
        call: &Call<'_>,
    ) -> Woken {
        for i in frames {
            if !self.is_due(i, call) {
                continue;
            }
            let reason = match stack.at(i).resume(Ticket::default(), call) {
                Enter::Within(more) if !more.is_zero() => {
                    self.limit(i, more);
                    continue;
                }
                Enter::Reject(reason) => reason,
                _ => Reason::Expired,
            };
            let policy = stack.at(i).name();
            call.emit(Event::TimedOut { policy, running });
            return Woken::Cut(i, Rejected::new(policy, reason));
        }
        Woken::Park
    }

    /// The earliest instant at which something is due, or `NEVER`. Starts the spans that wait for it.
    pub(crate) fn next_wake(&mut self, call: &Call<'_>) -> u64 {
        let mut first = self.deadline(self.held.len(), call);
        if let Phase::Delayed | Phase::Waiting = self.phase {
            first = first.min(self.deadlines.until);
        }
        if self.hedge != 0
            && self.deadlines.hedge_after != NEVER
            && self.held.len() >= usize::from(self.hedge)
        {
            let i = usize::from(self.hedge) - 1;
            if !self.deadlines.is_armed(i) {
                self.deadlines.hedge_after =
                    self.deadlines.hedge_after.saturating_add(call.nanos());
                self.deadlines.armed |= bit(i);
            }
            first = first.min(self.deadlines.hedge_after);
        }
        first
    }

    /// Whether `until` comes before every deadline around frame `i`.
    pub(super) fn fits(&mut self, i: usize, until: Instant, call: &Call<'_>) -> bool {
        nanos_of(until) < self.deadline(i, call)
    }

    /// The earliest deadline around frame `i`, or `NEVER`.
    fn deadline(&mut self, i: usize, call: &Call<'_>) -> u64 {
        let mut first = NEVER;
        let mut left = self.deadlines.timed & (bit(i) - 1);
        while left != 0 {
            let j = left.trailing_zeros() as usize;
            left &= left - 1;
            if !self.deadlines.is_armed(j) {
                self.held
                    .put(j, self.held.get(j).saturating_add(call.nanos()));
                self.deadlines.armed |= bit(j);
            }
            first = first.min(self.held.get(j));
        }
        first
    }

    // ---- hedging

    #[inline(always)]
    pub(super) fn expect_hedge(&mut self, i: usize, after: Option<Duration>) {
        if self.hedge != 0 && usize::from(self.hedge) != i + 1 {
            return; // one hedge a stack: a second one only lets through
        }
        self.hedge = i as u8 + 1;
        self.deadlines.hedge_after = after.map_or(NEVER, nanos);
        self.deadlines.armed &= !bit(i);
    }

    /// A deadline around it that is due comes first.
    pub(crate) fn hedge_due(&self, call: &Call<'_>) -> bool {
        self.hedge != 0
            && !self.is_any_due(usize::from(self.hedge), call)
            && self.held.len() >= usize::from(self.hedge)
            && self.deadlines.is_armed(usize::from(self.hedge) - 1)
            && self.deadlines.hedge_after <= call.nanos()
    }

    /// Asks the hedge whether one more attempt may start.
    pub(crate) fn hedge<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        call: &Call<'_>,
    ) -> bool {
        let Some(i) = usize::from(self.hedge).checked_sub(1) else {
            return false;
        };
        if !call.may_repeat() {
            self.deadlines.hedge_after = NEVER;
            return false;
        }
        if self.is_any_due(i, call) {
            return false;
        }
        match stack.at(i).resume(Ticket(self.held.get(i)), call) {
            Enter::Hedge { ticket, after } => {
                self.held.put(i, ticket.0);
                self.expect_hedge(i, after);
                true
            }
            other => {
                if let Enter::Proceed(ticket) = other {
                    self.held.put(i, ticket.0);
                }
                self.deadlines.hedge_after = NEVER;
                false
            }
        }
    }

    /// From now on this walk ends at the hedge.
    pub(crate) fn fence(&mut self) {
        self.fenced = true;
    }

    /// The race is over: this walk stands at the hedge and may go all the way out.
    pub(crate) fn unfence(&mut self) {
        self.fenced = false;
        self.hedge = 0;
    }

    /// A second walk, from the hedge inward. It knows the deadlines around the hedge, and owns no
    /// ticket there.
    pub(crate) fn fork(&mut self, call: &Call<'_>) -> Self {
        let floor = usize::from(self.hedge);
        self.deadline(floor, call);
        let mut fork = self.clone();
        fork.held.take(floor);
        fork.phase = Phase::Enter;
        fork.fenced = true;
        fork.polling = false;
        fork.forget_deadlines_from(floor);
        fork.deadlines.hedge_after = NEVER;
        fork
    }

    /// Takes over the deadlines around the hedge, which may have been extended. They have run in every lane
    /// since it began. The tickets between them come along, and are never read or settled here.
    pub(crate) fn adopt(&mut self, first: &mut Self, call: &Call<'_>) {
        let floor = self.floor();
        first.deadline(floor, call);
        for i in 0..floor {
            self.held.put(i, first.held.get(i));
        }
    }

    /// The frames below are not this walk's to settle.
    pub(crate) fn floor(&self) -> usize {
        if self.fenced {
            usize::from(self.hedge)
        } else {
            0
        }
    }

    /// The hedge's frame, if one is out.
    pub(crate) fn hedge_frame(&self) -> Option<usize> {
        usize::from(self.hedge).checked_sub(1)
    }
}
