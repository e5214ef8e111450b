use seawall::Bulkhead;
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower_resilience::bulkhead::BulkheadLayer;

pub fn seawall() -> Bulkhead {
    Bulkhead::new(100).build().expect("a hundred permits")
}

pub fn seawall_full() -> Bulkhead {
    Bulkhead::new(0).build().expect("none at all")
}

/// As a program has it, for as long as it runs.
pub fn semaphore(permits: usize) -> &'static Semaphore {
    Box::leak(Box::new(Semaphore::new(permits)))
}

pub fn tower_shedding<S>(service: S, permits: usize) -> LoadShed<ConcurrencyLimit<S>> {
    LoadShed::new(ConcurrencyLimit::new(service, permits))
}

pub fn tower_resilience() -> BulkheadLayer {
    BulkheadLayer::builder()
        .max_concurrent_calls(100)
        .build()
        .expect("a hundred permits")
}
