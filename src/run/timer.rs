//! The one timer of a call: made when something first has to wait, then reset to whatever is next.
use crate::clock::Instant;
use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;
use tokio::task::coop;
use tokio::time::{Sleep, sleep_until};

/// There is no tokio runtime here, or one without a time driver.
pub(crate) struct Unavailable;

/// Ready when `at` has come.
pub(crate) fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Unavailable>> {
    match timer.as_mut().as_pin_mut() {
        Some(timer) if timer.deadline() != at => timer.reset(at),
        Some(_) => {}
        None => match make(at) {
            Ok(made) => timer.set(Some(made)),
            Err(unavailable) => return Poll::Ready(Err(unavailable)),
        },
    }
    let Some(timer) = timer.as_pin_mut() else {
        return Poll::Pending;
    };
    // An operation that has used up the task's cooperative budget must not thereby outlive its
    // deadline: then the timer is asked past the budget, as tokio's own timeout does.
    let polled = if coop::has_budget_remaining() {
        timer.poll(cx)
    } else {
        std::pin::pin!(coop::unconstrained(timer)).poll(cx)
    };
    polled.map(Ok)
}

#[allow(clippy::disallowed_methods)] // the one place that waits
fn make(at: Instant) -> Result<Sleep, Unavailable> {
    Handle::try_current().map_err(|_| Unavailable)?;
    // tokio tells of a missing time driver in no other way than by panicking.
    std::panic::catch_unwind(AssertUnwindSafe(|| sleep_until(at))).map_err(|_| Unavailable)
}
