//! What the paths of `benches/paths.rs` go through.
use seawall::retry::Backoff;
use seawall::saga::{
    Abort, Engine, Failure, Flow, MemoryStore, SagaRef, StepContext, nothing_to_undo,
};
use seawall::{Bulkhead, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout};
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower_service::Service;

pub const S: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);

/// One poll: nothing here has to wait.
#[inline(always)]
pub fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[derive(Clone)]
pub struct Leaf;

impl Service<u64> for Leaf {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

pub fn consecutive() -> CircuitBreaker {
    CircuitBreaker::new("b")
        .consecutive_failures(5)
        .build()
        .unwrap()
}

pub fn windowed() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("b").failure_rate(0.5).count_window(100);
    breaker.minimum_calls(20).build().unwrap()
}

pub fn timed() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("b")
        .failure_rate(0.5)
        .time_window(10 * S);
    breaker.minimum_calls(20).build().unwrap()
}

pub fn retry() -> Retry {
    let backoff = Backoff::exponential(S).jitter();
    Retry::attempts(3).backoff(backoff).build().unwrap()
}

pub fn rate_limit() -> RateLimit {
    let limit = RateLimit::new(1_000_000_000, S).burst(1_000_000);
    limit.build().unwrap()
}

pub fn four() -> Pipeline {
    let stack = Pipeline::builder("four").with(Timeout::after(S));
    let stack = stack.with(retry()).with(windowed());
    stack.with(Bulkhead::new(100)).build().unwrap()
}

pub fn five() -> Pipeline {
    let stack = Pipeline::builder("five").with(Timeout::after(S));
    let stack = stack.with(retry()).with(windowed());
    let stack = stack.with(Bulkhead::new(100)).with(rate_limit());
    stack.build().unwrap()
}

pub fn open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("b").consecutive_failures(1);
    let breaker = breaker.break_for(HOUR).build().unwrap();
    once(breaker.run(|| ready(Err::<u64, &str>("down"))));
    breaker
}

pub fn spent() -> RateLimit {
    let limit = RateLimit::new(1, HOUR).build().unwrap();
    once(limit.run(|| ready(Ok::<u64, Infallible>(7))));
    limit
}

async fn act(_: Arc<()>, _: StepContext, order: u32) -> Result<u32, Failure> {
    Ok(order)
}

/// A runtime, an engine in it, and its saga.
pub type Sagas = (Runtime, Engine<()>, SagaRef<u32, u32>);

pub fn engine() -> Sagas {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let (engine, saga) = runtime.block_on(async {
        let mut b = Engine::builder((), MemoryStore::new());
        let reserve = b.step("reserve", act, nothing_to_undo).register();
        let charge = b.step("charge", act, nothing_to_undo).register();
        let saga = b.saga("order", move |saga: Flow, order: u32| async move {
            saga.call(reserve, order).await?;
            let paid = saga.call(charge, order).await?;
            Ok::<_, Abort>(saga.call(reserve, paid).await?)
        });
        (b.build().await.unwrap(), saga)
    });
    (runtime, engine, saga)
}
