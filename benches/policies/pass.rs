//! Nothing goes wrong.
use crate::guards::*;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::hint::black_box;
use tower::{Layer, Service};

pub(crate) fn each(c: &mut Criterion) {
    let mut group = c.benchmark_group("pass");
    bench!(group, "timeout", timeout());
    bench!(group, "retry", retry());
    bench!(group, "breaker, consecutive", consecutive());
    bench!(group, "breaker, count window", windowed());
    bench!(group, "breaker, time window", timed());
    bench!(group, "breaker, slow calls", slow());
    bench!(group, "bulkhead", bulkhead());
    bench!(group, "rate limit", rate_limit());
    bench!(group, "hedge", hedge());
    group.finish();

    let mut group = c.benchmark_group("pass, Layer");
    service(&mut group, "timeout", timeout().layer().layer(Leaf));
    service(&mut group, "retry", retry().layer().layer(Leaf));
    service(&mut group, "breaker", windowed().layer().layer(Leaf));
    service(&mut group, "bulkhead", bulkhead().layer().layer(Leaf));
    service(&mut group, "rate limit", rate_limit().layer().layer(Leaf));
    service(&mut group, "hedge", hedge().layer().layer(Leaf));
    group.finish();
}

pub(crate) fn stacks(c: &mut Criterion) {
    let mut group = c.benchmark_group("stack");
    for length in [1, 3, 5, 8] {
        bench!(group, length.to_string(), stack(length));
    }
    group.finish();

    let mut group = c.benchmark_group("stack, Layer");
    for length in [1, 3, 5, 8] {
        let guarded = stack(length).layer().layer(Leaf);
        service(&mut group, &length.to_string(), guarded);
    }
    group.finish();
}

fn service<I: Service<u64>>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut service: I) {
    group.bench_function(name, |b| b.iter(|| once(service.call(black_box(7)))));
}
