//! One saga in many runs, with a short journal.
use super::{
    stage::{Paid, Stage, pass, secs, short},
    world::step,
};
use seawall::saga::{Builder, Flow, SagaRef, Status};

type Ref = SagaRef<u32, u32>;

/// Calls a step in each run, `rounds` times.
fn rounds(b: &mut Builder<super::world::World>) -> Ref {
    let a = step!(b, "a").register();
    b.saga("rounds", move |saga: Flow, left: u32| async move {
        saga.call(a, ()).await?;
        match left {
            0 => Ok(7),
            left => saga.continue_as(left - 1),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_rounds_keep_the_journal_short() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let rounds = rounds(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(rounds, "k", 1000).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 7);
    assert_eq!(stage.world.log().len(), 1001);
    let rows = stage.rows("rounds", "k").await;
    assert!(rows.len() <= 4, "{} rows", rows.len());
    // Every step of every run has a key of its own.
    assert_eq!(stage.world.net(), 1001);
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_where_a_crash_has_left_it() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = rounds(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", 50).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(51)).await;
    let before = stage.world.log().len();
    assert!((2..50).contains(&before), "{before}");
    stage.die(engine).await;

    let mut b = stage.builder();
    let saga = rounds(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", 50).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 7);
    assert_eq!(stage.world.net(), 51);
}

#[tokio::test(start_paused = true)]
async fn a_saga_may_continue_before_it_has_asked_for_anything() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let count = b.saga("count", |saga: Flow, left: u32| async move {
        match left {
            0 => Ok(()),
            left => saga.continue_as(left - 1),
        }
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(count, "k", 3).await.unwrap();
    handle.outcome().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s27_signals_that_no_wait_has_taken_are_there_in_the_next_run() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let sum = b.saga("sum", |saga: Flow, (left, sum): (u32, u32)| async move {
        let Paid(n) = saga.wait_for().await;
        match left {
            0 => Ok(sum * 10 + n),
            left => saga.continue_as((left - 1, sum * 10 + n)),
        }
    });
    let engine = b.build().await.unwrap();
    for n in 1..=4 {
        engine
            .signal("sum", "k", &format!("m{n}"), &Paid(n))
            .await
            .unwrap();
    }
    let mut handle = engine.start(sum, "k", (3, 0)).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 1234);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_lost_its_race_does_not_stand_in_the_way() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("poll", |saga: Flow, left: u32| async move {
        saga.race(saga.wait_for::<Paid>(), saga.sleep(secs(3600)))
            .await;
        match left {
            0 => Ok(()),
            left => saga.continue_as(left - 1),
        }
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", 1).await.unwrap();
    for id in ["m1", "m2"] {
        engine.signal("poll", "k", id, &Paid(0)).await.unwrap();
    }
    handle.outcome().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_is_refused_after_a_pivot() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("late", move |saga: Flow, n: u32| async move {
        saga.pivot(a, ()).await?;
        saga.continue_as::<()>(n)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", 1).await.unwrap();
    let stuck = handle.outcome().await.unwrap_err().to_string();
    assert!(stuck.contains("after its pivot"), "{stuck}");
    assert_eq!(stage.status("late", "k").await, Status::Stuck);
}

#[tokio::test(start_paused = true)]
async fn it_is_refused_with_a_step_open() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("open", move |saga: Flow, n: u32| async move {
        // The sleep is over at once; the step runs on.
        saga.race(saga.call(a, ()), saga.sleep(secs(0))).await;
        saga.continue_as::<()>(n)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", 1).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("while step `a` is still open"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn numbers_of_operations_go_on_and_the_deadline_stays() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("long", move |saga: Flow, left: u32| async move {
        saga.call(a, ()).await?;
        if left == 0 {
            saga.sleep(secs(3600)).await;
        }
        saga.continue_as::<()>(left - 1)
    });
    let engine = b.build().await.unwrap();
    let start = engine.start(saga, "k", 2).deadline(secs(60));
    let mut handle = start.await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("deadline"), "{end}");
    let jot = stage.jot("long", "k").await;
    assert!(jot.contains(&"step 2 a".to_owned()), "{jot:?}");
    // What earlier runs have done is theirs; the run that was given up is undone.
    assert_eq!(stage.world.net(), 2);
    pass(0).await;
    assert_eq!(short(&stage.events("long", "k").await[0]), "started");
}

#[tokio::test(start_paused = true)]
async fn rows_of_runs_before_are_gone_and_not_missing() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = rounds(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", 5).await.unwrap();
    handle.outcome().await.unwrap();
    let timeline = engine.operator("ann").show(handle.id()).await.unwrap();
    assert_eq!(timeline.damage, []);
    assert_eq!(timeline.entries[0].event, "started");
}
