//! Who runs a saga: one task of one engine, and nobody once that engine is gone.
use super::{
    hooked::Hooked,
    stage::{Stage, pass, secs},
    world::{World, clock, step},
};
use seawall::saga::{
    Abort, Engine, Failure, Flow, MemoryStore, Outcome, Refused, StepContext, Store as _,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use tokio::{sync::Notify, time::timeout};

/// Attempts under way, each gone when its future is.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    fn begin(&self) -> Attempts {
        assert_eq!(self.0.fetch_add(1, SeqCst), 0, "two attempts at a time");
        self.clone()
    }
}

struct Attempt(Attempts);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_saga_taken_up_while_an_operator_looks_at_it_has_one_task() {
    let (armed, go) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (late, gone_on) = (armed.clone(), go.clone());
    let store = Hooked::new(move |call| {
        let wait = call == "load" && late.swap(false, SeqCst);
        let gone_on = gone_on.clone();
        async move {
            if wait {
                gone_on.notified().await;
            }
            Ok(())
        }
    });
    let (attempts, undone) = (Attempts::default(), Arc::new(Mutex::new(Vec::new())));
    let mut b = Engine::builder((), store);
    b.wall_clock(clock());
    let (under_way, beside) = (attempts.clone(), undone.clone());
    let slow = b
        .step(
            "slow",
            move |_: Arc<()>, _: StepContext, (): ()| {
                let attempt = Attempt(under_way.begin());
                async move {
                    tokio::time::sleep(secs(20)).await;
                    drop(attempt);
                    Ok::<_, Failure>(())
                }
            },
            move |_: Arc<()>, _: StepContext, (): (), _: Outcome<()>| {
                beside.lock().unwrap().push(attempts.0.load(SeqCst));
                async { Ok(()) }
            },
        )
        .register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        saga.sleep(secs(10)).await;
        Ok::<_, Abort>(saga.call(slow, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    armed.store(true, SeqCst);
    let other = engine.handle::<()>(handle.id());
    let cancel = tokio::spawn(async move { other.cancel("not wanted").await });
    pass(11).await;
    assert_eq!(engine.in_memory(), 1, "its step runs");
    go.notify_one();
    cancel.await.unwrap().unwrap();
    timeout(secs(99), handle.outcome())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        *undone.lock().unwrap(),
        [0],
        "no attempt ran beside the undo"
    );
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_an_operator_has_taken_over_before_its_start_came_back_is_started() {
    let store = Hooked::new(|call| async move {
        if call == "created" {
            pass(10).await;
        }
        Ok(())
    });
    let world = World::default();
    let mut b = Engine::builder(world.clone(), store.clone());
    b.wall_clock(clock());
    let a = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let start = tokio::spawn({
        let engine = engine.clone();
        async move { engine.start(saga, "k", ()).await }
    });
    pass(1).await;
    let id = store.find("s", "k").await.unwrap().unwrap();
    engine.handle::<()>(id).cancel("not wanted").await.unwrap();
    let mut handle = start.await.unwrap().unwrap();
    timeout(secs(99), handle.outcome())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_answers_and_takes_no_saga_from_the_next_one() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, wait: u64| async move {
        saga.sleep(secs(wait)).await;
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let inside = engine.start(saga, "inside", 2).await.unwrap();
    let outside = engine.start(saga, "outside", 60).await.unwrap();
    let late = engine.start(saga, "late", 1);
    pass(1).await;
    assert_eq!(engine.in_memory(), 1);
    drop(engine);
    for handle in [&inside, &outside] {
        let answer = timeout(secs(5), handle.cancel("not wanted")).await.unwrap();
        assert!(matches!(answer, Err(Refused::Draining)), "{answer:?}");
    }
    late.await.unwrap_err();
    assert_eq!(stage.store.find("s", "late").await.unwrap(), None);
    let kept = stage.store.load(outside.id(), false).await.unwrap();
    assert_eq!(kept.epoch, 1, "nobody has taken it over");
}

#[test]
fn a_saga_runs_in_the_runtime_of_its_engine_wherever_it_was_started() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (engines, callers) = (runtime(), runtime());
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let mut b = Engine::builder(go.clone(), MemoryStore::new());
    let run = async |go: Arc<Arc<tokio::sync::Semaphore>>, _: StepContext, (): ()| {
        let _permit = go.acquire().await?;
        Ok::<_, Failure>(7)
    };
    let a = b.step("a", run, seawall::saga::nothing_to_undo).register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = engines.block_on(b.build()).unwrap();
    let mut handle = callers.block_on(async { engine.start(saga, "k", ()).await.unwrap() });
    drop(callers);
    go.add_permits(9);
    let end = async { timeout(secs(20), handle.outcome()).await };
    assert_eq!(engines.block_on(end).unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn s30_drain_waits_for_what_is_just_being_taken_over() {
    let late = Arc::new(AtomicBool::new(false));
    let is_late = late.clone();
    let store = Hooked::new(move |call| {
        let wait = call == "claim" && is_late.load(SeqCst);
        async move {
            if wait {
                pass(10).await;
            }
            Ok(())
        }
    });
    let world = World::default();
    let mut b = Engine::builder(world.clone(), store.clone());
    b.wall_clock(clock());
    let make = |b: &mut seawall::saga::Builder<World>| {
        let a = step!(b, "a").register();
        b.saga("s", move |saga: Flow, (): ()| async move {
            saga.sleep(secs(6)).await;
            Ok::<_, Abort>(saga.call(a, ()).await?)
        })
    };
    let tell = Arc::new(clock());
    let saga = make(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    late.store(true, SeqCst);
    pass(7).await;
    engine.drain().await.unwrap();
    pass(20).await;
    assert!(world.log().is_empty(), "{:?}", world.log());

    let mut b = Engine::builder(world.clone(), store.store.clone());
    b.wall_clock(move || tell());
    make(&mut b);
    let _next = b.build().await.unwrap();
    pass(60).await;
    assert_eq!(world.log(), ["run a"]);
}
