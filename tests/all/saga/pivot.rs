//! The point of no return: alone, never in doubt, and only forward after it.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Flow, OnUnknown, SagaError, SagaRef, Status, StepRef, journal::StuckKind,
};

type S = StepRef<(), String>;

/// Runs a saga of `a`, `b` and `c` made by `make`; how it was parked.
async fn parked<F, Fut>(script: &[(&'static str, &[Way])], code: F) -> (StuckKind, String, Stage)
where
    F: Fn(Flow, [S; 3]) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, Abort>> + Send + 'static,
{
    let script = script.iter().map(|(name, ways)| (*name, ways.to_vec()));
    let stage = Stage::with(World::with(script));
    let mut b = stage.builder();
    let steps = [
        step!(b, "a").retry(every(1, 2)).register(),
        step!(b, "b").retry(every(1, 2)).register(),
        step!(b, "c").retry(every(1, 2)).register(),
    ];
    let saga = b.saga("s", move |saga: Flow, (): ()| code(saga, steps));
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    match handle.outcome().await.unwrap_err() {
        SagaError::Stuck { kind, why, .. } => (kind, why, stage),
        end => panic!("{end}"),
    }
}

#[tokio::test(start_paused = true)]
async fn with_another_operation_open_it_is_not_begun_and_the_saga_is_parked() {
    const ALONE: &str = "a pivot is issued alone";
    let (kind, why, stage) = parked(&[], |saga, [x, y, _]| async move {
        let both = tokio::try_join!(saga.call(x, ()), saga.pivot(y, ()))?;
        Ok(both.0)
    })
    .await;
    assert_eq!(kind, StuckKind::Saga);
    assert!(why.contains(ALONE) && why.contains("pivot `b`"), "{why}");
    assert_eq!(
        stage.world.log(),
        [""; 0],
        "what was asked beside it is not begun either"
    );

    let (_, why, stage) = parked(&[], |saga, [x, y, _]| async move {
        let both = tokio::try_join!(saga.pivot(x, ()), saga.call(y, ()))?;
        Ok(both.0)
    })
    .await;
    assert!(why.contains(ALONE), "{why}");
    assert_eq!(stage.world.log(), [""; 0]);

    // A step that lost a race is still open.
    let (_, why, _) = parked(&[("a", &[Way::Slow])], |saga, [x, y, _]| async move {
        saga.race(saga.call(x, ()), saga.sleep(secs(0))).await;
        Ok(saga.pivot(y, ()).await?)
    })
    .await;
    assert!(why.contains(ALONE), "{why}");
}

#[tokio::test(start_paused = true)]
async fn after_it_a_failure_of_any_kind_parks_the_saga_and_undoes_nothing() {
    for ways in [
        &[Way::Refuse, Way::Refuse],
        &[Way::Lost, Way::Lost],
        &[Way::Transient; 2],
    ] {
        let (kind, why, stage) = parked(&[("c", ways)], |saga, [x, y, z]| async move {
            saga.call(x, ()).await?;
            saga.pivot(y, ()).await?;
            Ok(saga.call(z, ()).await?)
        })
        .await;
        assert_eq!(kind, StuckKind::Forward);
        assert!(why.contains("step `c` failed after the pivot"), "{why}");
        assert!(stage.world.log().iter().all(|line| line.starts_with("run")));
    }
    let (kind, why, stage) = parked(&[], |saga, [x, y, _]| async move {
        saga.call(x, ()).await?;
        saga.pivot(y, ()).await?;
        Err(Abort::new("second thoughts"))
    })
    .await;
    assert_eq!(kind, StuckKind::Forward);
    assert!(
        why.contains("given up after its pivot: second thoughts"),
        "{why}"
    );
    assert_eq!(stage.world.log(), ["run a", "run b"]);
}

/// Its pivot `b` after `a`.
fn pivoted(b: &mut Builder<World>, on: OnUnknown) -> SagaRef<(), String> {
    let x = step!(b, "a").register();
    let y = step!(b, "b").retry(every(1, 2)).on_unknown(on).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        let done = saga.pivot(y, ()).await?;
        saga.wait_for::<Paid>().await;
        Ok::<_, Abort>(done)
    })
}

#[tokio::test(start_paused = true)]
async fn s13_nobody_knows_about_it_means_parked_whatever_the_step_says() {
    for on in [OnUnknown::Retry, OnUnknown::Undo, OnUnknown::Park] {
        let stage = Stage::with(World::with([("b", vec![Way::Lost, Way::Lost])]));
        let mut b = stage.builder();
        let saga = pivoted(&mut b, on);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        assert!(end.contains("nobody knows whether"), "{on:?}: {end}");
        assert_eq!(stage.world.net(), 2, "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_clean_and_the_saga_is_undone() {
    let stage = Stage::with(World::with([("b", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let saga = pivoted(&mut b, OnUnknown::Retry);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.world.log(), ["run a", "run b", "undo a"]);
}

#[tokio::test(start_paused = true)]
async fn s12_that_it_is_done_survives_a_death() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = pivoted(&mut b, OnUnknown::Retry);
    let engine = b.build().await.unwrap();
    let handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    drop(handle);
    stage.die(engine).await;
    let mut b = stage.builder();
    let saga = pivoted(&mut b, OnUnknown::Retry);
    let engine = b.build().await.unwrap();
    let handle = engine.start(saga, "k", ()).await.unwrap();
    handle.cancel("too late").await.unwrap_err();
    assert_eq!(stage.status("s", "k").await, Status::Waiting);
    assert_eq!(stage.world.net(), 2);
}
