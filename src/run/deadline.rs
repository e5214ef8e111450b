//! What a walk knows of time: its deadlines and the hedge's, which are set, which run, which is next;
//! and the wait it is in.
//!
//! A span begins to run when the call first has to wait; until then its frame keeps the span, from
//! then on the instant, both in nanoseconds and in place of a ticket. So an operation that is ready
//! at once costs no reading of the clock.
use crate::clock::{Instant, nanos, nanos_since};
use crate::policy::{Call, Enter, Policy, Ticket};
use crate::run::plan::Stack;
use crate::run::tickets::Held;
use crate::run::walk::{Phase, Track, Woken};
use crate::{Event, Reason, Rejected};
use std::{ops::Range, time::Duration};

#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    /// Instants are nanoseconds from its beginning. `None`: nothing has had to wait yet.
    waits: Option<Waits>,
    /// Frames that hold a deadline, and those whose deadline (or hedge delay) runs already.
    timed: u16,
    armed: u16,
    hedge_after: u64,
}

/// Since something first had to wait.
#[derive(Clone, Copy)]
struct Waits {
    epoch: Instant,
    /// The end and the beginning of the wait that the walk is in.
    until: u64,
    since: u64,
}

const NEVER: u64 = u64::MAX;

fn bit(i: usize) -> u16 {
    1 << i
}

impl Deadlines {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Deadlines {
            waits: None,
            timed: 0,
            armed: 0,
            hedge_after: 0,
        }
    }

    fn instant(&self, at: u64) -> Option<Instant> {
        if at == NEVER {
            return None;
        }
        self.waits?.epoch.checked_add(Duration::from_nanos(at))
    }

    fn waits(&mut self, call: &Call<'_>) -> &mut Waits {
        self.waits.get_or_insert_with(|| Waits {
            epoch: call.now(),
            until: NEVER,
            since: NEVER,
        })
    }

    /// The walk waits, for this instant or for a wake-up. `begins`: from now on, and when it is over an
    /// observer hears how long.
    pub(super) fn wait(&mut self, until: Option<Instant>, begins: bool, call: &Call<'_>) {
        let waits = self.waits(call);
        waits.until = until.map_or(NEVER, |at| nanos_since(waits.epoch, at));
        if begins {
            waits.since = nanos_since(waits.epoch, call.now());
        }
    }

    /// The end of the wait that the walk is in.
    pub(super) fn until(&self) -> Option<Instant> {
        self.instant(self.waits?.until)
    }

    /// When it began, told once.
    pub(super) fn take_since(&mut self) -> Option<Instant> {
        let since = std::mem::replace(&mut self.waits.as_mut()?.since, NEVER);
        self.instant(since)
    }

    fn is_armed(&self, i: usize) -> bool {
        self.armed & bit(i) != 0
    }

    fn instant_after(&mut self, span: u64, call: &Call<'_>) -> u64 {
        nanos_since(self.waits(call).epoch, call.now()).saturating_add(span)
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
            && self
                .deadlines
                .instant(self.held.get(i))
                .is_some_and(|at| at <= call.now())
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

    /// The earliest instant at which something is due. Starts the spans that wait for it.
    pub(crate) fn next_wake(&mut self, call: &Call<'_>) -> Option<Instant> {
        let mut first = self.deadline(self.held.len(), call);
        if let Phase::Delayed | Phase::Waiting = self.phase {
            first = earlier(first, self.deadlines.until());
        }
        if self.hedge != 0
            && self.deadlines.hedge_after != NEVER
            && self.held.len() >= usize::from(self.hedge)
        {
            let i = usize::from(self.hedge) - 1;
            if !self.deadlines.is_armed(i) {
                self.deadlines.hedge_after = self
                    .deadlines
                    .instant_after(self.deadlines.hedge_after, call);
                self.deadlines.armed |= bit(i);
            }
            first = earlier(first, self.deadlines.instant(self.deadlines.hedge_after));
        }
        first
    }

    /// Whether `until` comes before every deadline around frame `i`.
    pub(super) fn fits(&mut self, i: usize, until: Instant, call: &Call<'_>) -> bool {
        self.deadline(i, call)
            .is_none_or(|deadline| until < deadline)
    }

    /// The earliest deadline around frame `i`.
    fn deadline(&mut self, i: usize, call: &Call<'_>) -> Option<Instant> {
        let mut first = NEVER;
        let mut left = self.deadlines.timed & (bit(i) - 1);
        while left != 0 {
            let j = left.trailing_zeros() as usize;
            left &= left - 1;
            if !self.deadlines.is_armed(j) {
                let at = self.deadlines.instant_after(self.held.get(j), call);
                self.held.put(j, at);
                self.deadlines.armed |= bit(j);
            }
            first = first.min(self.held.get(j));
        }
        self.deadlines.instant(first)
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
            && !(0..usize::from(self.hedge)).any(|i| self.is_due(i, call))
            && self.held.len() >= usize::from(self.hedge)
            && self.deadlines.is_armed(usize::from(self.hedge) - 1)
            && self
                .deadlines
                .instant(self.deadlines.hedge_after)
                .is_some_and(|at| at <= call.now())
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

    /// Takes over the deadlines around the hedge, which may have been extended.
    pub(crate) fn adopt(&mut self, first: &mut Self, call: &Call<'_>) {
        let floor = self.floor();
        first.deadline(floor, call);
        let around = bit(floor) - 1;
        for i in (0..floor).filter(|i| first.deadlines.timed & bit(*i) != 0) {
            self.held.put(i, first.held.get(i));
        }
        self.deadlines.armed &= !around;
        self.deadlines.armed |= first.deadlines.armed & around;
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

pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
