use crate::SECOND;
use crate::case::Case;
use crate::groups::{FIVE, FIVE_PENDS, FOUR, Group};
use crate::guards::stack::{self, ByHand};
use crate::guards::{rate_limit::PLENTY, retry};
use crate::operation::{Down, Leaf, consume, drive, guarded, operation, pends_once};
use backon::Retryable;
use failsafe::futures::CircuitBreaker as _;
use tower::limit::RateLimitLayer;
use tower::{Layer, ServiceBuilder};

pub fn cases() -> Vec<Case> {
    let group = &FIVE;
    let five = stack::five();
    let service = five.layer().layer(Leaf);
    let guard = five.clone();
    let tower = ServiceBuilder::new()
        .layer(RateLimitLayer::new(PLENTY.into(), SECOND))
        .timeout(SECOND)
        .retry(retry::tower())
        .concurrency_limit(100)
        .service(Leaf);
    let mut cases = vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        by_hand(group, stack::by_hand()),
        Case::service(group, "tower-resilience", stack::tower_resilience()),
        Case::service(group, "tower (has no breaker; limiter outside)", tower),
    ];

    let group = &FOUR;
    cases.push(guarded!(group, stack::four()));

    let group = &FIVE_PENDS;
    let bytes = size_of_val(&five.run(pends_once));
    cases.push(Case::new(group, "seawall", bytes, move || {
        consume(drive(five.run(pends_once)));
    }));
    cases
}

/// What one writes with a crate for each: the same five, in the same order.
pub fn by_hand(group: &'static Group, parts: ByHand) -> Case {
    let who = "by hand: tokio, backon, failsafe, `Semaphore`, governor";
    Case::future(group, who, move || {
        let ByHand {
            breaker,
            semaphore,
            limit,
        } = parts.clone();
        async move {
            let attempt = || {
                breaker.call(async {
                    let _permit = semaphore.acquire().await.map_err(|_| Down)?;
                    limit.check().map_err(|_| Down)?;
                    operation!().await
                })
            };
            tokio::time::timeout(SECOND, attempt.retry(retry::backon())).await
        }
    })
}
