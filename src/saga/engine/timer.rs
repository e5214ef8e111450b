//! The engine's waits. A saga's times are the wall clock's, which can be set while it waits.
use std::{pin::Pin, time::Duration};
use tokio::time::Sleep;

/// Until a time of the wall clock, UTC ms: ends after a minute at the latest, so that the clock is
/// looked at again.
#[allow(clippy::disallowed_methods)] // whoever waits looks at the clock again
pub(super) fn until(due: i64, now: i64) -> Pin<Box<Sleep>> {
    let ms = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
    Box::pin(tokio::time::sleep(
        Duration::from_millis(ms).min(Duration::from_secs(60)),
    ))
}

#[allow(clippy::disallowed_methods)] // how long a wait was has no meaning here
pub(super) async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
