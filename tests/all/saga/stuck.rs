//! Sagas that wait for a person, and go on with what that person knows.
use super::{
    stage::{Stage, pass},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Flow, OnUnknown, SagaError, SagaRef, Settlement, Status, StepRetry,
    journal::StuckKind,
};

/// `a`, then `b` of whose outcome nobody knows, then `c`.
fn in_doubt(b: &mut Builder<World>, pivot: bool) -> SagaRef<(), String> {
    let x = step!(b, "a").register();
    let y = step!(b, "b").on_unknown(OnUnknown::Park).register();
    let z = step!(b, "c").register();
    b.saga("doubt", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        let known = match pivot {
            true => saga.pivot(y, ()).await?,
            false => saga.call(y, ()).await?,
        };
        Ok::<_, Abort>(format!("{known}, {}", saga.call(z, ()).await?))
    })
}

/// A retry that was given after it took its place, and said nothing of doubt: the step was undone.
#[tokio::test(start_paused = true)]
async fn what_to_do_in_doubt_stays_whatever_is_set_after_it() {
    let stage = Stage::with(World::with([("b", vec![Way::Lost])]));
    let mut b = stage.builder();
    let step = step!(b, "b")
        .on_unknown(OnUnknown::Park)
        .retry(StepRetry::attempts(1))
        .register();
    let saga = b.saga("doubt", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(step, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err();
    assert!(matches!(end, SagaError::Stuck { .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn s13_what_an_operator_settles_is_heard_by_the_code_and_not_done_again() {
    for (pivot, way, verdict) in [
        (false, Way::Lost, true),
        (false, Way::Dropped, false),
        (true, Way::Lost, true),
        (true, Way::Dropped, false),
    ] {
        let stage = Stage::with(World::with([("b", vec![way])]));
        let mut b = stage.builder();
        let saga = in_doubt(&mut b, pivot);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let stuck = handle.outcome().await.unwrap_err();
        assert!(matches!(stuck, SagaError::Stuck { .. }), "{stuck}");
        let reason = stage.reason("doubt", "k").await;
        assert!(reason.contains("nobody knows whether"), "{reason}");
        pass(3600).await;
        assert_eq!(stage.attempts("b"), [1], "S13: neither undone nor passed");
        assert_eq!(stage.status("doubt", "k").await, Status::Stuck);

        let settlement = match verdict {
            true => Settlement::done(&"by hand").unwrap(),
            false => Settlement::NotApplied,
        };
        let ann = engine.operator("ann");
        ann.settle(handle.id(), 1, settlement, "asked the bank")
            .await
            .unwrap();
        let mut handle = engine.handle::<String>(handle.id());
        let end = handle.outcome().await;
        match verdict {
            true => assert_eq!(end.unwrap(), "by hand, c done"),
            false => {
                let why = end.unwrap_err().to_string();
                assert!(why.contains("asked the bank"), "{why}");
                assert_eq!(stage.world.net(), 0);
            }
        }
        assert_eq!(stage.attempts("b"), [1], "it is not done again");
        let undone = stage.world.log().contains(&"undo b".to_owned());
        assert!(!undone, "not applied is never undone");
    }
}

#[tokio::test(start_paused = true)]
async fn s29_a_stuck_saga_is_not_taken_up_by_the_next_engine() {
    let stage = Stage::with(World::with([("b", vec![Way::Lost])]));
    for life in 0..3 {
        let mut b = stage.builder();
        let saga = in_doubt(&mut b, false);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let stuck = handle.outcome().await.unwrap_err();
        let SagaError::Stuck { kind, .. } = stuck else {
            panic!("{stuck}");
        };
        assert_eq!(kind, StuckKind::Unknown);
        let rows = stage.rows("doubt", "k").await.len();
        pass(3600).await;
        assert_eq!(stage.rows("doubt", "k").await.len(), rows, "life {life}");
        stage.die(engine).await;
    }
    assert_eq!(stage.attempts("b"), [1]);
}
