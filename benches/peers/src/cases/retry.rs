use crate::{Case, Down, Leaf, SECOND, guarded, operation};
use backon::{ExponentialBuilder, Retryable};
use seawall::Retry;
use seawall::retry::Backoff;
use std::future::Ready;
use tower::Layer;
use tower_resilience::retry::RetryLayer;

pub fn cases() -> Vec<Case> {
    let group = "retry, the first attempt answers";
    let guard = Retry::attempts(3)
        .backoff(Backoff::exponential(SECOND).jitter())
        .build()
        .expect("three attempts");
    let service = guard.layer().layer(Leaf);
    let peer: RetryLayer<u64, u64, Down> = RetryLayer::builder()
        .max_attempts(3)
        .exponential_backoff(SECOND)
        .build();
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "backon", || (|| operation!()).retry(backon())),
        Case::service(
            group,
            "tower",
            tower::retry::Retry::new(TowerAttempts(3), Leaf),
        ),
        Case::service(group, "tower-resilience", peer.layer(Leaf)),
    ]
}

pub fn backon() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(SECOND)
        .with_max_times(2)
        .with_jitter()
}

/// The policy that tower leaves to its users: so many attempts, at once.
#[derive(Clone)]
pub struct TowerAttempts(pub u32);

impl<E> tower::retry::Policy<u64, u64, E> for TowerAttempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, answer: &mut Result<u64, E>) -> Option<Ready<()>> {
        if answer.is_ok() || self.0 <= 1 {
            return None;
        }
        self.0 -= 1;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}
