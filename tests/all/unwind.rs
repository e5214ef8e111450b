//! Whoever catches a panic that went through a call uses the handles on, without `AssertUnwindSafe`,
//! and finds nothing held, nothing half done.
use crate::support::{MS, S};
use seawall::circuit_breaker::State;
use seawall::retry::{Backoff, RetryBudget};
use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, Operator, Outcome, StepContext};
use seawall::{Bulkhead, CircuitBreaker, Event, Hedge, Name, Pipeline, RateLimit, Retry, Timeout};
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Runs an operation that panics, inside of what `run` makes of a handle.
fn panics<T: Clone + UnwindSafe + RefUnwindSafe>(handle: &T, run: fn(&T, &Runtime)) {
    let panic = catch_unwind(|| run(handle, &runtime())).unwrap_err();
    assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "mine");
    let own = handle.clone();
    catch_unwind(move || run(&own, &runtime())).unwrap_err();
}

macro_rules! runs {
    ($type:ty) => {
        |handle: &$type, runtime: &Runtime| {
            let run = handle.run(|| async {
                tokio::time::sleep(MS).await;
                if true {
                    panic!("mine");
                }
                Ok::<_, ()>(())
            });
            drop(runtime.block_on(run));
        }
    };
}

#[test]
fn a_policy_goes_on_after_a_panic_that_was_caught() {
    let bulkhead = Bulkhead::new(1).build().unwrap();
    panics(&bulkhead, runs!(Bulkhead));
    assert_eq!(bulkhead.in_flight(), 0);
    let breaker = CircuitBreaker::new("c").consecutive_failures(2);
    let breaker = breaker.build().unwrap();
    panics(&breaker, runs!(CircuitBreaker));
    assert_eq!(breaker.state(), State::Open);
    let limit = RateLimit::per_second(2).burst(2).name("r").build().unwrap();
    panics(&limit, runs!(RateLimit));
    assert_eq!(limit.snapshot().available, 0);
    let budget = RetryBudget::new(0.5).build().unwrap();
    let retry = Retry::attempts(3).budget(&budget).build().unwrap();
    panics(&retry, runs!(Retry));
    let timeout = Timeout::after(S).name("t").build().unwrap();
    panics(&timeout, runs!(Timeout));
    let hedge = Hedge::after(S).build().unwrap();
    panics(&hedge, runs!(Hedge));
    runtime().block_on(async {
        let ok = || async { Ok::<_, ()>(7) };
        assert_eq!(bulkhead.run(ok).await, Ok(7));
        assert_eq!(retry.run(ok).await, Ok(7));
        assert_eq!(timeout.run(ok).await, Ok(7));
        assert_eq!(hedge.run(ok).await, Ok(7));
    });
}

#[test]
fn a_pipeline_goes_on_after_a_panic_that_was_caught_although_its_observer_panics_too() {
    let bulkhead = Bulkhead::new(1).build().unwrap();
    let pipeline = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(2).backoff(Backoff::none()))
        .with(bulkhead.clone())
        .observer(|_: Name, _: &Event<'_>| panic!("the observer's"))
        .build()
        .unwrap();
    panics(&pipeline, runs!(Pipeline));
    assert_eq!(bulkhead.in_flight(), 0);
    let fails = || async { Err::<(), _>(1) };
    runtime().block_on(pipeline.run(fails)).unwrap_err();
    assert_eq!(bulkhead.in_flight(), 0);
}

async fn touch(_: Arc<()>, _: StepContext, n: u32) -> Result<u32, Failure> {
    Ok(n)
}

async fn untouch(_: Arc<()>, _: StepContext, _: u32, _: Outcome<u32>) -> Result<(), Failure> {
    Ok(())
}

/// Serialized by code that panics.
#[derive(serde::Deserialize)]
struct Panics(u32);

impl serde::Serialize for Panics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 > 0, "mine");
        serializer.serialize_u32(self.0)
    }
}

#[test]
fn an_engine_and_its_handles_go_on_after_a_panic_that_was_caught() {
    let runtime = runtime();
    let (engine, saga) = runtime.block_on(async {
        let mut b = Engine::builder((), MemoryStore::new());
        let step = b.step("touch", touch, untouch).register();
        let saga = b.saga("s", move |saga: Flow, n: Panics| async move {
            Ok::<_, Abort>(saga.call(step, n.0).await?)
        });
        (b.build().await.unwrap(), saga)
    });
    let operator: Operator = engine.operator("ann");
    let own = engine.clone();
    let caught = catch_unwind(|| drop(own.start(saga, "k", Panics(0))));
    assert!(caught.is_err());
    let mut handle = runtime
        .block_on(async { engine.start(saga, "k", Panics(7)).await })
        .unwrap();
    let caught = catch_unwind(|| {
        let (_held, _and) = (&handle, &operator);
        panic!("mine");
    });
    assert!(caught.is_err());
    assert_eq!(runtime.block_on(handle.outcome()).unwrap(), 7);
    let kept = runtime.block_on(async { operator.show(handle.id()).await });
    assert!(kept.unwrap().damage.is_empty());
}
