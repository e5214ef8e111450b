//! Outcomes that nobody knows: asking, trying again, taking back, parking.
use super::{
    stage::{Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Flow, OnUnknown, SagaRef, Status, StepContext, Verdict, journal::Event,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

/// Asks the world, once `silent` questions have been asked in vain.
fn asking(b: &mut Builder<World>, silent: u32, asked: &Arc<AtomicU32>) -> SagaRef<(), String> {
    let asked = asked.clone();
    let a = step!(b, "a")
        .verify(move |world: Arc<World>, cx: StepContext, ()| {
            let asked = asked.clone();
            async move {
                match asked.fetch_add(1, SeqCst) < silent {
                    true => Verdict::CannotTell,
                    false => world.verify("a", &cx),
                }
            }
        })
        .retry(every(1, 3).timeout(secs(2)))
        .register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

async fn run(ways: &[Way], silent: u32) -> (Result<String, String>, Stage, u32) {
    let stage = Stage::with(World::with([("a", ways.to_vec())]));
    let asked = Arc::default();
    let mut b = stage.builder();
    let saga = asking(&mut b, silent, &asked);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.map_err(|end| end.to_string());
    let asked = asked.load(SeqCst);
    (end, stage, asked)
}

#[tokio::test(start_paused = true)]
async fn applied_is_done_and_not_applied_is_tried_again() {
    let (end, stage, asked) = run(&[Way::Lost], 0).await;
    assert_eq!((end.unwrap().as_str(), asked), ("a done", 1));
    assert_eq!(stage.attempts("a"), [1]);

    let (end, stage, asked) = run(&[Way::Dropped, Way::Never], 0).await;
    assert_eq!((end.unwrap().as_str(), asked), ("a done", 2));
    assert_eq!(stage.attempts("a"), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn s06_a_verify_that_answers_clears_the_taint_so_that_a_refusal_is_clean_again() {
    let (end, stage, _) = run(&[Way::Dropped, Way::Refuse], 0).await;
    assert_eq!(
        end.unwrap_err(),
        "the saga was undone: step `a` was refused: no"
    );
    assert_eq!(
        stage.world.log(),
        ["run a", "run a"],
        "and it is not undone"
    );
    let clean = stage.events("s", "k").await.iter().any(|event| {
        matches!(
            event,
            Event::Failed {
                clean: true,
                attempt: 2,
                ..
            }
        )
    });
    assert!(clean);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_tell_is_asked_again_and_in_the_end_parked_and_never_undone() {
    let (end, stage, asked) = run(&[Way::Lost], 2).await;
    assert_eq!((end.unwrap().as_str(), asked), ("a done", 3));
    assert_eq!(stage.attempts("a"), [1]);

    let (end, stage, asked) = run(&[Way::Lost], 99).await;
    let end = end.unwrap_err();
    assert!(
        end.contains("nobody knows whether step `a` was applied"),
        "{end}"
    );
    assert!(
        end.contains("could not tell after 3 tries: reset after"),
        "{end}"
    );
    assert_eq!(asked, 3);
    assert_eq!(stage.world.log(), ["run a"]);
    assert_eq!(stage.status("s", "k").await, Status::Stuck);
}

#[tokio::test(start_paused = true)]
async fn s07_what_a_death_has_left_in_doubt_is_asked_about_before_it_is_tried_again() {
    for (way, attempts) in [(Way::Late, vec![1]), (Way::Never, vec![1, 2])] {
        let stage = Stage::with(World::with([("a", vec![way])]));
        let asked = Arc::default();
        for life in 0..2 {
            let mut b = stage.builder();
            let saga = asking(&mut b, 0, &asked);
            let engine = b.build().await.unwrap();
            let mut handle = engine.start(saga, "k", ()).await.unwrap();
            if life == 1 {
                assert_eq!(handle.outcome().await.unwrap(), "a done");
                continue;
            }
            pass(1).await;
            stage.die(engine).await;
            pass(3).await;
        }
        assert!(asked.load(SeqCst) > 0);
        // The late one had arrived by then.
        let attempts_made = stage.attempts("a");
        assert_eq!(attempts_made.len(), attempts.len(), "{way:?}");
        assert_eq!(stage.world.net(), 1);
    }
}

/// Nobody to ask.
async fn unknown(ways: &[Way], on: OnUnknown) -> (String, Stage) {
    let stage = Stage::with(World::with([("a", ways.to_vec())]));
    let mut b = stage.builder();
    let a = step!(b, "a").retry(every(1, 3)).on_unknown(on).register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await;
    let end = end.unwrap_or_else(|end| end.to_string());
    (end, stage)
}

#[tokio::test(start_paused = true)]
async fn with_nobody_to_ask_it_is_tried_again_taken_back_or_parked_as_the_step_says() {
    let (end, stage) = unknown(&[Way::Lost, Way::Dropped], OnUnknown::Retry).await;
    assert_eq!(end, "a done");
    assert_eq!(stage.attempts("a"), [1, 2, 3]);
    let (end, stage) = unknown(&[Way::Lost; 9], OnUnknown::Retry).await;
    assert!(end.contains("may have been applied: reset after"), "{end}");
    assert_eq!((stage.attempts("a").len(), stage.world.net()), (3, 0));

    let (end, stage) = unknown(&[Way::Lost], OnUnknown::Undo).await;
    assert!(end.contains("may have been applied"), "{end}");
    assert_eq!(stage.world.log(), ["run a", "undo a"]);

    let (end, stage) = unknown(&[Way::Lost], OnUnknown::Park).await;
    assert!(
        end.contains("nobody knows whether step `a` was applied: reset after"),
        "{end}"
    );
    assert_eq!(stage.world.log(), ["run a"]);
    // What certainly was not applied is another matter.
    for on in [OnUnknown::Undo, OnUnknown::Park] {
        let (end, _) = unknown(&[Way::Transient], on).await;
        assert_eq!(end, "a done");
    }
}

#[tokio::test(start_paused = true)]
async fn s07_a_death_in_an_attempt_is_an_unknown_outcome_for_all_three() {
    for (on, log, status) in [
        (OnUnknown::Retry, vec!["run a", "run a"], Status::Finished),
        (
            OnUnknown::Undo,
            vec!["run a", "undo a"],
            Status::Compensated,
        ),
        (OnUnknown::Park, vec!["run a"], Status::Stuck),
    ] {
        let stage = Stage::with(World::with([("a", vec![Way::Never])]));
        for _ in 0..2 {
            let mut b = stage.builder();
            let a = step!(b, "a").retry(every(1, 3)).on_unknown(on).register();
            let saga = b.saga("s", move |saga: Flow, (): ()| async move {
                Ok::<_, Abort>(saga.call(a, ()).await?)
            });
            let engine = b.build().await.unwrap();
            engine.start(saga, "k", ()).await.unwrap();
            pass(3).await;
            stage.die(engine).await;
        }
        assert_eq!(stage.world.log(), log, "{on:?}");
        assert_eq!(stage.status("s", "k").await, status, "{on:?}");
    }
}

/// The participant that never promised to refuse what may still be on its way: its 404 is no answer
/// for good.
#[tokio::test(start_paused = true)]
async fn what_was_not_seen_so_far_is_sent_again_and_stays_in_doubt() {
    for (ways, attempts, end) in [
        (vec![Way::Dropped], 2, "done"),
        (vec![Way::Dropped, Way::Refuse], 2, "unknown"),
        (vec![Way::Dropped; 3], 3, "unknown"),
    ] {
        let stage = Stage::with(World::with([("a", ways)]));
        let mut b = stage.builder();
        let a = step!(b, "a")
            .verify(async |_: Arc<World>, _: StepContext, ()| Verdict::NotSeen)
            .retry(every(1, 3))
            .register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(a, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let came_to = handle.outcome().await;
        assert_eq!(stage.attempts("a").len(), attempts);
        assert_eq!(came_to.is_ok(), end == "done", "{came_to:?}");
        let undone = stage.world.log().iter().any(|line| line == "undo a");
        assert_eq!(undone, end == "unknown");
        let events = stage.events("s", "k").await;
        let clean = |event: &Event| matches!(event, Event::Failed { clean: true, .. });
        assert!(!events.iter().any(clean), "{events:?}");
    }
}

/// A drain cuts the question short. The next engine gave the step up without an answer, and undid it.
#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_when_the_engine_stops_is_asked_about_though_the_saga_is_given_up() {
    for (silent, ends) in [(99, Status::Stuck), (2, Status::Compensated)] {
        for cancelled_first in [true, false] {
            let stage = Stage::with(World::with([("a", vec![Way::Dropped])]));
            let asked = Arc::default();
            let mut b = stage.builder();
            let saga = asking(&mut b, silent, &asked);
            let engine = b.build().await.unwrap();
            let start = engine.start(saga, "k", ());
            let handle = match cancelled_first {
                true => start.await.unwrap(),
                false => start.deadline(secs(5)).await.unwrap(),
            };
            tokio::time::sleep(super::stage::ms(500)).await;
            if cancelled_first {
                handle.cancel("not wanted").await.unwrap();
            }
            engine.drain().await.unwrap();
            assert_eq!(asked.load(SeqCst), 1);
            drop((engine, handle));
            pass(9).await;

            let mut b = stage.builder();
            asking(&mut b, silent, &asked);
            let _next = b.build().await.unwrap();
            pass(60).await;
            // Not applied, says the participant when it can: nothing to undo.
            assert_eq!(stage.world.log(), ["run a"]);
            assert_eq!(stage.status("s", "k").await, ends);
        }
    }
}
