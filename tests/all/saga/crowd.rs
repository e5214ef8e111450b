//! More sagas than there is room for in memory.
use super::{
    hooked::Hooked,
    stage::{pass, secs},
    world::clock,
};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, MemoryStore, SagaRef, StepContext, nothing_to_undo,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use tokio::time::timeout;

/// Takes ten seconds.
fn slow(b: &mut Builder<()>) -> SagaRef<(), ()> {
    let run = async |_: Arc<()>, _: StepContext, (): ()| {
        tokio::time::sleep(secs(10)).await;
        Ok::<_, Failure>(())
    };
    let a = b.step("a", run, nothing_to_undo).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

/// An engine with one place, whose store answers this call so many seconds late, once it is told to.
async fn one_place(
    slow_call: &'static str,
    seconds: u64,
) -> (Engine<()>, SagaRef<(), ()>, Arc<AtomicBool>) {
    let late = Arc::new(AtomicBool::new(false));
    let is_late = late.clone();
    let store = Hooked::new(move |call| {
        let wait = call == slow_call && is_late.load(SeqCst);
        async move {
            if wait {
                pass(seconds).await;
            }
            Ok(())
        }
    });
    let mut b = Engine::builder((), store);
    b.wall_clock(clock()).max_running_of("s", 1);
    let saga = slow(&mut b);
    let engine = b.build().await.unwrap();
    // It has looked, and there was nothing to take up.
    pass(0).await;
    (engine, saga, late)
}

#[tokio::test(start_paused = true)]
async fn one_that_has_ended_before_its_start_came_back_tells_its_end() {
    let (engine, saga, late) = one_place("created", 60).await;
    engine.start(saga, "first", ()).await.unwrap();
    late.store(true, SeqCst);
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.start(saga, "second", ()).await.unwrap() }
    });
    pass(1).await;
    // Somebody else's saga has the engine look for what is due.
    late.store(false, SeqCst);
    engine.start(saga, "third", ()).await.unwrap();
    let mut second = waiting.await.unwrap();
    timeout(secs(99), second.outcome()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_whose_start_was_dropped_after_it_was_written_down_runs() {
    let (engine, saga, late) = one_place("created", 60).await;
    engine.start(saga, "first", ()).await.unwrap();
    late.store(true, SeqCst);
    let start = async { engine.start(saga, "second", ()).await };
    timeout(secs(1), start).await.unwrap_err();
    late.store(false, SeqCst);
    let mut second = engine.start(saga, "second", ()).await.unwrap();
    timeout(secs(200), second.outcome()).await.unwrap().unwrap();
}

/// The engine looks for sagas without a name that is full, and only then notes that it did. Who
/// ended in between, and saw no such note, woke nobody: the one in line stayed there until another
/// saga came.
#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_while_the_engine_looks_is_not_overlooked() {
    let (engine, saga, late) = one_place("claim", 6).await;
    // Ends at ten seconds: in the second of the looks that the second saga brings about, in which
    // this name is left out.
    engine.start(saga, "first", ()).await.unwrap();
    late.store(true, SeqCst);
    let mut second = engine.start(saga, "second", ()).await.unwrap();
    let end = timeout(secs(600), second.outcome()).await;
    end.expect("it is never taken up").unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_parked_for_their_code_are_not_all_in_memory_at_once_when_it_fits() {
    const MANY: usize = 300;
    let store = MemoryStore::new();
    let tell = Arc::new(clock());
    let most = Arc::new(AtomicUsize::new(0));
    let build = |fits: bool| {
        let mut b = Engine::builder((), store.clone());
        let tell = tell.clone();
        b.wall_clock(move || tell());
        let saga = fits.then(|| {
            b.saga("s", |saga: Flow, (): ()| async move {
                saga.sleep(secs(6)).await;
                saga.sleep(secs(1)).await;
                Ok::<_, Abort>(())
            })
        });
        async move { (b.build().await.unwrap(), saga) }
    };
    let (engine, saga) = build(true).await;
    for n in 0..MANY {
        let start = engine.start(saga.unwrap(), n.to_string(), ());
        start.await.unwrap();
    }
    drop(engine);
    pass(7).await;
    let (engine, _) = build(false).await;
    pass(7).await;
    assert_eq!(engine.counts().await.unwrap().stuck, MANY as u64);
    drop(engine);
    let (engine, _) = build(true).await;
    for _ in 0..6_000 {
        tokio::time::sleep(super::stage::ms(10)).await;
        most.fetch_max(engine.in_memory(), SeqCst);
    }
    assert_eq!(engine.counts().await.unwrap().finished, MANY as u64);
    let most = most.load(SeqCst);
    assert!(most <= 64, "{most} in memory");
}

/// A step that takes a second, and the most of them that there were at a time.
fn counted(b: &mut Builder<()>) -> (SagaRef<u32, ()>, Arc<AtomicUsize>) {
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let seen = most.clone();
    let run = move |_: Arc<()>, _: StepContext, (): ()| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(secs(1)).await;
            now.fetch_sub(1, SeqCst);
            Ok::<_, Failure>(())
        }
    };
    let a = b.step("a", run, nothing_to_undo).register();
    let kid = b.saga("kid", move |saga: Flow, _: u32| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    (kid, seen)
}

#[tokio::test(start_paused = true)]
async fn parents_that_stay_in_memory_leave_their_places_to_their_children() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.wall_clock(clock()).max_running(2);
    let (kid, most) = counted(&mut b);
    let kid = b.child("kid", kid, nothing_to_undo);
    let parent = b.saga("parent", move |saga: Flow, (): ()| async move {
        // More than thirty: their waker is held from then on.
        let kids = (0..31).map(|n| saga.child(kid, n));
        futures_util::future::try_join_all(kids).await?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut parents = Vec::new();
    for key in ["a", "b", "c"] {
        parents.push(engine.start(parent, key, ()).await.unwrap());
    }
    for mut handle in parents {
        let end = timeout(secs(999), handle.outcome()).await;
        end.expect("no place for a child").unwrap();
    }
    let most = most.load(SeqCst);
    assert!(most <= 2, "{most} at a time");
    // Given back, the places count again.
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    let starts = (0..4).map(|n| engine.start(parent, n.to_string(), ()).into_future());
    futures_util::future::try_join_all(starts).await.unwrap();
    pass(1).await;
    assert!(engine.in_memory() <= 6, "{} in memory", engine.in_memory());
}
