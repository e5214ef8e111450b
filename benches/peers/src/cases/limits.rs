use crate::{Case, Leaf, SECOND, guarded, operation};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use seawall::{Bulkhead, RateLimit};
use std::num::NonZeroU32;
use tokio::sync::Semaphore;
use tower::Layer;
use tower::limit::{ConcurrencyLimit, RateLimit as TowerRateLimit, rate::Rate};
use tower::load_shed::LoadShed;
use tower_resilience::bulkhead::BulkheadLayer;
use tower_resilience::ratelimiter::RateLimiterLayer;

/// So many a second that the loop never spends it.
pub const PLENTY: u32 = 1_000_000_000;

pub fn cases() -> Vec<Case> {
    let group = "bulkhead, a permit is free";
    let guard = Bulkhead::new(100).build().expect("a hundred permits");
    let service = guard.layer().layer(Leaf);
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(100)));
    let shed = LoadShed::new(ConcurrencyLimit::new(Leaf, 100));
    let peer = BulkheadLayer::builder().max_concurrent_calls(100).build();
    let peer = peer.expect("a hundred permits");
    let mut cases = vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "tokio `Semaphore`", move || async move {
            let _permit = semaphore.acquire().await.map_err(|_| crate::Down)?;
            operation!().await
        }),
        Case::service(group, "tower", ConcurrencyLimit::new(Leaf, 100)),
        Case::service(group, "tower, with load shed", shed),
        Case::service(group, "tower-resilience", peer.layer(Leaf)),
    ];

    let group = "rate limit, a permit is free";
    let guard = seawall();
    let service = guard.layer().layer(Leaf);
    let rival: &'static DefaultDirectRateLimiter = Box::leak(Box::new(governor()));
    let tower = TowerRateLimit::new(Leaf, Rate::new(PLENTY.into(), SECOND));
    cases.extend([
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "governor", move || async move {
            rival.check().map_err(|_| crate::Down)?;
            operation!().await
        }),
        Case::service(group, "tower", tower),
        Case::service(
            group,
            "tower-resilience, fixed window",
            tower_resilience().layer(Leaf),
        ),
    ]);
    cases
}

pub fn seawall() -> RateLimit {
    RateLimit::new(PLENTY, SECOND)
        .burst(1_000_000)
        .build()
        .expect("a rate")
}

pub fn governor() -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN);
    let plenty = NonZeroU32::new(PLENTY).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_second(plenty).allow_burst(burst))
}

pub fn tower_resilience() -> RateLimiterLayer {
    RateLimiterLayer::builder()
        .limit_for_period(PLENTY as usize)
        .refresh_period(SECOND)
        .build()
        .expect("a rate")
}
