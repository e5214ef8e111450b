use super::{breaker, limits, retry};
use crate::{Case, Down, Leaf, SECOND, consume, drive, guarded, operation, pends_once};
use backon::Retryable;
use failsafe::futures::CircuitBreaker as _;
use governor::DefaultDirectRateLimiter;
use seawall::pipeline::Builder;
use seawall::retry::Backoff;
use seawall::{Bulkhead, Pipeline, Retry, Timeout};
use tokio::sync::Semaphore;
use tower::limit::RateLimitLayer;
use tower::{Layer, ServiceBuilder};
use tower_resilience::bulkhead::BulkheadLayer;
use tower_resilience::retry::RetryLayer;
use tower_resilience::timelimiter::TimeLimiterLayer;

pub fn cases() -> Vec<Case> {
    let group = "five: timeout, retry, breaker, bulkhead, rate limit";
    let five = four().with(limits::seawall()).build().expect("five");
    let service = five.layer().layer(Leaf);
    let guard = five.clone();
    let mut cases = vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        hand_made(group),
        Case::service(group, "tower-resilience", tower_resilience()),
        Case::service(
            group,
            "tower (has no breaker; limiter outside)",
            ServiceBuilder::new()
                .layer(RateLimitLayer::new(limits::PLENTY.into(), SECOND))
                .timeout(SECOND)
                .retry(retry::TowerAttempts(3))
                .concurrency_limit(100)
                .service(Leaf),
        ),
    ];

    let group = "four: without the rate limit, so that nobody reads a clock";
    let four = four().build().expect("four");
    cases.push(guarded!(group, four));

    let group = "five, the operation pends once";
    let bytes = size_of_val(&five.run(pends_once));
    cases.push(Case::new(group, "seawall", bytes, move || {
        consume(drive(five.run(pends_once)));
    }));
    cases
}

fn four() -> Builder {
    Pipeline::builder("bench")
        .with(Timeout::after(SECOND))
        .with(Retry::attempts(3).backoff(Backoff::exponential(SECOND).jitter()))
        .with(breaker::seawall())
        .with(Bulkhead::new(100))
}

/// What one writes with a crate for each: the same five, in the same order.
fn hand_made(group: &'static str) -> Case {
    let breaker = breaker::failsafe();
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(100)));
    let limiter: &'static DefaultDirectRateLimiter = Box::leak(Box::new(limits::governor()));
    Case::future(
        group,
        "by hand: tokio, backon, failsafe, `Semaphore`, governor",
        move || {
            let breaker = breaker.clone();
            async move {
                let attempt = || {
                    breaker.call(async {
                        let _permit = semaphore.acquire().await.map_err(|_| Down)?;
                        limiter.check().map_err(|_| Down)?;
                        operation!().await
                    })
                };
                tokio::time::timeout(SECOND, attempt.retry(retry::backon())).await
            }
        },
    )
}

fn tower_resilience() -> impl tower::Service<u64, Response = u64> {
    let bulkhead = BulkheadLayer::builder().max_concurrent_calls(100).build();
    let inner = limits::tower_resilience().layer(Leaf);
    let inner = bulkhead.expect("a hundred permits").layer(inner);
    let inner = breaker::tower_resilience().layer(inner);
    let inner = RetryLayer::builder()
        .max_attempts(3)
        .exponential_backoff(SECOND)
        .build()
        .layer(inner);
    TimeLimiterLayer::builder()
        .timeout_duration(SECOND)
        .build()
        .layer(inner)
}
