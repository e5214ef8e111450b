use crate::case::Case;
use crate::groups::{BULKHEAD, Group};
use crate::guards::bulkhead;
use crate::operation::{Down, Leaf, guarded, operation};
use tower::Layer;
use tower::limit::ConcurrencyLimit;

pub fn cases() -> Vec<Case> {
    let group = &BULKHEAD;
    let guard = bulkhead::seawall();
    let service = guard.layer().layer(Leaf);
    let semaphore = bulkhead::semaphore(100);
    let peer = bulkhead::tower_resilience().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        acquire(group, semaphore),
        try_acquire(group, semaphore),
        Case::service(group, "tower", ConcurrencyLimit::new(Leaf, 100)),
        Case::service(
            group,
            "tower, with load shed",
            bulkhead::tower_shedding(Leaf, 100),
        ),
        Case::service(group, "tower-resilience", peer),
    ]
}

/// Waits in line if it has to.
fn acquire(group: &'static Group, semaphore: &'static tokio::sync::Semaphore) -> Case {
    Case::future(group, "tokio `Semaphore`, `acquire`", move || async move {
        let _permit = semaphore.acquire().await.map_err(|_| Down)?;
        operation!().await
    })
}

/// Never waits.
pub fn try_acquire(group: &'static Group, semaphore: &'static tokio::sync::Semaphore) -> Case {
    let who = "tokio `Semaphore`, `try_acquire`";
    Case::future(group, who, move || async move {
        let _permit = semaphore.try_acquire().map_err(|_| Down)?;
        operation!().await
    })
}
