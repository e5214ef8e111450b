//! The one timer of a call: made when something first has to wait, then reset to whatever is next.
//!
//! Most calls never wait, so what counts is the drop of a timer that was never made: it is one
//! comparison. What the compiler makes of an `Option<Sleep>` by itself is a function that knows how to
//! drop a `Sleep`, too long to be put in line: half a nanosecond of every guarded call.
#![allow(unsafe_code)]

use crate::clock::Instant;
use pin_project::{pin_project, pinned_drop};
#[cfg(not(all(test, seawall_shuttle)))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::coop;
#[cfg(not(all(test, seawall_shuttle)))]
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep_until},
};

/// A model checker's scheduler has a time of its own.
#[cfg(all(test, seawall_shuttle))]
use crate::schedules::Sleep;

/// A timer, once there is one. Generic, since the drop of what is not is compiled here and called from
/// there.
#[pin_project(PinnedDrop)]
pub(crate) struct Timer<S = Sleep>(#[pin] ManuallyDrop<Option<S>>);

impl Timer {
    #[inline(always)]
    pub(crate) fn none() -> Self {
        Timer(ManuallyDrop::new(None))
    }
}

impl<S> Timer<S> {
    #[inline(always)]
    fn slot(self: Pin<&mut Self>) -> Pin<&mut Option<S>> {
        // SAFETY: the slot is pinned as the timer is. Nobody else gets at it, so nothing moves out of
        // it, and what is in it is dropped where it stands, by `drop`, before its memory is used anew.
        unsafe { self.project().0.map_unchecked_mut(|slot| &mut **slot) }
    }
}

#[pinned_drop]
impl<S> PinnedDrop for Timer<S> {
    #[inline(always)]
    fn drop(self: Pin<&mut Self>) {
        if self.0.is_some() {
            discard(self.slot());
        }
    }
}

#[cold]
#[inline(never)]
fn discard<S>(mut made: Pin<&mut Option<S>>) {
    made.set(None);
}

/// There is no tokio runtime here, or one without a time driver.
pub(crate) struct Unavailable;

/// Ready when `at` has come.
pub(crate) fn poll_timer(
    timer: Pin<&mut Timer>,
    at: Instant,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Unavailable>> {
    let mut timer = timer.slot();
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

#[cfg(not(all(test, seawall_shuttle)))]
#[allow(clippy::disallowed_methods)] // the one place that waits
fn make(at: Instant) -> Result<Sleep, Unavailable> {
    Handle::try_current().map_err(|_| Unavailable)?;
    // tokio tells of a missing time driver in no other way than by panicking.
    catch_unwind(AssertUnwindSafe(|| sleep_until(at))).map_err(|_| Unavailable)
}

#[cfg(all(test, seawall_shuttle))]
fn make(at: Instant) -> Result<Sleep, Unavailable> {
    Ok(Sleep::until(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn what_is_in_it_is_dropped_with_it_and_once() {
        let made = Rc::new(());
        let mut timer = Box::pin(Timer(ManuallyDrop::new(Some(made.clone()))));
        assert_eq!(Rc::strong_count(&made), 2);
        timer.as_mut().slot().set(Some(made.clone()));
        assert_eq!(Rc::strong_count(&made), 2);
        drop(timer);
        assert_eq!(Rc::strong_count(&made), 1);
        drop(Timer::<Rc<()>>(ManuallyDrop::new(None)));
    }

    struct Bomb(#[allow(dead_code)] Rc<()>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn what_panics_when_it_is_dropped_is_dropped_once() {
        let made = Rc::new(());
        let timer = Timer(ManuallyDrop::new(Some(Bomb(made.clone()))));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(timer)));
        assert!(caught.is_err());
        assert_eq!(Rc::strong_count(&made), 1);
    }
}
