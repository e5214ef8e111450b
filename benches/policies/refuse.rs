//! The policy says no; or, where it never does, an operation that fails at once and for good.
use crate::guards::*;
use criterion::Criterion;
use seawall::retry::Backoff;
use seawall::{CircuitBreaker, Retry};
use std::hint::black_box;

pub(crate) fn each(c: &mut Criterion) {
    let mut group = c.benchmark_group("refuse");
    bench!(group, "breaker", open());
    bench!(group, "bulkhead", full());
    bench!(group, "rate limit", spent());
    let mut failing = |name: &str, guard: &dyn Fn() -> bool| {
        group.bench_function(name, |b| b.iter(guard));
    };

    let retry = Retry::attempts(3).backoff(Backoff::none()).build();
    let retry = retry.expect("three attempts");
    failing("retry, three attempts", &|| {
        let call = retry.run(|| async { Err::<u64, &str>(black_box("down")) });
        matches!(once(call), Some(Err(_)))
    });
    let breaker = CircuitBreaker::new("bench").failure_rate(1.0).build();
    let breaker = breaker.expect("a rate");
    once(breaker.run(|| async { Ok::<u64, &str>(7) }));
    breaker.metrics_only();
    failing("breaker, a failure that is counted", &|| {
        let call = breaker.run(|| async { Err::<u64, &str>(black_box("down")) });
        matches!(once(call), Some(Err(_)))
    });
    let timeout = timeout();
    failing("timeout, around a failure", &|| {
        let call = timeout.run(|| async { Err::<u64, &str>(black_box("down")) });
        matches!(once(call), Some(Err(_)))
    });
    group.finish();
}
