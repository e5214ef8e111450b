//! Which sagas are suspects after their process has died twice: those that had something under way, or
//! would have it now. The others go on at once, beside a suspect that runs alone.
use super::{
    stage::{Paid, Stage, every, ms, pass, secs},
    suspects::slow,
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Failure, Flow, Outcome, SagaRef, Signal as _, Status, StepContext, Store as _,
    store::Letter,
};
use std::sync::Arc;

type Code = fn(&mut Builder<World>) -> SagaRef<(), ()>;

/// Two lives of a second each; then nobody for `away` seconds. Whether the saga has got on after three
/// seconds of its third life, while a suspect runs alone for twenty.
async fn goes_on(code: Code, away: u64, letter: bool) -> bool {
    let stage = Stage::with(World::with([
        ("busy", vec![Way::Transient]),
        ("undo back", vec![Way::Never; 2]),
    ]));
    for _ in 0..2 {
        let mut b = stage.builder();
        let (slow, saga) = (slow(&mut b), code(&mut b));
        let engine = b.build().await.unwrap();
        engine.start(slow, "k", ()).await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        stage.die(engine).await;
    }
    if letter {
        let letter = Letter::new("code", "k", "m", Paid::NAME);
        stage.store.inbox_put(letter).await.unwrap();
    }
    pass(away).await;
    let before = stage.jot("code", "k").await;
    let mut b = stage.builder();
    slow(&mut b);
    code(&mut b);
    let _engine = b.build().await.unwrap();
    pass(3).await;
    let after = stage.jot("code", "k").await;
    pass(100).await;
    assert_ne!(
        stage.status("code", "k").await,
        Status::Running,
        "in the end"
    );
    after != before
}

/// A step that is done, and a sleep of four seconds.
fn sleeps(b: &mut Builder<World>) -> SagaRef<(), ()> {
    let done = step!(b, "done").register();
    b.saga("code", move |saga: Flow, (): ()| async move {
        saga.call(done, ()).await?;
        saga.sleep(secs(4)).await;
        Ok::<_, Abort>(())
    })
}

#[tokio::test(start_paused = true)]
async fn one_that_slept_is_none_until_its_sleep_is_over_or_a_letter_lies_there() {
    assert!(goes_on(sleeps, 0, false).await);
    assert!(!goes_on(sleeps, 10, false).await);
    assert!(!goes_on(sleeps, 0, true).await);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_was_over_before_counts_no_more() {
    let slept = |b: &mut Builder<World>| {
        let done = step!(b, "done").register();
        b.saga("code", move |saga: Flow, (): ()| async move {
            saga.call(done, ()).await?;
            saga.sleep(ms(500)).await;
            saga.sleep(secs(4)).await;
            Ok::<_, Abort>(())
        })
    };
    assert!(goes_on(slept, 0, false).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_for_a_letter_is_none_until_its_wait_is_over() {
    let waits = |b: &mut Builder<World>| {
        let done = step!(b, "done").register();
        b.saga("code", move |saga: Flow, (): ()| async move {
            saga.call(done, ()).await?;
            saga.wait_within::<Paid>(secs(4)).await;
            Ok::<_, Abort>(())
        })
    };
    assert!(goes_on(waits, 0, false).await);
    assert!(!goes_on(waits, 10, false).await);
}

#[tokio::test(start_paused = true)]
async fn one_whose_step_waits_for_its_next_attempt_is_none_until_that_may_have_begun() {
    let busy = |b: &mut Builder<World>| {
        let busy = step!(b, "busy").retry(every(60, 2)).register();
        b.saga("code", move |saga: Flow, (): ()| async move {
            let (done, ()) = tokio::join!(saga.call(busy, ()), saga.sleep(secs(4)));
            done?;
            Ok::<_, Abort>(())
        })
    };
    assert!(goes_on(busy, 0, false).await);
    assert!(!goes_on(busy, 70, false).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_on_its_way_back_or_has_no_step_yet_is_one() {
    let back = |b: &mut Builder<World>| {
        let a = step!(b, "back").register();
        b.saga("code", move |saga: Flow, (): ()| async move {
            saga.call(a, ()).await?;
            Err(Abort::new("no"))
        })
    };
    assert!(!goes_on(back, 0, false).await);
    let young = |b: &mut Builder<World>| {
        b.saga("code", |saga: Flow, (): ()| async move {
            saga.sleep(secs(4)).await;
            Ok::<_, Abort>(())
        })
    };
    assert!(!goes_on(young, 0, false).await);
}

/// It had an open child under way, and runs alone before that may.
#[tokio::test(start_paused = true)]
async fn a_suspect_that_only_waits_for_another_lets_that_one_run() {
    let stage = Stage::with(World::with([("a", vec![Way::Never; 2])]));
    for life in 0..3 {
        let mut b = stage.builder();
        let a = step!(b, "a").register();
        let kid = b.saga("kid", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(a, ()).await?)
        });
        let undo =
            async |_: Arc<World>, _: StepContext, (): (), _: Outcome<String>| Ok::<_, Failure>(());
        let pair = b.child("pair", kid, undo);
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            let (done, ()) = tokio::join!(saga.child(pair, ()), saga.sleep(secs(4)));
            done?;
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        if life == 2 {
            break;
        }
        stage.die(engine).await;
    }
    let kid = stage.jot("kid", &stage.key_of("kid").await).await;
    assert_eq!(kid.last().unwrap(), "finished");
}
