use crate::operation::{Leaf, consume, drive, operation};
use crate::{HOUR, SECOND};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use seawall::RateLimit;
use std::num::NonZeroU32;
use std::time::Duration;
use tower::{Layer, Service};
use tower_resilience::ratelimiter::RateLimiterLayer;

/// So many a second that the loop never spends it.
pub const PLENTY: u32 = 1_000_000_000;
/// And so far ahead: a thread that is put to sleep between its reading of the clock and the limiter
/// comes with an old time.
const BURST: u32 = PLENTY;

pub fn seawall() -> RateLimit {
    let limit = RateLimit::new(PLENTY, SECOND).burst(BURST);
    limit.build().expect("a rate")
}

/// One that has given its only permit of this hour.
pub fn seawall_spent() -> RateLimit {
    let limit = RateLimit::new(1, HOUR).build().expect("one an hour");
    consume(drive(limit.run(|| operation!())));
    limit
}

pub type Governor<C> =
    RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// As a program has it, for as long as it runs.
pub fn governor<C: Clock>(clock: C) -> &'static Governor<C> {
    let burst = NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN);
    let plenty = NonZeroU32::new(PLENTY).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(plenty).allow_burst(burst);
    Box::leak(Box::new(RateLimiter::direct_with_clock(quota, clock)))
}

pub fn governor_spent<C: Clock>(clock: C) -> &'static Governor<C> {
    let quota = Quota::with_period(HOUR).expect("one an hour");
    let quota = quota.allow_burst(NonZeroU32::MIN);
    let limit = Box::leak(Box::new(RateLimiter::direct_with_clock(quota, clock)));
    limit.check().expect("the first");
    limit
}

pub fn tower_resilience() -> RateLimiterLayer {
    RateLimiterLayer::builder()
        .limit_for_period(PLENTY as usize)
        .refresh_period(SECOND)
        .build()
        .expect("a rate")
}

pub fn tower_resilience_spent() -> impl Service<u64, Response = u64> + Clone + Send + 'static {
    let layer = RateLimiterLayer::builder()
        .limit_for_period(1)
        .refresh_period(HOUR)
        .timeout_duration(Duration::ZERO)
        .build();
    let mut service = layer.expect("one an hour").layer(Leaf);
    consume(drive(service.call(7)));
    service
}
