//! Children whose parent is given up, whose store fails, or whose end somebody's signal looks like.
use super::{
    hooked::Hooked,
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, clock, step},
};
use seawall::saga::{
    Abort, Builder, Engine, Flow, OnUnknown, Outcome, SagaError, SagaRef, Status, StepContext,
    StepRetry, Store as _, StoreError, nothing_to_undo, store::Query,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use tokio::time::timeout;

/// A child that runs `a` and waits for a signal that nobody sends; beside it, `c`.
fn family(b: &mut Builder<World>, beside: bool) -> SagaRef<(), ()> {
    let (a, c) = (step!(b, "a").register(), step!(b, "c").register());
    let kid = b.saga("kid", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let undo = |world: Arc<World>, cx: StepContext, (): (), _: Outcome<u32>| async move {
        world.undo("kid", cx).await
    };
    let kid = b.child("kid", kid, undo);
    b.saga("parent", move |saga: Flow, (): ()| async move {
        if beside {
            tokio::try_join!(saga.child(kid, ()), saga.call(c, ()))?;
        } else {
            saga.child(kid, ()).await?;
        }
        Ok::<_, Abort>(())
    })
}

async fn called_back(stage: &Stage) {
    let kid = stage.key_of("kid").await;
    assert_eq!(stage.status("kid", &kid).await, Status::Compensated);
    assert_eq!(stage.status("parent", "k").await, Status::Compensated);
    let jot = stage.jot("kid", &kid).await;
    let cancelled = jot.iter().filter(|event| *event == "cancelled").count();
    assert_eq!(cancelled, 1, "{jot:?}");
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_running_child_is_cancelled_when_its_parent_is_given_up_for_a_step_beside_it() {
    let stage = Stage::with(World::with([("c", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let parent = family(&mut b, true);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    let end = timeout(secs(99), handle.outcome()).await.unwrap();
    assert!(matches!(end, Err(SagaError::Compensated { .. })), "{end:?}");
    called_back(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_running_child_is_cancelled_with_its_parent_and_at_its_parents_deadline() {
    for deadline in [None, Some(secs(20))] {
        let stage = Stage::new();
        let mut b = stage.builder();
        let parent = family(&mut b, false);
        let engine = b.build().await.unwrap();
        let start = engine.start(parent, "k", ());
        let start = match deadline {
            Some(after) => start.deadline(after),
            None => start,
        };
        let mut handle = start.await.unwrap();
        pass(1).await;
        assert_eq!(engine.in_memory(), 0);
        if deadline.is_none() {
            handle.cancel("not wanted").await.unwrap();
        }
        let end = timeout(secs(99), handle.outcome()).await.unwrap();
        assert!(matches!(end, Err(SagaError::Compensated { .. })), "{end:?}");
        called_back(&stage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_signal_of_a_user_takes_the_place_of_a_childs_end() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let parent = family(&mut b, false);
    let engine = b.build().await.unwrap();
    for id in ["child/0", "child/1"] {
        engine.signal("parent", "k", id, &Paid(1)).await.unwrap();
    }
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    let kid = stage.key_of("kid").await;
    engine.signal("kid", &kid, "m", &Paid(2)).await.unwrap();
    timeout(secs(99), handle.outcome()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_could_not_be_looked_up_may_be_there_and_is_called_back_all_the_same() {
    let fails = Arc::new(AtomicBool::new(false));
    let failing = fails.clone();
    let store = Hooked::new(move |call| {
        let fail = call == "load whole" && failing.load(SeqCst);
        async move {
            match fail {
                true => Err(StoreError::Read("a bad sector".into())),
                false => Ok(()),
            }
        }
    });
    let world = World::default();
    let mut b = Engine::builder(world.clone(), store.clone());
    b.wall_clock(clock());
    let parent = family(&mut b, false);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    fails.store(true, SeqCst);
    handle.cancel("not wanted").await.unwrap();
    pass(5).await;
    fails.store(false, SeqCst);
    let end = timeout(secs(99), handle.outcome()).await.unwrap();
    assert!(matches!(end, Err(SagaError::Compensated { .. })), "{end:?}");
    assert_eq!(world.net(), 0);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.compensated, counts.waiting), (2, 0), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_too_large_to_be_written_parks_its_parent() {
    let created = Arc::new(AtomicBool::new(false));
    let store = Hooked::new(move |call| {
        // The parent is written, and its child is not.
        let fail = call == "create" && created.swap(true, SeqCst);
        async move {
            let (field, value, most) = ("the journal row", 2, 1);
            match fail {
                true => Err(StoreError::TooLarge { field, value, most }),
                false => Ok(()),
            }
        }
    });
    let mut b = Engine::builder(World::default(), store);
    b.wall_clock(clock());
    let parent = family(&mut b, false);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    let end = timeout(secs(99), handle.outcome()).await.unwrap();
    let why = end.unwrap_err().to_string();
    assert!(why.contains("at most 1 can be stored"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_parent_on_its_way_back_leaves_its_place_to_the_child_that_it_waits_for() {
    let script = [
        ("c", vec![Way::Lost]),
        // The child has to leave memory before it is tried again.
        ("undo a", vec![Way::Transient]),
    ];
    let stage = Stage::with(World::with(script));
    let mut b = stage.builder();
    b.max_running(1);
    let a = step!(b, "a").retry(every(20, 3)).register();
    let parks = StepRetry::attempts(1).on_unknown(OnUnknown::Park);
    let c = step!(b, "c").retry(parks).register();
    let kid = b.saga("kid", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let kid = b.child("kid", kid, nothing_to_undo);
    let parent = b.saga("parent", move |saga: Flow, (): ()| async move {
        let late = async {
            saga.sleep(secs(30)).await;
            saga.call(c, ()).await
        };
        tokio::try_join!(saga.child(kid, ()), late)?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.status("parent", "k").await, Status::Stuck);
    let ann = engine.operator("ann");
    ann.abort(handle.id(), "not wanted").await.unwrap();
    pass(99).await;
    called_back(&stage).await;
}

/// The parent was ended by force while its child ran, and deleted; the child told its end to the next
/// saga that was started under the parent's key, which took it for that of its own.
#[tokio::test(start_paused = true)]
async fn a_child_tells_its_end_to_no_other_saga_that_has_its_parents_key() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.keep_at_most(0);
    let parent = family(&mut b, false);
    let engine = b.build().await.unwrap();
    let first = engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    let orphan = stage.key_of("kid").await;
    let operator = engine.operator("ann");
    operator.force_end(first.id(), "lost").await.unwrap();
    pass(61).await;
    assert_eq!(stage.store.find("parent", "k").await.unwrap(), None);

    let mut second = engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    let kids = stage.store.list(Query::new(9)).await.unwrap();
    let own = kids
        .iter()
        .find(|saga| saga.name == "kid" && saga.key != orphan);
    let own = own.unwrap().key.clone();
    engine.signal("kid", &orphan, "m", &Paid(1)).await.unwrap();
    pass(1).await;
    assert_eq!(stage.status("parent", "k").await, Status::Waiting);
    engine.signal("kid", &own, "m", &Paid(2)).await.unwrap();
    timeout(secs(99), second.outcome()).await.unwrap().unwrap();
}

/// It could not be told while it was stuck, and went on with its steps when the code fitted again, for
/// a parent that had been given up.
#[tokio::test(start_paused = true)]
async fn a_child_that_was_stuck_when_its_parent_was_given_up_goes_on_backward() {
    for operated in [false, true] {
        let stage = Stage::new();
        let make = |fits: bool| {
            let mut b = stage.builder();
            let (a, c) = (step!(b, "a").register(), step!(b, "c").register());
            let kid = b.saga("kid", move |saga: Flow, (): ()| async move {
                saga.call(if fits { a } else { c }, ()).await?;
                saga.wait_for::<Paid>().await;
                saga.call(c, ()).await?;
                Ok::<_, Abort>(())
            });
            let kid = b.child("kid", kid, nothing_to_undo);
            let parent = b.saga("parent", move |saga: Flow, (): ()| async move {
                Ok::<_, Abort>(saga.child(kid, ()).await?)
            });
            (b, parent)
        };
        let (b, parent) = make(true);
        let engine = b.build().await.unwrap();
        engine.start(parent, "k", ()).await.unwrap();
        pass(1).await;
        let kid = stage.key_of("kid").await;
        engine.signal("kid", &kid, "m", &Paid(1)).await.unwrap();
        stage.die(engine).await;

        let (b, parent) = make(false);
        let engine = b.build().await.unwrap();
        pass(1).await;
        assert_eq!(stage.status("kid", &kid).await, Status::Stuck);
        let handle = engine.start(parent, "k", ()).await.unwrap();
        handle.cancel("not wanted").await.unwrap();
        pass(60).await;
        assert_eq!(stage.status("kid", &kid).await, Status::Stuck, "it waits");
        let jot = stage.jot("kid", &kid).await;
        let cancelled = jot.iter().filter(|event| *event == "cancelled").count();
        assert_eq!(cancelled, 1, "{jot:?}");
        if operated {
            let id = stage.id("kid", &kid).await;
            let operator = engine.operator("ann");
            operator.abort(id, "its parent is cancelled").await.unwrap();
        } else {
            stage.die(engine).await;
            let (b, _) = make(true);
            let _engine = b.build().await.unwrap();
            pass(60).await;
        }
        pass(60).await;
        assert_eq!(stage.world.log(), ["run a", "undo a"]);
        for (name, key) in [("kid", &*kid), ("parent", "k")] {
            let status = stage.status(name, key).await;
            assert_eq!(status, Status::Compensated, "{name}");
        }
    }
}

/// Its process died before the child was there. The next one began it, to cancel it at once.
#[tokio::test(start_paused = true)]
async fn no_child_is_begun_for_a_parent_that_is_given_up_by_then() {
    let creates = AtomicUsize::new(0);
    let store = Hooked::new(move |call| {
        // The second is the child's.
        let never = call == "create" && creates.fetch_add(1, SeqCst) == 1;
        async move {
            if never {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let (world, tell) = (World::default(), Arc::new(clock()));
    let make = || {
        let mut b = Engine::builder(world.clone(), store.clone());
        let tell = tell.clone();
        b.wall_clock(move || tell());
        let parent = family(&mut b, false);
        (b, parent)
    };
    let (b, parent) = make();
    let engine = b.build().await.unwrap();
    let start = engine.start(parent, "k", ()).deadline(secs(20));
    start.await.unwrap();
    pass(1).await;
    drop(engine);
    pass(20).await;
    store.store.owners_died();

    let (b, parent) = make();
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    let end = timeout(secs(99), handle.outcome()).await.unwrap();
    assert!(matches!(end, Err(SagaError::Compensated { .. })), "{end:?}");
    assert_eq!(world.log(), [""; 0]);
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.compensated, 1, "the parent alone: {counts:?}");
}
