//! Each policy alone, letting through and refusing, and five in a stack, through both surfaces and
//! from two threads at once. For comparing one commit with another: `cargo bench`. Here tokio comes
//! with `test-util`, whose clock is slower; what a service pays, and what peers cost, is measured in
//! `benches/peers`.
#![allow(clippy::expect_used)] // settings that are right

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use seawall::retry::Backoff;
use seawall::{Bulkhead, CircuitBreaker, Hedge, Pipeline, RateLimit, Retry, Timeout};
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{Layer, Service};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

criterion_group!(benches, pass, refuse, stack, contended);
criterion_main!(benches);

/// One poll: nothing here has to wait.
#[inline(always)]
fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The guard around an operation that is ready at once. A macro, so that each place has closures of
/// its own, as programs have.
macro_rules! bench {
    ($group:expr, $name:expr, $guard:expr) => {
        let guard = $guard;
        $group.bench_function($name, |b| {
            b.iter(|| once(guard.run(|| async { Ok::<u64, Infallible>(black_box(7)) })));
        });
    };
}

fn bench_service<I: Service<u64>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut service: I,
) {
    group.bench_function(name, |b| b.iter(|| once(service.call(black_box(7)))));
}

#[derive(Clone)]
struct Leaf;

impl Service<u64> for Leaf {
    type Response = u64;
    type Error = Infallible;
    type Future = std::future::Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

fn consecutive() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("bench").consecutive_failures(5).build();
    breaker.expect("five failures")
}

fn windowed() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("a rate over a hundred calls")
}

fn retry() -> Retry {
    Retry::attempts(3)
        .backoff(Backoff::exponential(S).jitter())
        .build()
        .expect("three attempts")
}

fn rate_limit() -> RateLimit {
    RateLimit::new(1_000_000_000, S)
        .burst(1_000_000)
        .build()
        .expect("more than the loop can spend")
}

fn five() -> Pipeline {
    Pipeline::builder("bench")
        .with(Timeout::after(S))
        .with(retry())
        .with(windowed())
        .with(Bulkhead::new(100))
        .with(rate_limit())
        .build()
        .expect("five policies")
}

fn pass(c: &mut Criterion) {
    let mut group = c.benchmark_group("pass");
    bench!(group, "timeout", Timeout::after(S).build().expect("1 s"));
    bench!(group, "retry", retry());
    bench!(group, "breaker, consecutive", consecutive());
    bench!(group, "breaker, count window", windowed());
    bench!(group, "bulkhead", Bulkhead::new(100).build().expect("100"));
    bench!(group, "rate limit", rate_limit());
    bench!(group, "hedge", Hedge::after(S).build().expect("1 s"));
    group.finish();

    let mut group = c.benchmark_group("pass, Layer");
    bench_service(&mut group, "retry", retry().layer().layer(Leaf));
    bench_service(&mut group, "breaker", windowed().layer().layer(Leaf));
    group.finish();
}

fn refuse(c: &mut Criterion) {
    let mut group = c.benchmark_group("refuse");
    let breaker = CircuitBreaker::new("bench")
        .consecutive_failures(1)
        .break_for(HOUR)
        .build()
        .expect("one failure");
    once(breaker.run(|| async { Err::<u64, &str>("down") }));
    bench!(group, "breaker", breaker);
    bench!(group, "bulkhead", Bulkhead::new(0).build().expect("none"));
    let spent = RateLimit::new(1, HOUR).build().expect("one an hour");
    once(spent.run(|| async { Ok::<u64, Infallible>(7) }));
    bench!(group, "rate limit", spent);
    group.finish();
}

fn stack(c: &mut Criterion) {
    let mut group = c.benchmark_group("five");
    bench!(group, "run", five());
    bench_service(&mut group, "Layer", five().layer().layer(Leaf));
    group.finish();
}

/// Beside a second thread that makes the same calls through the same handles all the time.
fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("beside another thread");
    let (guard, over) = (five(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                once(guard.run(|| async { Ok::<u64, Infallible>(black_box(7)) }));
            }
        });
        bench!(group, "five", &guard);
        over.store(true, Ordering::Relaxed);
    });
    group.finish();
}
