use crate::SECOND;
use backon::ExponentialBuilder;
use seawall::Retry;
use seawall::retry::{Backoff, RetryConfig};
use tokio::time::Sleep;
use tower::retry::backoff::{
    Backoff as _, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff,
};
use tower::util::rng::HasherRng;
use tower_resilience::retry::RetryLayer;

pub fn seawall() -> RetryConfig {
    Retry::attempts(3).backoff(Backoff::exponential(SECOND).jitter())
}

pub fn backon() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(SECOND)
        .with_max_times(2)
        .with_jitter()
}

pub fn tower_resilience<E>() -> RetryLayer<u64, u64, E> {
    RetryLayer::builder()
        .max_attempts(3)
        .exponential_backoff(SECOND)
        .build()
}

/// The policy that tower leaves to its users: so many attempts, with tower's backoff.
#[derive(Clone)]
pub struct TowerAttempts {
    left: u32,
    backoff: ExponentialBackoff,
}

pub fn tower() -> TowerAttempts {
    let backoff = ExponentialBackoffMaker::new(SECOND, 60 * SECOND, 1.0, HasherRng::default());
    let backoff = backoff.expect("a second").make_backoff();
    TowerAttempts { left: 2, backoff }
}

impl<E> tower::retry::Policy<u64, u64, E> for TowerAttempts {
    type Future = Sleep;

    fn retry(&mut self, _: &mut u64, answer: &mut Result<u64, E>) -> Option<Sleep> {
        if answer.is_ok() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(self.backoff.next_backoff())
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}
