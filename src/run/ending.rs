//! The ends that a call does not come to by itself: the losers of a race are stopped, nothing can wake
//! it, or it is dropped half-way. Whoever holds a ticket gets its exit, innermost first.
use crate::policy::{Call, Outcome};
use crate::run::lane::{Desk, Lane, TicketsOf, retire};
use crate::run::plan::Plan;
use crate::run::race::{Cold, Contest, Extra, Race};
use crate::run::walk::Phase;
use crate::{Event, Operation, Reason, Rejected};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    task::Waker,
};

/// Drops every attempt and settles every lane down to the hedge, latest first: losers end before
/// the winner is heard of. Tells whether an attempt had reached the dependency.
pub(super) fn stop<H: Plan, O: Operation>(
    first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    lanes: &mut [Extra<TicketsOf<H>, O::Future>],
    desk: &mut Desk<'_, H, O>,
    timed_out: bool,
) -> bool {
    let mut sent = false;
    for lane in lanes.iter_mut().rev().map(Pin::as_mut).chain([first]) {
        let lane = lane.project();
        sent |= retire::<O>(lane.attempt, desk.started);
        let floor = lane.track.floor();
        // A lane that waited has asked nothing of the dependency.
        let outcome = if timed_out && lane.track.phase == Phase::Running {
            Outcome::TimedOut
        } else {
            Outcome::Cancelled
        };
        lane.track
            .settle(desk.plan.stack(), floor, &outcome, desk.call);
    }
    sent
}

/// The call has to wait and nothing can wake it: it ends here, with nobody to blame.
#[cold]
pub(crate) fn no_timer<H: Plan, O: Operation>(
    mut first: Pin<&mut Lane<TicketsOf<H>, O::Future>>,
    race: &mut Contest<H, O>,
    desk: &mut Desk<'_, H, O>,
) -> Rejected {
    let lanes = match &mut race.0 {
        Some(race) => &mut race.lanes[..],
        None => &mut [],
    };
    stop(first.as_mut(), lanes, desk, false);
    race.0 = None;
    first
        .project()
        .track
        .settle(desk.plan.stack(), 0, &Outcome::Cancelled, desk.call);
    let mut r = Rejected::new(desk.plan.name(), Reason::NoTimer);
    r.started = *desk.started;
    desk.call.emit(Event::Rejected(&r));
    r
}

/// Dropped half-way, or unwinding.
#[cold]
pub(crate) fn abandon<H: Plan, F, R>(
    plan: &H,
    race: &mut Cold<Race<TicketsOf<H>, F, R>>,
    mut first: Pin<&mut Lane<TicketsOf<H>, F>>,
) {
    let call = Call::new(Waker::noop(), plan);
    let fate = |panicked: bool| {
        if panicked {
            Outcome::Panicked
        } else {
            Outcome::Cancelled
        }
    };
    let mut panicked = false;
    let mut thrown = None;
    let mut end = |lane: Pin<&mut Lane<TicketsOf<H>, F>>| {
        let mut lane = lane.project();
        // The tickets are owed their end even where dropping the attempt panics.
        let dropped = catch_unwind(AssertUnwindSafe(|| lane.attempt.set(None)));
        thrown = thrown.take().or(dropped.err());
        panicked |= lane.track.polling;
        let floor = lane.track.floor();
        lane.track
            .settle(plan.stack(), floor, &fate(lane.track.polling), &call);
    };
    for lane in race
        .0
        .iter_mut()
        .flat_map(|race| race.lanes.iter_mut().rev())
    {
        end(lane.as_mut());
    }
    end(first.as_mut());
    first
        .project()
        .track
        .settle(plan.stack(), 0, &fate(panicked), &call);
    if let Some(thrown) = thrown
        && !std::thread::panicking()
    {
        resume_unwind(thrown);
    }
}
