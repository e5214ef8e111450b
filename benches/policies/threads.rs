//! Beside a second thread that makes the same calls through the same guard all the time.
use crate::guards::*;
use criterion::Criterion;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends the other thread's loop, also when the bench unwinds.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

macro_rules! beside {
    ($group:expr, $name:expr, $guard:expr) => {
        let (guard, over) = ($guard, AtomicBool::new(false));
        std::thread::scope(|scope| {
            let _over = Over(&over);
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    once(guard.run(|| async { Ok::<u64, Infallible>(black_box(7)) }));
                }
            });
            bench!($group, $name, &guard);
        });
    };
}

pub(crate) fn each(c: &mut Criterion) {
    let mut group = c.benchmark_group("two threads");
    beside!(group, "timeout", timeout());
    beside!(group, "retry", retry());
    beside!(group, "breaker, consecutive", consecutive());
    beside!(group, "breaker, count window", windowed());
    beside!(group, "breaker, time window", timed());
    beside!(group, "breaker, slow calls", slow());
    beside!(group, "breaker, open", open());
    beside!(group, "bulkhead", bulkhead());
    beside!(group, "bulkhead, full", full());
    beside!(group, "rate limit", rate_limit());
    beside!(group, "rate limit, spent", spent());
    beside!(group, "hedge", hedge());
    beside!(group, "stack of five", stack(5));
    group.finish();
}
