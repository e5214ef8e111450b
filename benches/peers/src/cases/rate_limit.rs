use crate::SECOND;
use crate::case::Case;
use crate::groups::{Group, RATE_LIMIT, RATE_LIMIT_COUNTER};
use crate::guards::rate_limit::{self, Governor, PLENTY};
use crate::operation::{Down, Leaf, guarded, operation};
use governor::clock::{Clock, DefaultClock, MonotonicClock};
use quanta::Instant as Counter;
use seawall::policy::{Call, Enter, Outcome, Policy};
use seawall::{Class, RateLimit};
use std::hint::black_box;
use tokio::time::Instant;
use tower::Layer;
use tower::limit::{RateLimit as TowerRateLimit, rate::Rate};

pub fn cases() -> Vec<Case> {
    let group = &RATE_LIMIT;
    let guard = rate_limit::seawall();
    let service = guard.layer().layer(Leaf);
    let tower = TowerRateLimit::new(Leaf, Rate::new(PLENTY.into(), SECOND));
    let peer = rate_limit::tower_resilience().layer(Leaf);
    let mut cases = vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        on_system_clock(group, rate_limit::governor(MonotonicClock)),
        Case::service(group, "tower, a fixed window for one owner", tower).that_does_less(),
        Case::service(group, "tower-resilience, fixed window", peer),
    ];
    let group = &RATE_LIMIT_COUNTER;
    cases.push(by_hand(group, rate_limit::seawall()));
    cases.push(on_counter(
        group,
        rate_limit::governor(DefaultClock::default()),
    ));
    cases
}

/// governor on the clock that ours reads.
pub fn on_system_clock(group: &'static Group, limit: &'static Governor<MonotonicClock>) -> Case {
    check(group, "governor, on the system's clock", limit)
}

pub fn on_counter(group: &'static Group, limit: &'static Governor<DefaultClock>) -> Case {
    check(group, "governor, as it comes", limit)
}

fn check<C>(group: &'static Group, who: &'static str, limit: &'static Governor<C>) -> Case
where
    C: Clock + Send + Sync,
{
    Case::future(group, who, move || async move {
        limit.check().map_err(|_| Down)?;
        operation!().await
    })
}

/// The policy by plain calls, at a time that is the counter's, as a driver of one's own could make
/// them. A pipeline reads tokio's clock, which tests can pause.
pub fn by_hand(group: &'static Group, limit: RateLimit) -> Case {
    let who = "seawall's policy alone, by `enter` and `exit` with `Call::at`";
    let limit: &'static RateLimit = Box::leak(Box::new(limit));
    let (start, counter) = (Instant::now(), Counter::now());
    Case::future(group, who, move || async move {
        let call = Call::at(start + counter.elapsed());
        let Enter::Proceed(ticket) = limit.enter(&call) else {
            return Err(Down);
        };
        let answer = operation!().await;
        let outcome = Outcome::Answered(Class::Success);
        _ = black_box(limit.exit(ticket, &outcome, &call));
        answer
    })
}
