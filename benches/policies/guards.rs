//! The guards that are measured, and the operation behind them.
use seawall::pipeline::Builder;
use seawall::retry::Backoff;
use seawall::{Bulkhead, CircuitBreaker, Hedge, Pipeline, RateLimit, Retry, Timeout};
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::Service;

pub(crate) const S: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// One poll: the call need not wait.
#[inline(always)]
pub(crate) fn once<F: Future>(future: F) -> Option<F::Output> {
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
            b.iter(|| {
                $crate::guards::once(
                    guard.run(|| async {
                        Ok::<u64, std::convert::Infallible>(std::hint::black_box(7))
                    }),
                )
            });
        });
    };
}

pub(crate) use bench;

/// The operation, as a service.
#[derive(Clone)]
pub(crate) struct Leaf;

impl Service<u64> for Leaf {
    type Response = u64;
    type Error = Infallible;
    type Future = std::future::Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        std::future::ready(Ok(black_box(request)))
    }
}

pub(crate) fn timeout() -> Timeout {
    Timeout::after(S).build().expect("a second")
}

pub(crate) fn retry() -> Retry {
    Retry::attempts(3)
        .backoff(Backoff::exponential(S).jitter())
        .build()
        .expect("three attempts")
}

pub(crate) fn consecutive() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("bench").consecutive_failures(5).build();
    breaker.expect("five failures")
}

pub(crate) fn windowed() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("a rate over a hundred calls")
}

pub(crate) fn timed() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .time_window(10 * S)
        .minimum_calls(20)
        .build()
        .expect("a rate over ten seconds")
}

pub(crate) fn slow() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .slow_call_rate(0.5, S)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("a rate over a hundred calls")
}

/// Open for an hour.
pub(crate) fn open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("bench")
        .consecutive_failures(1)
        .break_for(HOUR)
        .build()
        .expect("one failure");
    once(breaker.run(|| async { Err::<u64, &str>("down") }));
    breaker
}

pub(crate) fn bulkhead() -> Bulkhead {
    Bulkhead::new(100).build().expect("a hundred permits")
}

pub(crate) fn full() -> Bulkhead {
    Bulkhead::new(0).build().expect("none at all")
}

/// More than a loop can spend, also for a thread that comes with an old reading of the clock.
pub(crate) fn rate_limit() -> RateLimit {
    let limit = RateLimit::new(1_000_000_000, S).build();
    limit.expect("a thousand million a second")
}

/// One that has given its only permit of this hour.
pub(crate) fn spent() -> RateLimit {
    let limit = RateLimit::new(1, HOUR).build().expect("one an hour");
    once(limit.run(|| async { Ok::<u64, Infallible>(7) }));
    limit
}

pub(crate) fn hedge() -> Hedge {
    Hedge::after(S).build().expect("a second")
}

/// The first so many of eight.
pub(crate) fn stack(length: usize) -> Pipeline {
    let policies: [fn(Builder) -> Builder; 8] = [
        |b| b.with(timeout()),
        |b| b.with(retry()),
        |b| b.with(windowed()),
        |b| b.with(bulkhead()),
        |b| b.with(rate_limit()),
        |b| b.with(hedge()),
        |b| b.with(consecutive()),
        |b| b.with(timeout()),
    ];
    let start = Pipeline::builder("bench");
    let pipeline = policies.iter().take(length).fold(start, |b, with| with(b));
    pipeline.build().expect("at most eight")
}
