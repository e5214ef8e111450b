use super::{breaker, bulkhead, rate_limit, retry, timeout};
use crate::SECOND;
use crate::operation::Leaf;
use failsafe::backoff::Constant;
use failsafe::failure_policy::ConsecutiveFailures;
use governor::DefaultDirectRateLimiter;
use governor::clock::DefaultClock;
use seawall::pipeline::Builder;
use seawall::{Pipeline, Timeout};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

/// Timeout, retry, breaker, bulkhead, rate limit.
pub fn five() -> Pipeline {
    four_of().with(rate_limit::seawall()).build().expect("five")
}

pub fn four() -> Pipeline {
    four_of().build().expect("four")
}

fn four_of() -> Builder {
    Pipeline::builder("bench")
        .with(Timeout::after(SECOND))
        .with(retry::seawall())
        .with(breaker::seawall())
        .with(bulkhead::seawall())
}

/// What one writes by hand holds: a crate for each, but for the timeout and the retry, which have no
/// state.
#[derive(Clone)]
pub struct ByHand {
    pub breaker: breaker::Failsafe<ConsecutiveFailures<Constant>>,
    pub semaphore: &'static Semaphore,
    pub limit: &'static DefaultDirectRateLimiter,
}

pub fn by_hand() -> ByHand {
    ByHand {
        breaker: breaker::failsafe_consecutive(),
        semaphore: bulkhead::semaphore(100),
        limit: rate_limit::governor(DefaultClock::default()),
    }
}

pub fn tower_resilience() -> impl Service<u64, Response = u64> + Clone + Send + 'static {
    let inner = rate_limit::tower_resilience().layer(Leaf);
    let inner = bulkhead::tower_resilience().layer(inner);
    let inner = breaker::tower_resilience().layer(inner);
    let inner = retry::tower_resilience().layer(inner);
    timeout::tower_resilience().layer(inner)
}
