//! Sagas that stand in line to run alone, after their process has died twice.
use super::{
    stage::{Paid, Stage, pass, secs},
    world::World,
};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, Outcome, Refused, SagaRef, Status, StepContext,
    nothing_to_undo,
};
use std::sync::Arc;
use tokio::time::timeout;

/// Takes twenty seconds.
pub fn slow(b: &mut Builder<World>) -> SagaRef<(), ()> {
    let run = async |_: Arc<World>, _: StepContext, (): ()| {
        tokio::time::sleep(secs(20)).await;
        Ok::<_, Failure>(())
    };
    let a = b.step("a", run, nothing_to_undo).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// An engine with three suspects: one runs, the others stand in line behind it.
async fn in_line(stage: &Stage, most: usize) -> Engine<World> {
    in_line_of(stage, most, slow).await
}

async fn in_line_of(
    stage: &Stage,
    most: usize,
    code: fn(&mut Builder<World>) -> SagaRef<(), ()>,
) -> Engine<World> {
    for _ in 0..2 {
        let mut b = stage.builder();
        let saga = code(&mut b);
        let engine = b.build().await.unwrap();
        for key in KEYS {
            engine.start(saga, key, ()).await.unwrap();
        }
        pass(1).await;
        stage.die(engine).await;
    }
    let mut b = stage.builder();
    b.max_running(most);
    code(&mut b);
    b.saga("waits", |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let engine = b.build().await.unwrap();
    pass(1).await;
    engine
}

async fn at_once<T>(what: impl Future<Output = T>) -> T {
    timeout(secs(1), what).await.expect("it was not heard")
}

#[tokio::test(start_paused = true)]
async fn commands_to_suspects_that_stand_in_line_are_carried_out_at_once() {
    let stage = Stage::new();
    let engine = in_line(&stage, 99).await;
    let ann = engine.operator("ann");
    for key in ["c", "b"] {
        let id = stage.id("s", key).await;
        at_once(ann.cancel(id, "not wanted")).await.unwrap();
        // Given up, it still runs alone to find out about its step.
        assert_eq!(
            stage.jot("s", key).await,
            ["started", "step 0 a", "cancelled"]
        );
        assert_eq!(stage.status("s", key).await, Status::Running);
        at_once(ann.force_end(id, "looked into")).await.unwrap();
        assert_eq!(stage.status("s", key).await, Status::Forced);
    }
    assert_eq!(engine.in_memory(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_was_cancelled_in_line_is_undone_when_its_turn_comes() {
    let stage = Stage::new();
    let engine = in_line(&stage, 99).await;
    let ann = engine.operator("ann");
    for key in KEYS {
        let id = stage.id("s", key).await;
        at_once(ann.cancel(id, "not wanted")).await.unwrap();
    }
    pass(100).await;
    for key in KEYS {
        assert_eq!(stage.status("s", key).await, Status::Compensated);
        let jot = stage.jot("s", key).await;
        let cancelled = jot.iter().filter(|event| *event == "cancelled").count();
        assert_eq!(cancelled, 1, "{jot:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn suspects_that_stand_in_line_leave_when_the_engine_drains() {
    let stage = Stage::new();
    let engine = in_line(&stage, 99).await;
    assert_eq!(engine.in_memory(), 3);
    let draining = tokio::spawn({
        let engine = engine.clone();
        async move { engine.drain().await }
    });
    pass(1).await;
    assert_eq!(engine.in_memory(), 1, "the one whose action runs");
    draining.await.unwrap().unwrap();
    assert_eq!(stage.jot("s", "c").await, ["started", "step 0 a"]);
}

#[tokio::test(start_paused = true)]
async fn suspects_that_stand_in_line_leave_their_places_to_others() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let waits = b.saga("waits", |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let engine = b.build().await.unwrap();
    engine.start(waits, "k", ()).await.unwrap();
    drop(engine);
    let engine = in_line(&stage, 2).await;
    engine.signal("waits", "k", "m", &Paid(1)).await.unwrap();
    pass(5).await;
    assert_eq!(stage.status("waits", "k").await, Status::Finished);
}

/// What takes twenty seconds.
#[derive(Clone, Copy)]
enum Long {
    Pivot,
    AfterPivot,
    Undo,
}

fn long(b: &mut Builder<World>, what: Long) -> SagaRef<(), ()> {
    let run = async |_: Arc<World>, _: StepContext, seconds: u64| {
        tokio::time::sleep(secs(seconds)).await;
        Ok::<_, Failure>(())
    };
    let undo = async |_: Arc<World>, _: StepContext, _: u64, _: Outcome<()>| {
        tokio::time::sleep(secs(20)).await;
        Ok::<_, Failure>(())
    };
    let a = b.step("a", run, undo).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        match what {
            Long::Pivot => saga.pivot(a, 20).await?,
            Long::AfterPivot => {
                saga.pivot(a, 0).await?;
                saga.call(a, 20).await?;
            }
            Long::Undo => {
                saga.call(a, 0).await?;
                return Err(Abort::new("no"));
            }
        }
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn who_cancels_a_suspect_in_its_pivot_hears_what_came_of_that() {
    let stage = Stage::new();
    let engine = in_line_of(&stage, 99, |b| long(b, Long::Pivot)).await;
    let (id, ann) = (stage.id("s", "b").await, engine.operator("ann"));
    let cancel = tokio::spawn(async move { ann.cancel(id, "not wanted").await });
    pass(10).await;
    assert!(!cancel.is_finished(), "nobody can say yet");
    let answer = cancel.await.unwrap();
    assert!(matches!(answer, Err(Refused::PastPivot)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_past_its_pivot_cannot_be_cancelled_and_one_on_its_way_back_has_been() {
    let stage = Stage::new();
    let engine = in_line_of(&stage, 99, |b| long(b, Long::AfterPivot)).await;
    let (id, ann) = (stage.id("s", "b").await, engine.operator("ann"));
    let answer = at_once(ann.cancel(id, "not wanted")).await;
    assert!(matches!(answer, Err(Refused::PastPivot)), "{answer:?}");

    let stage = Stage::new();
    let engine = in_line_of(&stage, 99, |b| long(b, Long::Undo)).await;
    let (id, ann) = (stage.id("s", "b").await, engine.operator("ann"));
    let before = stage.jot("s", "b").await;
    assert_eq!(before.last().unwrap(), "abort");
    at_once(ann.cancel(id, "not wanted")).await.unwrap();
    assert_eq!(stage.jot("s", "b").await, before, "nothing to write down");
}
