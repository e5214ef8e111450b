//! Time inside a schedule: it stands still until the task that [`pass`]es it moves it to the next
//! instant that somebody waits for.
use crate::clock::Instant;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Default)]
struct Time {
    passed: Duration,
    next: u64,
    waiting: BTreeMap<u64, (Instant, Waker)>,
}

thread_local! {
    /// All tasks of a schedule run on one thread.
    static TIME: RefCell<Time> = RefCell::default();
}

/// A schedule begins.
pub(super) fn begin() {
    TIME.take();
}

/// `clock` is read once.
pub(crate) fn now(clock: fn() -> Instant) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(clock) + TIME.with_borrow(|time| time.passed)
}

/// Moves time from instant to instant, as long as somebody is `under_way`.
pub(super) async fn pass(under_way: impl Fn() -> bool) {
    while under_way() {
        let now = crate::clock::now();
        let due = TIME.with_borrow_mut(|time| {
            let first = time.waiting.values().map(|w| w.0).min()?;
            time.passed += first.saturating_duration_since(now);
            let due = time.waiting.extract_if(.., |_, w| w.0 <= first);
            Some(due.map(|(_, w)| w.1).collect::<Vec<_>>())
        });
        for waker in due.into_iter().flatten() {
            waker.wake();
        }
        shuttle::future::yield_now().await;
    }
}

/// In place of tokio's.
pub(crate) struct Sleep {
    at: Instant,
    key: u64,
}

impl Sleep {
    pub(crate) fn until(at: Instant) -> Self {
        let key = TIME.with_borrow_mut(|time| {
            time.next += 1;
            time.next
        });
        Sleep { at, key }
    }

    pub(super) fn over(time: Duration) -> Self {
        Sleep::until(crate::clock::now() + time)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.at
    }

    pub(crate) fn reset(self: Pin<&mut Self>, at: Instant) {
        self.get_mut().at = at;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= crate::clock::now() {
            return Poll::Ready(());
        }
        let waits = (self.at, cx.waker().clone());
        TIME.with_borrow_mut(|time| time.waiting.insert(self.key, waits));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Outside the borrow: a waker's drop is foreign code.
        let _waits = TIME.with_borrow_mut(|time| time.waiting.remove(&self.key));
    }
}
