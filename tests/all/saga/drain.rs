//! An engine that is stopped gently.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{Abort, Builder, Flow, SagaRef, StartError, Status};

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
