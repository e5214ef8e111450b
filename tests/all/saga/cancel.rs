//! A saga that is given up from outside: before, during and after its pivot.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{Abort, Builder, Flow, SagaRef, Settlement, Status, operator::Refused};

/// `a`, a signal, the pivot `b`, then `c`.
fn order(b: &mut Builder<World>) -> SagaRef<(), String> {
    let x = step!(b, "a")
        .retry(every(60, 3).timeout(secs(1000)))
        .register();
    let y = step!(b, "b")
        .retry(every(1, 2).timeout(secs(30)))
        .register();
    let z = step!(b, "c")
        .retry(every(1, 2).timeout(secs(30)))
        .register();
    b.saga("order", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        saga.wait_for::<Paid>().await;
        saga.pivot(y, ()).await?;
        Ok::<_, Abort>(saga.call(z, ()).await?)
    })
}

#[tokio::test(start_paused = true)]
async fn before_the_pivot_it_is_undone_and_says_by_whom() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    handle.cancel("changed my mind").await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert_eq!(
        end,
        "the saga was undone: cancelled by caller: changed my mind"
    );
    assert_eq!(stage.world.net(), 0);
    let over = handle.cancel("again").await.unwrap_err();
    assert!(matches!(over, Refused::Ended), "{over}");
}

#[tokio::test(start_paused = true)]
async fn s10_an_action_under_way_is_waited_for_before_anything_is_undone() {
    let stage = Stage::with(World::with([("a", vec![Way::Slow])]));
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.cancel("at once").await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.world.log(), ["run a", "undo a"]);
    assert!(stage.world.books().overlaps.is_empty());
    let jot = stage.jot("order", "k").await;
    let expected = [
        "started",
        "step 0 a",
        "cancelled",
        "done 0",
        "abort",
        "undone 0",
        "compensated",
    ];
    assert_eq!(jot, expected);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_its_next_attempt_gets_none() {
    for seconds in [1, 60] {
        let stage = Stage::with(World::with([("a", vec![Way::Transient; 9])]));
        let mut b = stage.builder();
        let a = step!(b, "a").retry(every(seconds, 9)).register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(a, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        handle.cancel("enough").await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        assert!(end.contains("enough"), "{end}");
        assert_eq!(stage.world.log(), ["run a"]);
    }
}

async fn at_the_pivot(ways: &[Way]) -> (Result<(), Refused>, Stage) {
    let stage = Stage::with(World::with([("b", ways.to_vec())]));
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    let handle = engine.start(saga, "k", ()).await.unwrap();
    while stage.world.log().last().is_none_or(|line| line != "run b") {
        tokio::time::sleep(std::time::Duration::from_micros(100)).await;
    }
    let answer = handle.cancel("too late?").await;
    pass(100).await;
    (answer, stage)
}

#[tokio::test(start_paused = true)]
async fn s12_during_the_pivot_it_waits_for_that_and_is_refused_where_that_is_done() {
    let (answer, stage) = at_the_pivot(&[Way::Slow]).await;
    assert!(matches!(answer, Err(Refused::PastPivot)), "{answer:?}");
    assert_eq!(stage.status("order", "k").await, Status::Finished);
    assert_eq!(stage.world.log(), ["run a", "run b", "run c"]);

    let (answer, stage) = at_the_pivot(&[Way::Refuse]).await;
    answer.unwrap();
    assert_eq!(stage.status("order", "k").await, Status::Compensated);
    assert_eq!(stage.world.log(), ["run a", "run b", "undo a"]);

    let (answer, stage) = at_the_pivot(&[Way::Lost, Way::Lost]).await;
    assert!(matches!(answer, Err(Refused::Stuck)), "{answer:?}");
    assert_eq!(stage.status("order", "k").await, Status::Stuck);
    assert_eq!(stage.world.log(), ["run a", "run b", "run b"]);
}

#[tokio::test(start_paused = true)]
async fn s12_after_the_pivot_it_is_refused_and_the_saga_goes_forward() {
    let stage = Stage::with(World::with([("c", vec![Way::Slow])]));
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(stage.world.log().last().unwrap(), "run c");
    let late = handle.cancel("too late").await.unwrap_err();
    assert!(matches!(late, Refused::PastPivot), "{late}");
    assert_eq!(handle.outcome().await.unwrap(), "c done");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_acknowledged_is_not_forgotten_by_a_death() {
    // The process dies while `a`, under way, is waited for.
    let stage = Stage::with(World::with([("a", vec![Way::Never])]));
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    handle.cancel("stop it").await.unwrap();
    drop(handle);
    stage.die(engine).await;
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("stop it"), "{end}");
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_handle_cancels_nothing() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    drop(engine.start(saga, "k", ()).await.unwrap());
    engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    pass(1).await;
    assert_eq!(stage.status("order", "k").await, Status::Finished);
}

/// Its code would go on without the pivot.
#[tokio::test(start_paused = true)]
async fn one_that_came_during_a_pivot_that_got_stuck_counts_once_that_is_known_not_to_be_applied() {
    for (verdict, end) in [
        (Settlement::NotApplied, Status::Compensated),
        (Settlement::done(&"b done").unwrap(), Status::Finished),
    ] {
        let stage = Stage::with(World::with([("b", vec![Way::Lost])]));
        let mut b = stage.builder();
        let x = step!(b, "a").register();
        let y = step!(b, "b").retry(every(1, 1)).register();
        let saga = b.saga("order", move |saga: Flow, (): ()| async move {
            saga.call(x, ()).await?;
            Ok::<_, Abort>(saga.pivot(y, ()).await.is_ok())
        });
        let engine = b.build().await.unwrap();
        let handle = engine.start(saga, "k", ()).await.unwrap();
        while stage.world.log().last().is_none_or(|line| line != "run b") {
            tokio::time::sleep(std::time::Duration::from_micros(100)).await;
        }
        let answer = handle.cancel("too late?").await;
        assert!(matches!(answer, Err(Refused::Stuck)), "{answer:?}");
        let operator = engine.operator("ann");
        operator
            .settle(handle.id(), 1, verdict, "seen")
            .await
            .unwrap();
        pass(9).await;
        assert_eq!(stage.status("order", "k").await, end);
    }
}
