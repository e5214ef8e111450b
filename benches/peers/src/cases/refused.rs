use super::breaker;
use crate::{Broken, Case, Down, HOUR, Leaf, consume, drive, guarded, operation};
use failsafe::futures::CircuitBreaker as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use seawall::{Bulkhead, CircuitBreaker, RateLimit};
use std::num::NonZeroU32;
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::{Layer, Service};
use tower_resilience::ratelimiter::RateLimiterLayer;

async fn down() -> Result<u64, Down> {
    Err(Down)
}

pub fn cases() -> Vec<Case> {
    let mut cases = open_breaker();
    cases.extend(full_bulkhead());
    cases.extend(spent_rate_limit());
    cases
}

fn open_breaker() -> Vec<Case> {
    let group = "refused: the breaker is open";
    let guard = CircuitBreaker::new("bench")
        .consecutive_failures(1)
        .break_for(HOUR)
        .build()
        .expect("one failure");
    consume(drive(guard.run(down)));
    let refused = drive(guard.run(|| operation!())).expect_err("the breaker is open");
    assert!(refused.rejected().is_some());
    let service = guard.layer().layer(Leaf);

    let failsafe = breaker::failsafe();
    (0..5).for_each(|_| consume(drive(failsafe.call(down()))));
    assert!(!failsafe.is_call_permitted());
    let recloser = breaker::recloser();
    (0..200).for_each(|_| consume(drive(recloser.call(down()))));
    let refused = drive(recloser.call(operation!())).expect_err("the breaker is open");
    assert!(matches!(refused, recloser::Error::Rejected));
    let mut peer = breaker::tower_resilience().layer(Broken);
    for _ in 0..100 {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if peer.poll_ready(&mut cx).is_ready() {
            consume(drive(peer.call(7)));
        }
    }
    assert!(peer.is_open());
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "failsafe", move || failsafe.call(operation!())),
        Case::future(group, "recloser", move || recloser.call(operation!())),
        Case::service(group, "tower-resilience", peer),
    ]
}

fn full_bulkhead() -> Vec<Case> {
    let group = "refused: the bulkhead is full";
    let guard = Bulkhead::new(0).build().expect("none at all");
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let shed = LoadShed::new(ConcurrencyLimit::new(Leaf, 0));
    vec![
        guarded!(group, guard),
        Case::future(group, "tokio `Semaphore`", move || async move {
            let _permit = semaphore.try_acquire().map_err(|_| Down)?;
            operation!().await
        }),
        Case::service(group, "tower, with load shed", shed),
    ]
}

fn spent_rate_limit() -> Vec<Case> {
    let group = "refused: the rate limit is spent";
    let guard = RateLimit::new(1, HOUR).build().expect("one an hour");
    consume(drive(guard.run(|| operation!())));
    let quota = Quota::with_period(HOUR).expect("one an hour");
    let quota = quota.allow_burst(NonZeroU32::MIN);
    let rival: &'static DefaultDirectRateLimiter = Box::leak(Box::new(RateLimiter::direct(quota)));
    rival.check().expect("the first");
    let peer = RateLimiterLayer::builder()
        .limit_for_period(1)
        .refresh_period(HOUR)
        .timeout_duration(std::time::Duration::ZERO)
        .build();
    let peer = peer.expect("one an hour").layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::future(group, "governor", move || async move {
            rival.check().map_err(|_| Down)?;
            operation!().await
        }),
        Case::service(group, "tower-resilience", peer),
    ]
}
