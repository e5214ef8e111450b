//! Panics in user code, wherever it is called: that saga is parked or goes on, and no other notices.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Failure, Flow, OnUnknown, Outcome, SagaError, SagaRef, Status, StepContext,
    StepRef, StepRetry, Verdict, journal::StuckKind, nothing_to_undo,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// Whose decoding is a bug.
#[derive(Clone, Serialize)]
struct Bomb(u32);

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match u32::deserialize(d)? {
            0 => panic!("a bug in decoding"),
            n => Ok(Bomb(n)),
        }
    }
}

/// Cannot be let go without a panic.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in drop");
        }
    }
}

/// Another saga beside it, which must not notice.
fn other(b: &mut Builder<World>) -> SagaRef<(), u32> {
    let c = step!(b, "c").register();
    b.saga("other", move |saga: Flow, (): ()| async move {
        saga.call(c, ()).await?;
        let Paid(n) = saga.wait_for().await;
        saga.call(c, ()).await?;
        Ok::<_, Abort>(n)
    })
}

/// Runs `saga` beside another one; how it was parked.
async fn parked(
    make: impl FnOnce(&mut Builder<World>) -> SagaRef<u32, String>,
    script: Vec<(&'static str, Vec<Way>)>,
) -> (StuckKind, String, Stage) {
    let stage = Stage::with(World::with(script));
    let mut b = stage.builder();
    let other = other(&mut b);
    let saga = make(&mut b);
    let engine = b.build().await.unwrap();
    let mut beside = engine.start(other, "beside", ()).await.unwrap();
    let mut handle = engine.start(saga, "k", 0).await.unwrap();
    let end = handle.outcome().await.unwrap_err();
    engine
        .signal("other", "beside", "m", &Paid(5))
        .await
        .unwrap();
    assert_eq!(beside.outcome().await.unwrap(), 5);
    match end {
        SagaError::Stuck { kind, why, .. } => (kind, why, stage),
        end => panic!("{end}"),
    }
}

#[tokio::test(start_paused = true)]
async fn s23_a_panic_in_a_sagas_code_parks_that_saga_with_its_text() {
    for late in [false, true] {
        let (kind, why, stage) = parked(
            |b| {
                let a = step!(b, "a").register();
                b.saga("s", move |saga: Flow, n: u32| async move {
                    if late {
                        saga.call(a, ()).await?;
                    }
                    assert!(n > 7, "the order has {n} lines");
                    Ok::<_, Abort>(String::new())
                })
            },
            vec![],
        )
        .await;
        assert_eq!(kind, StuckKind::Saga);
        assert!(why.contains("the order has 0 lines"), "{why}");
        assert!(
            stage
                .reason("s", "k")
                .await
                .contains("the order has 0 lines")
        );
        let undone = stage.world.log().contains(&"undo a".to_owned());
        assert!(!undone, "a person decides");
    }
}

#[tokio::test(start_paused = true)]
async fn s23_a_panic_while_a_saga_is_made_or_dropped_harms_nobody() {
    let (kind, why, _) = parked(
        |b| {
            b.saga(
                "s",
                |_: Flow, _: u32| -> std::future::Ready<Result<String, Abort>> {
                    panic!("no future at all")
                },
            )
        },
        vec![],
    )
    .await;
    assert_eq!(kind, StuckKind::Saga);
    assert!(why.contains("no future at all"), "{why}");

    let (kind, why, _) = parked(
        |b| {
            b.saga("s", |_: Flow, _: u32| async move {
                let _loud = Loud;
                // Parked for this; dropped with a panic.
                std::future::pending::<()>().await;
                Ok::<_, Abort>(String::new())
            })
        },
        vec![],
    )
    .await;
    assert_eq!(kind, StuckKind::Saga);
    assert!(why.contains("not one of its own"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn s06_a_panic_in_a_step_leaves_its_effect_unknown_and_is_tried_again() {
    let stage = Stage::with(World::with([(
        "a",
        vec![Way::Panic, Way::Panic, Way::Refuse],
    )]));
    let mut b = stage.builder();
    let a = step!(b, "a").retry(every(1, 3)).register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("may have been applied"), "{end}");
    assert_eq!(stage.world.log(), ["run a", "run a", "run a", "undo a"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_undo_is_tried_again_and_then_parks() {
    let refuse = ("b", vec![Way::Refuse]);
    let script = vec![refuse.clone(), ("undo a", vec![Way::Panic])];
    for (script, stuck) in [
        (script, false),
        (vec![refuse, ("undo a", vec![Way::Panic; 9])], true),
    ] {
        let stage = Stage::with(World::with(script));
        let mut b = stage.builder();
        let a = step!(b, "a").retry(every(1, 1).undo_attempts(3)).register();
        let refused = step!(b, "b").register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            saga.call(a, ()).await?;
            Ok::<_, Abort>(saga.call(refused, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        let log = stage.world.log();
        let undos = log.iter().filter(|line| *line == "undo a").count();
        assert_eq!(undos, if stuck { 3 } else { 2 }, "{end}");
        if stuck {
            let why = "the compensation of `a` failed 3 times: it panicked: ";
            assert!(end.contains(why), "{end}");
        }
    }
}

fn verified(b: &mut Builder<World>, verify: fn() -> Verdict<String>) -> StepRef<(), String> {
    step!(b, "a")
        .verify(move |_: Arc<World>, _: StepContext, ()| async move { verify() })
        .retry(every(1, 3))
        .register()
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_verify_means_that_it_cannot_tell() {
    let (kind, why, stage) = parked(
        |b| {
            let a = verified(b, || panic!("a bug in verify"));
            b.saga("s", move |saga: Flow, _: u32| async move {
                Ok::<_, Abort>(saga.call(a, ()).await?)
            })
        },
        vec![("a", vec![Way::Lost])],
    )
    .await;
    assert_eq!(kind, StuckKind::Unknown);
    assert!(
        why.contains("its verify could not tell after 3 tries"),
        "{why}"
    );
    assert_eq!(stage.attempts("a"), [1], "nothing on a guess");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_command_or_an_answer_is_decoded_parks_or_is_unknown() {
    // The command, before the action.
    let stage = Stage::new();
    let mut b = stage.builder();
    let run = |world: Arc<World>, cx: StepContext, _: Bomb| async move { world.run("a", cx).await };
    let undo = |world: Arc<World>, cx: StepContext, _: Bomb, _: Outcome<String>| async move {
        world.undo("a", cx).await
    };
    let a = b
        .step("a", run, undo)
        .retry(StepRetry::attempts(2).on_unknown(OnUnknown::Retry))
        .register();
    let saga = b.saga("s", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(a, Bomb(n)).await?)
    });
    let engine = b.build().await.unwrap();
    let mut fine = engine.start(saga, "fine", 1).await.unwrap();
    assert_eq!(fine.outcome().await.unwrap(), "a done");
    let mut handle = engine.start(saga, "k", 0).await.unwrap();
    handle.outcome().await.unwrap_err();
    let reason = stage.reason("s", "k").await;
    assert!(reason.contains("a bug in decoding"), "{reason}");
    assert_eq!(stage.status("s", "k").await, Status::Stuck);
    assert_eq!(stage.world.log(), ["run a"]);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_panics_when_it_is_decoded_parks_that_saga_alone() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, n: Bomb| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(n.0)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", Bomb(0)).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("a bug in decoding"), "{end}");
    let mut fine = engine.start(saga, "fine", Bomb(3)).await.unwrap();
    assert_eq!(fine.outcome().await.unwrap(), 3);
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_cannot_be_kept_after_the_action_ran_is_unknown() {
    #[derive(Deserialize)]
    struct Mute;
    impl Serialize for Mute {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no words for it"))
        }
    }
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = b
        .step(
            "a",
            |world: Arc<World>, cx: StepContext, (): ()| async move {
                world.run("a", cx).await?;
                Ok::<_, Failure>(Mute)
            },
            |world: Arc<World>, cx: StepContext, (): (), was: Outcome<Mute>| async move {
                assert!(matches!(was, Outcome::Unknown));
                world.undo("a", cx).await
            },
        )
        .retry(every(1, 2))
        .register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("may have been applied"), "{end}");
    assert!(end.contains("its `Serialize` refuses it"), "{end}");
    assert_eq!(stage.world.net(), 0);
}

/// Never answers, and panics when it is dropped.
async fn hangs(_: Arc<World>, _: StepContext, (): ()) -> Result<String, Failure> {
    let _loud = Loud;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_an_attempt_that_took_too_long_is_dropped_ends_that_attempt_alone() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let undo = |world: Arc<World>, cx: StepContext, (): (), _: Outcome<String>| async move {
        if cx.attempt() == 1 {
            hangs(world.clone(), cx.clone(), ()).await?;
        }
        world.undo("a", cx).await
    };
    let a = b.step("a", hangs, undo);
    let a = a.retry(every(1, 2).timeout(secs(4))).register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    let why = "step `a` failed and may have been applied: no answer within 4s";
    assert!(end.contains(why), "{end}");
    assert_eq!(stage.world.log(), ["undo a"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_the_actions_of_a_parked_saga_are_dropped_changes_nothing() {
    let (kind, why, stage) = parked(
        |b| {
            let hangs = b.step("hangs", hangs, nothing_to_undo).register();
            let park = StepRetry::attempts(1).on_unknown(OnUnknown::Park);
            let a = step!(b, "a").retry(park).register();
            b.saga("s", move |saga: Flow, _: u32| async move {
                let (done, _) = tokio::try_join!(saga.call(a, ()), saga.call(hangs, ()))?;
                Ok::<_, Abort>(done)
            })
        },
        vec![("a", vec![Way::Lost])],
    )
    .await;
    assert_eq!(kind, StuckKind::Unknown, "{why}");
    assert_eq!(stage.status("s", "k").await, Status::Stuck);
}
