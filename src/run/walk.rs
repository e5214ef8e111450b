//! The way in and the way out: where one attempt stands in the stack, and nothing that polls.
//!
//! ```text
//! Enter ──► Running ──► (out) Ended        inward stops at:  Waiting (resumed when woken or at `until`)
//!   ▲                     │ Again                            Delayed (goes on at `until`)
//!   └── Delayed ◄─────────┘                a refusal or a due deadline turns the walk outward
//! ```
use crate::clock::Instant;
use crate::event::GaveUp;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::run::deadline::Deadlines;
use crate::run::plan::Stack;
use crate::run::tickets::Held;
use crate::{Event, Reason, Rejected};
use std::{panic::AssertUnwindSafe, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Enter,
    Running,
    /// In both, the innermost ticket is not let in yet.
    Waiting,
    Delayed,
    /// After many attempts without a wait: others have a turn before the next. Not let in yet.
    Yielded,
    Ended,
}

/// How far the way in went.
pub(crate) enum Inward {
    Start,
    Park,
    Refused(Rejected),
}

/// What came of asking one policy.
pub enum Admitted {
    Yes,
    No(Rejected),
    Not(Enter),
}

pub(crate) enum Woken {
    Park,
    Go,
    Refused(Rejected),
    /// The deadline of this frame has passed.
    Cut(usize, Rejected),
}

/// Where a walk stands. A frame with a deadline keeps that in place of its ticket.
#[derive(Clone)]
pub struct Track<A> {
    pub(super) held: A,
    pub(crate) phase: Phase,
    /// One past the hedge while it may start more attempts: a failure stops there. Else 0.
    pub(super) hedge: u8,
    /// This walk is one of several and ends at the hedge, whatever the outcome.
    pub(super) fenced: bool,
    /// Raised only around user code of the operation, so that whoever drops us knows it panicked.
    pub(crate) polling: bool,
    pub(super) deadlines: Deadlines,
}

impl<A: Held> Track<A> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Track {
            held: A::none(),
            phase: Phase::Enter,
            hedge: 0,
            fenced: false,
            polling: false,
            deadlines: Deadlines::new(),
        }
    }

    /// Asks one policy.
    #[inline(always)]
    pub(crate) fn admit<P: Policy + ?Sized>(
        &mut self,
        i: usize,
        policy: &P,
        call: &Call<'_>,
    ) -> Admitted {
        match policy.enter(call) {
            Enter::Proceed(ticket) => self.held.put(i, ticket.0),
            Enter::Within(limit) => self.limit(i, limit),
            Enter::Hedge { ticket, after } => {
                self.held.put(i, ticket.0);
                self.expect_hedge(i, after);
            }
            Enter::Reject(reason) => {
                return Admitted::No(Rejected::new(policy.name(), reason));
            }
            other => return Admitted::Not(other),
        }
        Admitted::Yes
    }

    #[inline(always)]
    pub(crate) fn inward<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        call: &Call<'_>,
    ) -> Inward {
        let mut i = self.held.len();
        while i < stack.depth() {
            match stack.admit(i, self, call) {
                Admitted::Yes => {}
                Admitted::No(r) => return Inward::Refused(r),
                Admitted::Not(yet) => {
                    if let Some(stop) = self.detour(stack, i, yet, call) {
                        return stop;
                    }
                }
            }
            i += 1;
        }
        Inward::Start
    }

    /// From a running attempt: every frame is held.
    #[inline(always)]
    pub(crate) fn outward<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        if self.hedge != 0 && (self.fenced || !outcome.is_final()) {
            return self.outward_from(stack, outcome, call);
        }
        self.out(stack, stack.depth(), 0, outcome, call)
    }

    /// Outward from a running attempt that succeeded, past those policies that do not mind: only
    /// the frames of `minds` hear of it. The same as [`outward`](Track::outward) otherwise.
    #[inline(always)]
    pub(crate) fn succeed<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        minds: u16,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        if self.fenced {
            return self.outward_from(stack, outcome, call);
        }
        let mut left = minds;
        while left != 0 {
            let i = left.ilog2() as usize;
            left ^= 1 << i;
            let ticket = Ticket(self.held.take(i));
            if let Exit::Again { ticket, after } = stack.at(i).exit(ticket, outcome, call)
                && self.again(stack, i, ticket, after, call)
            {
                return true;
            }
        }
        self.held.take(0);
        self.phase = Phase::Ended;
        false
    }

    /// From anywhere, to the hedge or the outer end.
    #[cold]
    pub(crate) fn outward_from<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        let (from, hedge) = (self.held.len(), usize::from(self.hedge));
        let stop = if self.fenced || from >= hedge && !outcome.is_final() {
            hedge
        } else {
            0
        };
        self.out(stack, from, stop, outcome, call)
    }

    #[inline(always)]
    fn out<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        from: usize,
        to: usize,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) -> bool {
        for i in (to..from).rev() {
            // Taken before the call: if the policy panics, this ticket has had its exit.
            let ticket = Ticket(self.held.take(i));
            if let Exit::Again { ticket, after } = stack.at(i).exit(ticket, outcome, call)
                && self.again(stack, i, ticket, after, call)
            {
                return true;
            }
        }
        self.phase = Phase::Ended;
        false
    }

    /// Whether the walk came out at the outer end, rather than at a hedge.
    #[inline(always)]
    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.len() == 0
    }

    fn park(
        &mut self,
        phase: Phase,
        policy: crate::Name,
        until: Option<Instant>,
        call: &Call<'_>,
    ) -> Inward {
        let begins = self.phase != Phase::Waiting;
        self.deadlines.wait(until, begins, call);
        if begins {
            let at_most = until.map(|at| at.saturating_duration_since(call.now()));
            call.emit(Event::Waiting { policy, at_most });
        }
        self.phase = phase;
        Inward::Park
    }

    /// What a walk seldom hears: a wait, a delay, any answer of `resume`. `None`: go on inward.
    #[cold]
    pub(super) fn detour<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        i: usize,
        entered: Enter,
        call: &Call<'_>,
    ) -> Option<Inward> {
        match entered {
            Enter::Proceed(ticket) => self.held.put(i, ticket.0),
            Enter::Within(limit) => self.limit(i, limit),
            Enter::Hedge { ticket, after } => {
                self.held.put(i, ticket.0);
                self.expect_hedge(i, after);
            }
            Enter::Delay { ticket, until } => {
                let wait = until.saturating_duration_since(call.now());
                if wait.is_zero() {
                    self.held.put(i, ticket.0);
                    return None;
                }
                if !self.fits(i, until, call) {
                    // It takes the place of the ticket that waited, if there was one.
                    self.held.take(i);
                    stack.at(i).exit(ticket, &Outcome::Unused, call);
                    let reason = Reason::DeadlineTooClose { wait };
                    return Some(Inward::Refused(Rejected::new(stack.at(i).name(), reason)));
                }
                self.held.put(i, ticket.0);
                return Some(self.park(Phase::Delayed, stack.at(i).name(), Some(until), call));
            }
            Enter::Wait { ticket, until } => {
                self.held.put(i, ticket.0);
                return Some(self.park(Phase::Waiting, stack.at(i).name(), until, call));
            }
            Enter::Reject(reason) => {
                return Some(Inward::Refused(Rejected::new(stack.at(i).name(), reason)));
            }
        }
        None
    }

    /// A policy asked for another attempt. Denied, its new ticket goes back unused.
    #[cold]
    fn again<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        i: usize,
        ticket: Ticket,
        after: Duration,
        call: &Call<'_>,
    ) -> bool {
        let policy = stack.at(i);
        let until = if after.is_zero() {
            None
        } else {
            Some(call.now().checked_add(after))
        };
        let why = match until {
            _ if !call.may_repeat() => Some(GaveUp::NotRepeatable),
            None if self.is_any_due(i, call) => Some(GaveUp::Deadline),
            Some(None) => Some(GaveUp::Deadline),
            Some(Some(until)) if !self.fits(i, until, call) => Some(GaveUp::Deadline),
            _ => None,
        };
        if let Some(why) = why {
            policy.exit(ticket, &Outcome::Unused, call);
            call.emit(Event::GaveUp {
                policy: policy.name(),
                why,
            });
            return false;
        }
        self.held.put(i, ticket.0);
        self.forget_deadlines_from(i);
        if usize::from(self.hedge) > i {
            self.hedge = 0;
        }
        self.phase = Phase::Enter;
        if let Some(until) = until.flatten() {
            self.phase = Phase::Delayed;
            // Of a wait that was cut off before; a backoff is not told as one.
            self.deadlines.take_waited(call);
            self.deadlines.wait(Some(until), false, call);
        }
        call.emit(Event::RetryScheduled {
            policy: policy.name(),
            after,
        });
        true
    }

    /// Parked, or a timer has fired: what can go on, what is over?
    #[cold]
    pub(crate) fn woken<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        fired: bool,
        call: &Call<'_>,
    ) -> Woken {
        let i = self.held.len().saturating_sub(1);
        match self.phase {
            // At equal instants a wait ends before a deadline cuts it off.
            Phase::Delayed if fired && self.deadlines.waited_out(call) => {
                // Where the task was not polled for long, a deadline may be over too: then nothing
                // is sent any more.
                if let cut @ Woken::Cut(..) = self.expired(stack, call) {
                    return cut;
                }
                self.phase = Phase::Enter;
                self.tell_waited(stack, i, call);
                return Woken::Go;
            }
            // The timer is due, and comes in this poll.
            Phase::Waiting if !fired && self.is_overdue(call) => return Woken::Park,
            Phase::Waiting => {
                if self.is_overdue(call)
                    && let cut @ Woken::Cut(..) = self.expired(stack, call)
                {
                    return cut;
                }
                let mut old = Ticket(self.held.get(i));
                let mut answer = stack.at(i).resume(old, call);
                if let Enter::Wait {
                    ticket,
                    until: Some(until),
                } = answer
                    && until <= call.now()
                {
                    // Waiting for an instant that is past would spin.
                    (old, answer) = (ticket, Enter::Reject(Reason::Expired));
                }
                let goes_on = match answer {
                    Enter::Wait { .. } | Enter::Reject(_) => false,
                    Enter::Delay { until, .. } => until <= call.now() || self.fits(i, until, call),
                    _ => true,
                };
                if goes_on {
                    self.tell_waited(stack, i, call);
                }
                if !matches!(answer, Enter::Wait { .. }) {
                    self.phase = Phase::Enter;
                }
                if let Enter::Reject(_) = answer {
                    self.held.take(i);
                    stack.at(i).exit(old, &Outcome::Unused, call);
                }
                match self.detour(stack, i, answer, call) {
                    None => return Woken::Go,
                    Some(Inward::Refused(r)) => return Woken::Refused(r),
                    Some(_) => {}
                }
            }
            _ => {}
        }
        if fired {
            self.expired(stack, call)
        } else {
            Woken::Park
        }
    }

    fn tell_waited<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        i: usize,
        call: &Call<'_>,
    ) {
        if let Some(waited) = self.deadlines.take_waited(call)
            && call.is_observed()
        {
            call.emit(Event::Waited {
                policy: stack.at(i).name(),
                waited,
            });
        }
    }

    /// Gives back every ticket down to frame `to`, which stays. Swallows a policy's panic: this
    /// runs in destructors, and the tickets further out are owed their end.
    #[cold]
    pub(crate) fn settle<S: Stack<Tickets = A> + ?Sized>(
        &mut self,
        stack: &S,
        to: usize,
        outcome: &Outcome<'_>,
        call: &Call<'_>,
    ) {
        call.settle();
        let exit = |i: usize, ticket: Ticket, outcome: &Outcome<'_>| {
            let policy = stack.at(i);
            let caught = AssertUnwindSafe(|| {
                if let Exit::Again { ticket, .. } = policy.exit(ticket, outcome, call) {
                    policy.exit(ticket, &Outcome::Unused, call);
                }
            });
            let _ = std::panic::catch_unwind(caught);
        };
        let mut waiting = matches!(self.phase, Phase::Waiting | Phase::Delayed | Phase::Yielded);
        self.phase = Phase::Ended;
        for i in (to..self.held.len()).rev() {
            let ticket = Ticket(self.held.take(i));
            let unused = std::mem::take(&mut waiting);
            exit(i, ticket, if unused { &Outcome::Unused } else { outcome });
        }
    }
}
