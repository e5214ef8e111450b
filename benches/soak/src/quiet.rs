//! What has to be true when no call is under way.
use crate::parts::{Breaker, Budget, Parts, Rate, Room};
use crate::world::World;
use crate::wrong::wrong;
use seawall::circuit_breaker::State;
use seawall::{Error, Reason};
use std::future::pending;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::sleep;

pub async fn check(world: &World) {
    for gauge in &world.gauges {
        gauge.check_empty();
    }
    let mut refill = Duration::ZERO;
    for parts in world.parts() {
        let Parts {
            breakers,
            bulkheads,
            rates,
            budgets,
        } = parts;
        bulkheads.iter().for_each(is_free);
        breakers.iter().for_each(no_probe_is_out);
        rates.iter().for_each(Rate::check);
        budgets.iter().for_each(Budget::check);
        let times = rates.iter().map(|rate| rate.limit.snapshot().full_in);
        let windows = budgets.iter().map(|budget| budget.over);
        refill = times
            .chain(windows)
            .chain([refill])
            .max()
            .unwrap_or_default();
    }
    for breaker in world.parts().into_iter().flat_map(|parts| &parts.breakers) {
        recovers(breaker).await;
    }
    sleep(refill + Duration::from_millis(1)).await;
    for parts in world.parts() {
        parts.rates.iter().for_each(is_full);
        parts.budgets.iter().for_each(is_at_its_floor);
    }
}

fn poll_once<F: Future>(call: Pin<&mut F>) -> Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// All permits are there, and can be taken, and no more.
fn is_free(room: &Room) {
    let Room { name, most, .. } = room;
    let counts = || (room.bulkhead.in_flight(), room.bulkhead.queued());
    room.gauge.check_empty();
    if counts() != (0, 0) {
        wrong(format!(
            "{name}: {:?} in flight and queued at rest",
            counts()
        ));
    }
    let hold = || Box::pin(room.bulkhead.run(pending::<Result<(), ()>>));
    let mut held: Vec<_> = (0..*most).map(|_| hold()).collect();
    let polled = held.iter_mut().map(|call| poll_once(call.as_mut()));
    let refused = polled.filter(Poll::is_ready).count();
    if refused > 0 || counts() != (*most, 0) {
        wrong(format!(
            "{name}: {refused} of {most} permits are not to be had: {:?}",
            counts()
        ));
    }
    {
        let mut beyond = pin!(room.bulkhead.run(pending::<Result<(), ()>>));
        let fits = match poll_once(beyond.as_mut()) {
            Poll::Pending => room.queue > 0 && counts() == (*most, 1),
            // Its longest wait may be over already, where this thread was not given a turn for so long.
            Poll::Ready(Err(Error::Rejected(refusal))) => match refusal.reason {
                Reason::BulkheadFull => room.queue == 0 && counts() == (*most, 0),
                Reason::QueueTimeout { .. } => room.max_wait.is_some() && counts() == (*most, 0),
                _ => false,
            },
            Poll::Ready(_) => false,
        };
        if !fits {
            wrong(format!("{name}: one more than {most}: {:?}", counts()));
        }
    }
    drop(held);
    if counts() != (0, 0) {
        wrong(format!("{name}: {:?} after all were given back", counts()));
    }
}

fn no_probe_is_out(b: &Breaker) {
    b.watch.check(&b.breaker);
    let now = b.breaker.snapshot();
    if now.probes.is_some_and(|probes| probes.out != 0) {
        wrong(format!("{}: a probe is out at rest: {now:?}", b.name));
    }
}

/// Asked by calls that go well, it closes after exactly as many probes as it wants.
async fn recovers(b: &Breaker) {
    let call = || b.breaker.run(|| async { Ok::<(), ()>(()) });
    match b.breaker.state() {
        State::Isolated | State::Disabled | State::MetricsOnly => b.breaker.close(),
        State::Open => {
            let over = b.breaker.snapshot().next_attempt_at;
            let left = over.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
            sleep(left.unwrap_or_default() + Duration::from_millis(1)).await;
        }
        _ => {}
    }
    let before = b.breaker.snapshot();
    let needed = match before.state {
        State::Open => b.probes,
        State::HalfOpen => before
            .probes
            .map_or(0, |p| p.needed - p.answered.calls as u32),
        _ => 0,
    };
    for probe in 0..needed {
        if let Err(refused) = call().await {
            wrong(format!(
                "{}: probe {probe} of {needed}: {refused:?}, after {before:?}",
                b.name
            ));
        }
    }
    // A probe that had failed before may have opened it once more: then all of them are asked again.
    if b.breaker.state() == State::Open && before.state == State::HalfOpen {
        return Box::pin(recovers(b)).await;
    }
    let after = b.breaker.snapshot();
    if after.state != State::Closed || call().await.is_err() {
        wrong(format!(
            "{}: does not close: {after:?}, after {before:?}",
            b.name
        ));
    }
    b.watch.check(&b.breaker);
}

fn is_full(rate: &Rate) {
    let (now, burst) = (rate.limit.snapshot(), rate.limit.burst());
    if now.available != burst || now.full_in != Duration::ZERO {
        wrong(format!("{}: {now:?} of {burst} at rest", rate.name));
    }
}

/// Its window has nothing in it but the reserve.
fn is_at_its_floor(budget: &Budget) {
    let (now, floor) = (budget.budget.available(), budget.reserve());
    if (now as f64 - floor).abs() > 1.0 {
        wrong(format!("{}: {now} at rest, not {floor}", budget.name));
    }
}
