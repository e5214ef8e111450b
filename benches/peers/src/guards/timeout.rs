use crate::SECOND;
use seawall::Timeout;
use tower_resilience::timelimiter::{FixedTimeout, TimeLimiterLayer};

pub fn seawall() -> Timeout {
    Timeout::after(SECOND).build().expect("a limit of a second")
}

pub fn tower_resilience() -> TimeLimiterLayer<FixedTimeout> {
    TimeLimiterLayer::builder().timeout_duration(SECOND).build()
}
