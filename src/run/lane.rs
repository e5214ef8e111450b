//! A lane: one walk through the stack and the attempt at its end. A call has one, until a hedge
//! starts more.
use crate::policy::{Call, Outcome};
use crate::run::plan::{Plan, Stack};
use crate::run::tickets;
use crate::run::walk::{Inward, Phase, Track, Woken};
use crate::{Class, Classify, Error, Event, Operation, Reason, Rejected, Replay};
use pin_project::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pub(crate) type TicketsOf<H> = <<H as Plan>::Stack as Stack>::Tickets;

/// A result that has come out of a lane, and how.
pub(crate) type End<O> = (
    Result<<O as Operation>::Ok, Error<<O as Operation>::Err>>,
    How,
);

/// How a walk ended, for whoever has to decide or to tell others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Answered(Class),
    TimedOut,
    Rejected,
    /// A deadline around the hedge has passed while several lanes were under way: this frame's.
    Outside {
        frame: usize,
        running: bool,
    },
}

impl How {
    pub(crate) fn outcome<T, E>(self, result: &Result<T, Error<E>>) -> Outcome<'_> {
        match (self, result) {
            (How::Answered(class), _) => Outcome::Answered(class),
            (How::Rejected | How::Outside { running: false, .. }, Err(Error::Rejected(r))) => {
                Outcome::Rejected(r)
            }
            _ => Outcome::TimedOut,
        }
    }
}

#[pin_project]
pub(crate) struct Lane<A, F> {
    pub(crate) track: Track<A>,
    #[pin]
    pub(crate) attempt: Option<F>,
}

impl<A: tickets::Held, F> Lane<A, F> {
    #[inline(always)]
    pub(crate) fn new(track: Track<A>) -> Self {
        Lane {
            track,
            attempt: None,
        }
    }

    pub(crate) fn next_wake(self: Pin<&mut Self>, call: &Call<'_>) -> u64 {
        self.project().track.next_wake(call)
    }
}

/// What the lanes of a call share for the length of one poll.
pub(crate) struct Desk<'a, H, O> {
    pub(crate) plan: &'a H,
    pub(crate) op: &'a mut O,
    pub(crate) started: &'a mut u32,
    pub(crate) call: &'a Call<'a>,
}

/// How far a lane got by itself. `Answered` and `Refused` have walked out already.
pub(crate) enum Step<T, E> {
    Answered(Result<T, E>, Class),
    Refused(Rejected),
    /// The operation, or the policy it stands before, will wake us.
    Pending,
    /// It waits in a way that `Track::woken` has to look into, or wants to start again.
    Asleep,
}

/// Attempts without a wait between them that one poll makes before it lets others have a turn.
pub(crate) const REPEATS_PER_POLL: u32 = 32;

/// The way of a call to which nothing happens: in, poll, out. The result moves nowhere else.
#[inline(always)]
pub(crate) fn straight<H, O>(
    lane: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    cx: &mut Context<'_>,
    plan: &H,
    op: &mut O,
    started: &mut u32,
    call: &Call<'_>,
) -> Step<O::Ok, O::Err>
where
    H: Plan,
    O: Operation,
    H::Dialect: Classify<O::Ok, O::Err>,
{
    let (stack, mut lane) = (plan.stack(), lane.project());
    let track = lane.track;
    match track.phase {
        Phase::Enter => match track.inward(stack, call) {
            Inward::Start => {
                track.polling = true;
                lane.attempt.set(op.start(plan.repeats()));
            }
            Inward::Park => return Step::Pending,
            Inward::Refused(r) => {
                if !track.holds_nothing() || plan.is_observed() {
                    call.set_may_repeat(unanswered_may_repeat(op, false));
                    let told = r.with_started(*started);
                    if turn_outward(stack, track, &told, How::Rejected, call) {
                        return Step::Asleep;
                    }
                }
                track.phase = Phase::Ended;
                return Step::Refused(r.with_started(*started));
            }
        },
        Phase::Running => track.polling = true,
        _ => return Step::Asleep,
    }
    let Some(mut attempt) = lane.attempt.as_mut().as_pin_mut() else {
        // The request was there when this lane was let in; another lane has sent it since.
        track.polling = false;
        let why = Reason::Other("no copy of the request is left to send");
        call.set_may_repeat(false);
        let r = Rejected::new(plan.name(), why).with_started(*started);
        return match turn_outward(stack, track, &r, How::Rejected, call) {
            true => Step::Asleep,
            false => Step::Refused(r),
        };
    };
    let polled = attempt.as_mut().poll(cx);
    track.polling = false;
    let Poll::Ready(result) = polled else {
        track.phase = Phase::Running;
        return Step::Pending;
    };
    *started = started.saturating_add(u32::from(O::sent(&attempt)));
    lane.attempt.set(None);
    let class = plan.dialect().classify_contained(&result, op.replay());
    if plan.is_observed() {
        call.emit(Event::AttemptEnded {
            attempt: *started,
            class,
        });
    }
    // The dialect has heard what the request allows: its word on an answer is the last.
    call.set_may_repeat(op.can_repeat());
    if stack.outward(track, &Outcome::Answered(class), call) {
        return Step::Asleep;
    }
    Step::Answered(result, class)
}

/// Whether an attempt that ended without an answer may be followed by another.
pub(crate) fn unanswered_may_repeat<O: Operation>(op: &O, sent: bool) -> bool {
    op.can_repeat()
        && match op.replay() {
            Replay::Always => true,
            Replay::IfUnsent => !sent,
            // As for `IfUnsent`: what has not been sent once may be.
            Replay::Never => !sent,
        }
}

/// `true`: a policy wants another attempt.
#[cold]
fn turn_outward<S: Stack>(
    stack: &S,
    track: &mut Track<S::Tickets>,
    r: &Rejected,
    how: How,
    call: &Call<'_>,
) -> bool {
    call.emit(Event::Rejected(r));
    let outcome = if let How::TimedOut = how {
        Outcome::TimedOut
    } else {
        Outcome::Rejected(r)
    };
    track.outward_from(stack, &outcome, call)
}

/// Ready: the lane has walked out, or to the hedge. `step`: what has been done in this poll
/// already.
pub(crate) fn poll_lane<H, O>(
    mut lane: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    cx: &mut Context<'_>,
    desk: &mut Desk<'_, H, O>,
    fired: bool,
    step: Option<Step<O::Ok, O::Err>>,
) -> Poll<End<O>>
where
    H: Plan,
    O: Operation,
    H::Dialect: Classify<O::Ok, O::Err>,
{
    let (stack, call) = (desk.plan.stack(), desk.call);
    // After a timer the operation is not polled again: it has had its say before the deadline.
    let asleep = fired && lane.track.phase != Phase::Enter;
    let mut step = step.or(if asleep { Some(Step::Asleep) } else { None });
    let mut repeats = 0;
    loop {
        let next = match step.take() {
            Some(step) => step,
            None => {
                let (plan, op) = (desk.plan, &mut *desk.op);
                straight(lane.as_mut(), cx, plan, op, desk.started, call)
            }
        };
        let track = lane.as_mut().project().track;
        let (mut r, how) = match (next, track.phase) {
            (Step::Answered(result, class), _) => {
                return Poll::Ready((result.map_err(Error::Inner), How::Answered(class)));
            }
            (Step::Refused(r), _) => {
                return Poll::Ready((Err(Error::Rejected(r)), How::Rejected));
            }
            (Step::Pending, _) | (Step::Asleep, Phase::Ended) => return Poll::Pending,
            (Step::Asleep, Phase::Enter) if repeats < REPEATS_PER_POLL => {
                repeats += 1;
                continue;
            }
            (Step::Asleep, Phase::Enter) => {
                track.phase = Phase::Yielded;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            (Step::Asleep, Phase::Yielded) if !fired => {
                track.phase = Phase::Enter;
                continue;
            }
            (Step::Asleep, _) => match track.woken(stack, fired, call) {
                Woken::Park => return Poll::Pending,
                Woken::Go => continue,
                Woken::Refused(r) => {
                    call.set_may_repeat(unanswered_may_repeat(desk.op, false));
                    (r, How::Rejected)
                }
                Woken::Cut(frame, r) => {
                    let lane = lane.as_mut().project();
                    (r, cut::<H, O>(lane.track, lane.attempt, frame, desk))
                }
            },
        };
        let track = lane.as_mut().project().track;
        r.started = *desk.started;
        if !turn_outward(stack, track, &r, how, call) {
            return Poll::Ready((Err(Error::Rejected(r)), how));
        }
    }
}

/// The deadline of `frame` has passed: the attempt is dropped first, then everything further in is
/// settled.
#[cold]
fn cut<H: Plan, O: Operation>(
    track: &mut Track<TicketsOf<H>>,
    attempt: Pin<&mut Option<O::Future>>,
    frame: usize,
    desk: &mut Desk<'_, H, O>,
) -> How {
    let running = track.phase == Phase::Running;
    let sent = retire::<O>(attempt, desk.started);
    let outcome = if running {
        Outcome::TimedOut
    } else {
        Outcome::Cancelled
    };
    track.settle(desk.plan.stack(), frame + 1, &outcome, desk.call);
    desk.call
        .set_may_repeat(unanswered_may_repeat(desk.op, sent));
    if running {
        How::TimedOut
    } else {
        How::Rejected
    }
}

/// Drops the attempt. Tells, and counts, whether it had reached the dependency.
pub(crate) fn retire<O: Operation>(
    mut attempt: Pin<&mut Option<O::Future>>,
    started: &mut u32,
) -> bool {
    let sent = attempt.as_ref().as_pin_ref().is_some_and(|a| O::sent(&a));
    *started = started.saturating_add(u32::from(sent));
    attempt.set(None);
    sent
}
