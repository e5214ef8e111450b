//! More than one lane: all of this runs only when a hedge has fired.
use crate::policy::{Call, Outcome, Policy};
use crate::run::ending::stop;
use crate::run::lane::{
    Desk, End, How, Lane, REPEATS_PER_POLL, TicketsOf, poll_lane, unanswered_may_repeat,
};
use crate::run::plan::{Plan, Stack};
use crate::run::tickets;
use crate::run::walk::{Phase, Woken};
use crate::{Class, Classify, Error, Event, Operation};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pub(crate) type Contest<H, O> = Cold<Race<TicketsOf<H>, <O as Operation>::Future, End<O>>>;

/// A lane beside the first.
pub(super) type Extra<A, F> = Pin<Box<Lane<A, F>>>;

pub(crate) struct Race<A, F, R> {
    /// The lanes beside the first.
    pub(crate) lanes: Vec<Extra<A, F>>,
    /// How many lanes have been started, the first included.
    launched: u32,
    /// What to answer if all fail.
    kept: Option<R>,
    /// No lane that is over forbids a further attempt.
    repeatable: bool,
}

/// An empty box whose drop is one comparison in line, not a call.
pub(crate) struct Cold<T>(pub(crate) Option<Box<T>>);

impl<T> Drop for Cold<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(full) = self.0.take() {
            discard(full);
        }
    }
}

#[cold]
#[inline(never)]
fn discard<T>(_: Box<T>) {}

/// The earliest instant at which something is due in any lane, or `NEVER`.
pub(crate) fn next_wake<A: tickets::Held, F, R>(
    first: Pin<&mut Lane<A, F>>,
    race: &mut Cold<Race<A, F, R>>,
    call: &Call<'_>,
) -> u64 {
    let mut at = first.next_wake(call);
    for lane in race.0.iter_mut().flat_map(|race| &mut race.lanes) {
        at = at.min(lane.as_mut().next_wake(call));
    }
    at
}

/// One more lane beside those under way, if the hedge says so.
#[cold]
fn launch<H: Plan, O: Operation>(
    first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    race: &mut Contest<H, O>,
    desk: &mut Desk<'_, H, O>,
) -> bool {
    let track = first.project().track;
    if !track.hedge(desk.plan.stack(), desk.call) {
        return false;
    }
    track.fence();
    let lane = Box::pin(Lane::new(track.fork(desk.call)));
    let race = race.0.get_or_insert_with(|| {
        Box::new(Race {
            lanes: Vec::new(),
            launched: 1,
            kept: None,
            repeatable: true,
        })
    });
    race.lanes.push(lane);
    race.launched = race.launched.saturating_add(1);
    if let Some(frame) = track.hedge_frame() {
        let policy = desk.plan.stack().at(frame).name();
        desk.call.emit(Event::Hedged {
            policy,
            attempts: race.launched,
        });
    }
    true
}

/// A lane for a hedge whose time has come.
#[cold]
pub(crate) fn launch_if_due<H: Plan, O: Operation>(
    first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    race: &mut Contest<H, O>,
    desk: &mut Desk<'_, H, O>,
) {
    if first.track.hedge_due(desk.call) {
        // The attempt that is out may have arrived.
        desk.call
            .set_may_repeat(unanswered_may_repeat(desk.op, true));
        launch(first, race, desk);
    }
}

/// Every lane is over, or one has won. `None`: there is more to run.
#[cold]
pub(crate) fn at_hedge<H: Plan, O: Operation>(
    mut first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    race: &mut Contest<H, O>,
    end: End<O>,
    desk: &mut Desk<'_, H, O>,
) -> Option<Result<O::Ok, Error<O::Err>>> {
    if race.0.is_none() && !holds_off(&end) && launch(first.as_mut(), race, desk) {
        if let Some(race) = &mut race.0 {
            race.kept = Some(end);
        }
        return None;
    }
    race.0 = None;
    let (mut result, how) = end;
    let (stack, track) = (desk.plan.stack(), first.project().track);
    track.unfence();
    if let How::Outside { frame, running } = how {
        let outcome = if running {
            Outcome::TimedOut
        } else {
            Outcome::Cancelled
        };
        let may = desk.call.may_repeat();
        track.settle(stack, frame + 1, &outcome, desk.call);
        desk.call.set_may_repeat(may);
    }
    if let Err(Error::Rejected(r)) = &mut result {
        r.started = *desk.started;
        if let How::Outside { .. } = how {
            desk.call.emit(Event::Rejected(r));
        }
    }
    if track.outward_from(stack, &how.outcome(&result), desk.call) {
        None
    } else {
        Some(result)
    }
}

/// Which end stands if all fail: an answer of the dependency says more than that there was none in
/// time, and that more than a refusal of ours; of two alike the later stands.
fn weight<T>(end: &(T, How)) -> u8 {
    match end.1 {
        How::Answered(_) => 2,
        How::TimedOut | How::Outside { .. } => 1,
        How::Rejected => 0,
    }
}

/// A dependency that asked for less, or a policy that let nothing through, gets no further attempt
/// at once.
fn holds_off<T>(end: &(T, How)) -> bool {
    matches!(
        end.1,
        How::Answered(Class::Throttled(_) | Class::Pushback(_))
            | How::Rejected
            | How::Outside { .. }
    )
}

/// Ready: a lane has won, or none is left.
#[inline(never)]
pub(crate) fn poll_race<H, O>(
    mut first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    contest: &mut Contest<H, O>,
    cx: &mut Context<'_>,
    desk: &mut Desk<'_, H, O>,
    fired: bool,
) -> Poll<End<O>>
where
    H: Plan,
    O: Operation,
    H::Dialect: Classify<O::Ok, O::Err>,
{
    if fired && let Some(end) = cut_race(first.as_mut(), contest, desk) {
        return Poll::Ready(end);
    }
    let mut launches = 0;
    loop {
        let mut more = false;
        let Some(race) = &mut contest.0 else {
            return Poll::Pending;
        };
        let mut winner = None;
        for lane in [first.as_mut()]
            .into_iter()
            .chain(race.lanes.iter_mut().map(Pin::as_mut))
        {
            let Poll::Ready(end) = poll_lane(lane, cx, desk, fired, None) else {
                continue;
            };
            if end.1.outcome(&end.0).is_final() {
                winner = Some(end);
                break;
            }
            more |= !holds_off(&end) && desk.call.may_repeat();
            race.repeatable &= desk.call.may_repeat();
            if race
                .kept
                .as_ref()
                .is_none_or(|kept| weight(&end) >= weight(kept))
            {
                race.kept = Some(end);
            }
        }
        if let Some(end) = winner {
            let may = desk.call.may_repeat();
            stop(first, &mut race.lanes, desk, false);
            desk.call.set_may_repeat(may);
            return Poll::Ready(end);
        }
        race.lanes.retain(|lane| lane.track.phase != Phase::Ended);
        desk.call.set_may_repeat(more);
        if more && launch(first.as_mut(), contest, desk) {
            launches += 1;
            if launches < REPEATS_PER_POLL {
                continue;
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(race) = &mut contest.0 else {
            return Poll::Pending;
        };
        if race.lanes.is_empty() && first.track.phase == Phase::Ended {
            desk.call
                .set_may_repeat(race.repeatable && desk.op.can_repeat());
            return race.kept.take().map_or(Poll::Pending, Poll::Ready);
        }
        return Poll::Pending;
    }
}

/// A deadline around the hedge is asked once for all lanes: it cuts each as it stands, or moves for
/// each.
#[cold]
fn cut_race<H: Plan, O: Operation>(
    mut first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    contest: &mut Contest<H, O>,
    desk: &mut Desk<'_, H, O>,
) -> Option<End<O>> {
    let race = contest.0.as_mut()?;
    let track = first.as_mut().project().track;
    let running =
        track.phase == Phase::Running || race.lanes.iter().any(|l| l.track.phase == Phase::Running);
    let around = 0..track.floor();
    if let Woken::Cut(frame, r) = track.expired_in(around, desk.plan.stack(), running, desk.call) {
        let sent = stop(first, &mut race.lanes, desk, true);
        desk.call
            .set_may_repeat(race.repeatable && unanswered_may_repeat(desk.op, sent));
        return Some((Err(Error::Rejected(r)), How::Outside { frame, running }));
    }
    for lane in &mut race.lanes {
        lane.as_mut().project().track.adopt(track, desk.call);
    }
    None
}
