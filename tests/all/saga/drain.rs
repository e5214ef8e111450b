//! An engine that is stopped gently.
use super::{
    hooked::Hooked,
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, clock, step},
};
use seawall::saga::{Abort, Builder, Engine, Flow, SagaRef, StartError, Status};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::sync::Notify;

fn two(b: &mut Builder<World>) -> SagaRef<(), String> {
    let x = step!(b, "a")
        .retry(every(3, 3).timeout(secs(60)))
        .register();
    let y = step!(b, "b").retry(every(3, 3)).register();
    b.saga("two", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        Ok::<_, Abort>(saga.call(y, ()).await?)
    })
}

#[tokio::test(start_paused = true)]
async fn s30_actions_under_way_are_written_down_and_none_is_started() {
    let stage = Stage::with(World::with([("a", vec![Way::Slow])]));
    let mut b = stage.builder();
    let saga = two(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    pass(0).await;
    let begin = stage.now();
    engine.drain().await.unwrap();
    assert!(
        (30..60).contains(&(stage.now() - begin)),
        "no longer than the action"
    );
    assert_eq!(stage.world.log(), ["run a"]);
    // The outcome, and nothing that follows from it.
    assert_eq!(
        stage.jot("two", "k").await,
        ["started", "step 0 a", "done 0"]
    );
    assert_eq!(
        (engine.in_memory(), stage.status("two", "k").await),
        (0, Status::Running)
    );
    pass(3600).await;
    assert_eq!(stage.world.log(), ["run a"]);

    let refused = engine.start(saga, "other", ()).await.unwrap_err();
    assert!(matches!(refused, StartError::Draining), "{refused}");
    let mut b = stage.builder();
    let saga = two(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), "b done");
    assert_eq!(stage.world.log(), ["run a", "run b"]);
    assert_eq!(
        (stage.attempts("a"), stage.attempts("b")),
        (vec![1], vec![1])
    );
}

#[tokio::test(start_paused = true)]
async fn a_handle_on_an_engine_that_is_stopped_ends_and_says_so() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("s", |saga: Flow, (): ()| async move {
        saga.wait_for::<Paid>().await;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let waiting = tokio::spawn(async move { handle.outcome().await });
    pass(1).await;
    engine.drain().await.unwrap();
    let end = waiting.await.unwrap().unwrap_err().to_string();
    assert!(end.contains("engine"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn s30_drains_one_after_the_other_at_any_moment_lose_nothing_and_repeat_nothing() {
    for step in [300, 700, 1100, 2300, 3700] {
        let stage = Stage::with(World::with([
            ("a", vec![Way::Transient, Way::Slow]),
            ("b", vec![Way::Lost]),
        ]));
        let mut done = false;
        for _ in 0..400 {
            let mut b = stage.builder();
            let saga = two(&mut b);
            let engine = b.build().await.unwrap();
            let mut handle = engine.start(saga, "k", ()).await.unwrap();
            let time = std::time::Duration::from_micros(step);
            if let Ok(end) = tokio::time::timeout(time, handle.outcome()).await {
                assert_eq!(end.unwrap(), "b done");
                done = true;
                break;
            }
            engine.drain().await.unwrap();
        }
        if !done {
            // The waits of three seconds are longer than all of it.
            let mut b = stage.builder();
            let saga = two(&mut b);
            let engine = b.build().await.unwrap();
            let mut handle = engine.start(saga, "k", ()).await.unwrap();
            assert_eq!(handle.outcome().await.unwrap(), "b done");
        }
        let attempts = (stage.attempts("a"), stage.attempts("b"));
        assert_eq!(attempts, (vec![1, 2], vec![1, 2]), "every {step} us");
        assert_eq!(stage.world.net(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s30_an_undo_under_way_is_written_down_as_well() {
    let script = [("b", vec![Way::Refuse]), ("undo a", vec![Way::Slow])];
    let stage = Stage::with(World::with(script));
    let mut b = stage.builder();
    let saga = two(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(stage.world.log().last().unwrap(), "undo a");
    engine.drain().await.unwrap();
    let mut b = stage.builder();
    let saga = two(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.world.log(), ["run a", "run b", "undo a"]);
}

/// Lives of a saga that calls `a`. Those before `life` end in a death after a second; in that one the
/// engine is stopped in the middle of `call` to its store; the next goes on to the saga's end.
async fn stopped_in(call: &'static str, life: usize, ways: Vec<Way>) -> World {
    let world = World::with([("a", ways)]);
    let (armed, reached) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (is_armed, here) = (armed.clone(), reached.clone());
    let store = Hooked::new(move |what| {
        let (slow, here) = (what == call && is_armed.load(SeqCst), here.clone());
        async move {
            if slow {
                here.notify_one();
                pass(1).await;
            }
            Ok(())
        }
    });
    let tell = Arc::new(clock());
    for now in 0..=life + 1 {
        armed.store(now == life, SeqCst);
        let tell = tell.clone();
        let mut b = Engine::builder(world.clone(), store.clone());
        b.wall_clock(move || tell());
        let a = step!(b, "a").retry(every(1, 3)).register();
        let saga = b.saga("one", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(a, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let starting = engine.clone();
        let started = tokio::spawn(async move { starting.start(saga, "k", ()).await });
        if now == life {
            reached.notified().await;
            engine.drain().await.unwrap();
            started.abort();
        } else if now > life {
            let mut handle = started.await.unwrap().unwrap();
            handle.outcome().await.unwrap_err();
        } else {
            pass(1).await;
            drop(engine);
            pass(0).await;
            store.store.owners_died();
        }
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_written_down_and_not_begun_leaves_no_doubt() {
    let world = stopped_in("create", 0, vec![Way::Refuse]).await;
    assert_eq!(world.log(), ["run a"], "refused at once, so never undone");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_a_death_has_left_is_not_taken_away_by_a_drain() {
    let world = stopped_in("inbox", 1, vec![Way::Never, Way::Refuse]).await;
    assert_eq!(world.log(), ["run a", "run a", "undo a"]);
}

/// Brought back by a signal just as the engine was stopped, its step was written down as one that had
/// not begun, to be begun at once.
#[tokio::test(start_paused = true)]
async fn s37_a_drain_does_not_shorten_the_wait_of_a_saga_that_is_just_being_taken_up() {
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = armed.clone();
    let store = Hooked::new(move |call| {
        let slow = call == "claim" && is_armed.load(SeqCst);
        async move {
            if slow {
                pass(10).await;
            }
            Ok(())
        }
    });
    let world = World::with([("a", vec![Way::Transient])]);
    let tell = Arc::new(clock());
    let make = |store: &Hooked| {
        let mut b = Engine::builder(world.clone(), store.clone());
        let tell = tell.clone();
        b.wall_clock(move || tell());
        let a = step!(b, "a").retry(every(600, 2)).register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            let (done, _) = tokio::join!(saga.call(a, ()), saga.wait_for::<Paid>());
            Ok::<_, Abort>(done?)
        });
        (b, saga)
    };
    let (b, saga) = make(&store);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    armed.store(true, SeqCst);
    engine.signal("s", "k", "m", &Paid(1)).await.unwrap();
    pass(1).await;
    engine.drain().await.unwrap();
    armed.store(false, SeqCst);

    let (b, saga) = make(&store);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(580).await;
    assert_eq!(world.log(), ["run a"], "it waits for ten minutes");
    assert_eq!(handle.outcome().await.unwrap(), "a done");
}
