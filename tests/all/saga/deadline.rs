//! Sagas that may take so long and no longer.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{Abort, Builder, Flow, SagaRef, Status, StepContext};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::sleep;

fn order(b: &mut Builder<World>) -> SagaRef<(), String> {
    let x = step!(b, "a")
        .retry(every(60, 5).timeout(secs(300)))
        .register();
    let y = step!(b, "b")
        .retry(every(1, 2).timeout(secs(300)))
        .register();
    let z = step!(b, "c").retry(every(60, 5)).register();
    b.saga("order", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        saga.wait_for::<Paid>().await;
        saga.pivot(y, ()).await?;
        Ok::<_, Abort>(saga.call(z, ()).await?)
    })
}

/// With `ways` for step `name`, a deadline of 30 s, and the signal or not.
async fn run(name: &'static str, ways: &[Way], paid: bool) -> (String, Stage, i64) {
    let stage = Stage::with(World::with([(name, ways.to_vec())]));
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    if paid {
        engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    }
    let begin = stage.now();
    let mut handle = engine
        .start(saga, "k", ())
        .deadline(secs(30))
        .await
        .unwrap();
    let end = handle.outcome().await;
    let end = end.unwrap_or_else(|end| end.to_string());
    let took = stage.now() - begin;
    (end, stage, took)
}

const OVER: &str = "the saga was undone: its deadline has passed";

#[tokio::test(start_paused = true)]
async fn a_saga_that_waits_too_long_is_undone_when_its_time_is_up() {
    let (end, stage, took) = run("a", &[], false).await;
    assert_eq!(end, OVER);
    assert!((30_000..30_010).contains(&took), "{took}");
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_its_next_attempt_gets_none_after_it() {
    let (end, stage, took) = run("a", &[Way::Transient; 9], true).await;
    assert_eq!(end, OVER);
    assert!((30_000..30_010).contains(&took), "{took}");
    assert_eq!(stage.world.log(), ["run a"], "clean, so never undone");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_is_waited_for() {
    let (end, stage, took) = run("a", &[Way::Never], true).await;
    assert_eq!(end, OVER);
    assert!(
        (300_000..300_010).contains(&took),
        "the attempt's own time: {took}"
    );
    assert_eq!(stage.world.log(), ["run a", "undo a"]);
}

#[tokio::test(start_paused = true)]
async fn s12_past_the_pivot_there_is_none() {
    let (end, stage, took) = run("c", &[Way::Transient; 2], true).await;
    assert_eq!(end, "c done");
    assert!(took > 120_000, "{took}");
    assert_eq!(stage.status("order", "k").await, Status::Finished);
}

#[tokio::test(start_paused = true)]
async fn s12_a_pivot_under_way_is_waited_for_and_decides() {
    // Its answer comes after the deadline, by the second attempt.
    let (end, _, took) = run("b", &[Way::Never], true).await;
    assert_eq!(end, "c done");
    assert!(took > 300_000, "{took}");
    let (end, stage, _) = run("b", &[Way::Never, Way::Never], true).await;
    assert!(
        end.contains("nobody knows whether the pivot `b` was applied"),
        "{end}"
    );
    assert_eq!(stage.status("order", "k").await, Status::Stuck);
    let (end, stage, _) = run("b", &[Way::Never, Way::Refuse], true).await;
    // The refusal may be the answer to what the first attempt did.
    assert!(
        end.contains("nobody knows whether the pivot `b` was applied"),
        "{end}"
    );
    assert!(!stage.world.log().contains(&"undo a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_that_passed_while_no_process_ran_counts() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    engine
        .start(saga, "k", ())
        .deadline(secs(30))
        .await
        .unwrap();
    pass(1).await;
    stage.die(engine).await;
    pass(600).await;
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    // Another deadline for the saga that is there already changes nothing.
    let mut handle = engine
        .start(saga, "k", ())
        .deadline(secs(9999))
        .await
        .unwrap();
    assert_eq!(handle.outcome().await.unwrap_err().to_string(), OVER);
    assert_eq!(stage.world.net(), 0);
}

/// The life in which the saga begins.
async fn begun(stage: &Stage, seconds: u64) {
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let start = engine.start(saga, "k", ()).deadline(secs(30));
    start.await.unwrap();
    pass(seconds).await;
    stage.die(engine).await;
}

/// What it comes to in a further life.
async fn end(stage: &Stage) -> String {
    let mut b = stage.builder();
    let saga = order(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waited_when_its_process_died_gets_no_attempt_after_it() {
    let stage = Stage::with(World::with([("a", vec![Way::Transient])]));
    begun(&stage, 1).await;
    pass(100).await;
    assert_eq!(end(&stage).await, OVER);
    assert_eq!(stage.world.log(), ["run a"], "clean, so never undone");
}

#[tokio::test(start_paused = true)]
async fn one_that_passed_under_an_attempt_is_the_reason_also_after_a_death() {
    let stage = Stage::with(World::with([("a", vec![Way::Never])]));
    begun(&stage, 60).await;
    assert_eq!(stage.jot("order", "k").await.last().unwrap(), "cancelled");
    assert_eq!(end(&stage).await, OVER);
}

/// Runs a step whose attempts are ten seconds apart in a saga that is given up while no process runs:
/// the first one died so many milliseconds after the start, the second begins so many later. Gives how
/// often the participant was asked what it knows of the step.
async fn given_up_unseen(stage: &Stage, deadline: Duration, died: u64, later: u64) -> u32 {
    let asked = Arc::new(AtomicU32::new(0));
    for life in 0..2 {
        let (mut b, asked) = (stage.builder(), asked.clone());
        let a = step!(b, "a")
            .verify(move |world: Arc<World>, cx: StepContext, ()| {
                asked.fetch_add(1, SeqCst);
                async move { world.verify("a", &cx) }
            })
            .retry(every(10, 5).timeout(secs(300)))
            .register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(a, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let start = engine.start(saga, "k", ()).deadline(deadline);
        let mut handle = start.await.unwrap();
        if life == 0 {
            sleep(Duration::from_millis(died)).await;
            stage.die(engine).await;
            sleep(Duration::from_millis(later)).await;
            continue;
        }
        assert_eq!(handle.outcome().await.unwrap_err().to_string(), OVER);
    }
    asked.load(SeqCst)
}

/// Its second attempt was under way, as far as the next owner knows, which asks before it gives up.
#[tokio::test(start_paused = true)]
async fn a_step_in_doubt_is_asked_about_where_it_passed_while_no_process_ran() {
    let stage = Stage::with(World::with([("a", vec![Way::Transient, Way::Never])]));
    assert_eq!(given_up_unseen(&stage, secs(30), 20_001, 100_001).await, 1);
    assert_eq!(stage.world.log(), ["run a", "run a"], "it was not applied");
}

/// Where its second attempt was not due yet, it was undone without a question. (The first failed a
/// millisecond after the start.)
#[tokio::test(start_paused = true)]
async fn a_step_in_doubt_is_asked_about_whether_its_next_attempt_was_due_or_not() {
    for later in [4_000, 7_000, 7_001] {
        let stage = Stage::with(World::with([("a", vec![Way::Transient])]));
        let asked = given_up_unseen(&stage, secs(5), 3_000, later).await;
        assert_eq!(asked, 1, "{later} ms later");
        assert_eq!(stage.world.log(), ["run a"], "{later} ms later");
    }
}
