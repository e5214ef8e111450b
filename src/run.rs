//! The driver: the one place that polls, sleeps, races and cancels on behalf of policies.
//!
//! ```text
//! lane:  loop: enter, from the outermost policy not yet held:
//!                  Proceed, Within   hold the ticket, go on inward
//!                  Delay, Wait       hold it, park           Reject   walk outward with Rejected
//!              start the operation, poll it
//!                  Ready    class = dialect(result); drop the attempt; walk outward with Answered
//!                  Pending  return
//!        outward: pop a ticket, exit(ticket, outcome) -> Pass | Again: hold its new ticket, delay, enter
//!                 a failure stops at the hedge, if there is one; the result is ready at the outer end
//! poll:  lane.poll
//!        Pending -> earliest of {deadlines, delays, ends of waits, hedge} over all lanes -> the timer
//!                   if it fires: delay over -> go on;  wait -> resume;  hedge -> resume: one more lane
//!                                deadline -> resume: extend, or drop the attempt, settle further in
//! race:  a deadline around the hedge is asked once: it moves for every lane, or cuts each as it stands
//!        poll each lane; final answer -> drop and settle the others, latest first, go outward
//!        failure -> ask the hedge for one more lane at once; none left -> the kept answer goes outward
//! drop:  each lane, latest first: drop the attempt, then exit: Unused for a ticket that waits,
//!        Cancelled or Panicked for the rest
//! ```
//!
//! Parts: `plan` (what is driven), `walk` and `deadline` (where an attempt stands; pure), `lane`
//! (one attempt after another), `race` (several at once), `ending` (losers, drops), `timer`.
pub(crate) mod deadline;
mod ending;
pub(crate) mod lane;
pub(crate) mod plan;
pub(crate) mod race;
pub(crate) mod tickets;
pub(crate) mod timer;
pub(crate) mod walk;

use crate::clock::instant_of;
use crate::policy::Call;
use crate::{Classify, Error, Operation, Target};
use ending::{abandon, no_timer};
use lane::{Desk, Lane, REPEATS_PER_POLL, Step, TicketsOf, poll_lane, straight};
use pin_project::{pin_project, pinned_drop};
use plan::Plan;
use race::{Cold, Contest, at_hedge, launch_if_due, next_wake, poll_race};
use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use timer::{Timer, Unavailable, poll_timer};
use walk::{Phase, Track};

/// A guarded call, made by `run` on a policy or pipeline, or by a tower [`Guard`](crate::Guard).
///
/// Nothing happens before it is polled.
///
/// # Cancel safety
/// Dropping it at any point drops the operation, then settles every policy, innermost first:
/// permits, places in line and probes are given back, and nobody counts a failure.
#[pin_project(PinnedDrop)]
#[must_use = "futures do nothing unless awaited"]
pub struct Run<H, O, M>
where
    H: Plan,
    O: Operation,
{
    plan: H,
    op: O,
    started: u32,
    race: Contest<H, O>,
    #[pin]
    first: Lane<TicketsOf<H>, O::Future>,
    #[pin]
    timer: Timer,
    target: PhantomData<fn() -> M>,
}

#[pinned_drop]
impl<H: Plan, O: Operation, M> PinnedDrop for Run<H, O, M> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if !this.first.track.holds_nothing() || this.race.0.is_some() {
            abandon(this.plan, this.race, this.first);
        }
    }
}

impl<H: Plan, O: Operation, M> Run<H, O, M> {
    #[inline]
    pub(crate) fn new(plan: H, op: O) -> Self {
        let first = Lane::new(Track::new());
        Run {
            plan,
            op,
            started: 0,
            race: Cold(None),
            first,
            timer: Timer::none(),
            target: PhantomData,
        }
    }
}

impl<H, O, M> Future for Run<H, O, M>
where
    H: Plan,
    O: Operation,
    H::Dialect: Classify<O::Ok, O::Err>,
    M: Target<O::Err>,
{
    type Output = Result<O::Ok, M::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let plan: &H = this.plan;
        let call = Call::new(cx.waker(), plan);
        let step = match this.race.0 {
            None => straight(this.first.as_mut(), cx, plan, this.op, this.started, &call),
            Some(_) => Step::Asleep,
        };
        let out = this.first.track.holds_nothing();
        // Each step is taken apart and put together again where it is needed: handed on whole, it would
        // be written to memory in parts and read at once, for which the processor waits.
        let step = match step {
            Step::Answered(result, _) if out => {
                return Poll::Ready(result.map_err(|e| M::convert(Error::Inner(e))));
            }
            Step::Refused(r) if out => {
                return Poll::Ready(Err(M::convert(Error::Rejected(r))));
            }
            Step::Answered(result, class) => Step::Answered(result, class),
            Step::Refused(r) => Step::Refused(r),
            Step::Pending => Step::Pending,
            Step::Asleep => Step::Asleep,
        };
        let mut desk = Desk {
            plan,
            op: this.op,
            started: this.started,
            call: &call,
        };
        poll_slow(this.first, this.race, this.timer, cx, &mut desk, step).map_err(M::convert)
    }
}

/// Everything but the straight way: refusals, waits, timers, races.
#[inline(never)]
fn poll_slow<H, O>(
    mut first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    race: &mut Contest<H, O>,
    mut timer: Pin<&mut Timer>,
    cx: &mut Context<'_>,
    desk: &mut Desk<'_, H, O>,
    step: Step<O::Ok, O::Err>,
) -> Poll<Result<O::Ok, Error<O::Err>>>
where
    H: Plan,
    O: Operation,
    H::Dialect: Classify<O::Ok, O::Err>,
{
    let mut polled = match &race.0 {
        None => poll_lane(first.as_mut(), cx, desk, false, Some(step)),
        Some(_) => poll_race(first.as_mut(), race, cx, desk, false),
    };
    let (mut races, mut firings) = (0, 0);
    loop {
        let mut fired = false;
        match polled {
            Poll::Ready((result, _)) if first.track.holds_nothing() && race.0.is_none() => {
                return Poll::Ready(result);
            }
            Poll::Ready(end) => {
                if let Some(result) = at_hedge(first.as_mut(), race, end, desk) {
                    return Poll::Ready(result);
                }
                races += 1;
                if races >= REPEATS_PER_POLL {
                    // Not started again in this poll; but a deadline that is due is looked at.
                    yield_turn(first.as_mut(), cx);
                    polled = Poll::Pending;
                    continue;
                }
            }
            Poll::Pending => {
                let due = next_wake(first.as_mut(), race, desk.call);
                let Some(at) = instant_of(due) else {
                    return Poll::Pending;
                };
                if let Err(Unavailable) = ready!(poll_timer(timer.as_mut(), at, cx)) {
                    return Poll::Ready(Err(Error::Rejected(no_timer(first, race, desk))));
                }
                firings += 1;
                if firings > REPEATS_PER_POLL {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                desk.call.advance(due);
                fired = true;
                launch_if_due(first.as_mut(), race, desk);
            }
        }
        polled = match &race.0 {
            None => poll_lane(first.as_mut(), cx, desk, fired, None),
            Some(_) => poll_race(first.as_mut(), race, cx, desk, fired),
        };
    }
}

/// What would start at once starts at the next poll, which comes soon.
#[cold]
fn yield_turn<A, F>(first: Pin<&mut Lane<A, F>>, cx: &mut Context<'_>) {
    let track = first.project().track;
    if track.phase == Phase::Enter {
        track.phase = Phase::Yielded;
    }
    cx.waker().wake_by_ref();
}
