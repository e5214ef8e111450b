//! What the engine is given: who is refused, at once and in plain words, and who is parked.
use super::{
    stage::{Stage, every, pass},
    stories,
    world::{World, step},
};
use seawall::saga::{
    Abort, Builder, Engine, EngineError, Failure, Flow, MemoryStore, Outcome, SagaError, SagaRef,
    StartError, Status, StepContext, StepRef, nothing_to_undo,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MOST: usize = 2000;

fn text(n: usize) -> String {
    "x".repeat(n)
}

/// A step that is called with a text and answers one of this size.
fn answering(b: &mut Builder<World>, size: usize) -> StepRef<String, String> {
    b.step(
        "a",
        move |world: Arc<World>, cx: StepContext, _: String| async move {
            world.run("a", cx).await?;
            Ok::<_, Failure>(text(size))
        },
        |world: Arc<World>, cx: StepContext, _: String, _: Outcome<String>| async move {
            world.undo("a", cx).await
        },
    )
    .retry(every(1, 2))
    .register()
}

/// Runs a saga with `input`; how it ended.
async fn run(
    make: impl FnOnce(&mut Builder<World>) -> SagaRef<usize, String>,
    input: usize,
) -> (Result<String, SagaError>, Stage) {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.max_payload(MOST);
    let saga = make(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", input).await.unwrap();
    (handle.outcome().await, stage)
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_large_is_refused_and_nothing_is_written() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.max_payload(MOST);
    let saga = b.saga(
        "s",
        |_: Flow, s: String| async move { Ok::<_, Abort>(s.len()) },
    );
    let engine = b.build().await.unwrap();
    let mut fits = engine.start(saga, "fits", text(MOST - 2)).await.unwrap();
    assert_eq!(fits.outcome().await.unwrap(), MOST - 2);
    let refused = engine.start(saga, "k", text(MOST - 1)).await.unwrap_err();
    assert!(matches!(
        refused,
        StartError::TooLarge {
            bytes: 2001,
            most: 2000,
            ..
        }
    ));
    assert_eq!(
        refused.to_string(),
        "the input of saga `s` is 2001 bytes, at most 2000 are allowed (max_payload)"
    );
    assert_eq!(engine.find("s", "k").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_too_large_parks_the_saga_before_anything_of_it_is_done() {
    let calling = |b: &mut Builder<World>| {
        let a = answering(b, 1);
        b.saga("s", move |saga: Flow, n: usize| async move {
            Ok::<_, Abort>(saga.call(a, text(n)).await?)
        })
    };
    let (end, _) = run(calling, MOST - 2).await;
    assert_eq!(end.unwrap(), "x");
    let (end, stage) = run(calling, MOST - 1).await;
    let end = end.unwrap_err().to_string();
    let why = "the command of step `a` is 2001 bytes, at most 2000 are allowed (max_payload)";
    assert!(end.contains(why), "{end}");
    assert_eq!(stage.world.log(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_was_applied_all_the_same_and_is_undone() {
    let (end, stage) = run(
        |b| {
            let a = answering(b, MOST - 1);
            b.saga("s", move |saga: Flow, _: usize| async move {
                Ok::<_, Abort>(saga.call(a, String::new()).await?)
            })
        },
        0,
    )
    .await;
    let end = end.unwrap_err().to_string();
    assert!(end.contains("may have been applied"), "{end}");
    assert!(
        end.contains("the output is 2001 bytes, at most 2000"),
        "{end}"
    );
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_output_a_next_input_or_a_childs_input_that_is_too_large_parks_the_saga() {
    let output = |b: &mut Builder<World>| {
        b.saga(
            "s",
            |_: Flow, n: usize| async move { Ok::<_, Abort>(text(n)) },
        )
    };
    let next = |b: &mut Builder<World>| {
        b.saga("s", |saga: Flow, n: usize| async move {
            saga.continue_as(text(n))
        })
    };
    let child = |b: &mut Builder<World>| {
        let kid = b.saga("kid", |_: Flow, s: String| async move { Ok::<_, Abort>(s) });
        let undo = |_: Arc<World>, _: StepContext, _: String, _: Outcome<String>| async { Ok(()) };
        let pair = b.child("pair", kid, undo);
        b.saga("s", move |saga: Flow, n: usize| async move {
            Ok::<_, Abort>(saga.child(pair, text(n)).await?)
        })
    };
    assert_eq!(run(output, MOST - 2).await.0.unwrap(), text(MOST - 2));
    // It gets as far as the next run, which makes nothing of it.
    let far = run(next, MOST - 2).await.0.unwrap_err().to_string();
    assert!(far.contains("the input cannot be decoded"), "{far}");
    for (makes, says) in [
        (
            run(output, MOST - 1).await,
            "the saga's output is 2001 bytes, at most 2000",
        ),
        (
            run(next, MOST - 1).await,
            "the input that the saga continues with is 2001 bytes",
        ),
        (
            run(child, MOST - 1).await,
            "the input of child `pair` is 2001 bytes, at most 2000",
        ),
    ] {
        let (end, stage) = makes;
        let end = end.unwrap_err().to_string();
        assert!(end.contains(says), "{end}");
        assert_eq!(stage.status("s", "k").await, Status::Stuck);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_has_1_to_255_bytes() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("s", |_: Flow, n: u32| async move { Ok::<_, Abort>(n) });
    let engine = b.build().await.unwrap();
    for key in [text(255), "ü".repeat(127), "a\nb\0c".to_owned()] {
        let mut handle = engine.start(saga, &*key, 1).await.unwrap();
        assert_eq!(handle.outcome().await.unwrap(), 1);
        assert_eq!(engine.find("s", &key).await.unwrap(), Some(handle.id()));
    }
    for key in [String::new(), text(256), "ü".repeat(128)] {
        let refused = engine.start(saga, &*key, 1).await.unwrap_err();
        let bytes = key.len();
        let says = format!("a saga's key has 1 to 255 bytes; this one has {bytes}");
        assert_eq!(refused.to_string(), says);
    }
}

#[tokio::test(start_paused = true)]
async fn s24_inputs_are_compared_by_what_they_mean() {
    #[derive(Serialize, Deserialize)]
    struct Order {
        sku: String,
        #[serde(default)]
        gift: bool,
    }
    let order = |gift| Order {
        sku: "x".to_owned(),
        gift,
    };
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga(
        "s",
        |_: Flow, o: Order| async move { Ok::<_, Abort>(o.gift) },
    );
    // The same saga, as an older release has written its input.
    let engine = b.build().await.unwrap();
    let first = engine.start(saga, "k", order(false)).await.unwrap().id();
    assert_eq!(
        engine.start(saga, "k", order(false)).await.unwrap().id(),
        first
    );
    let conflict = engine.start(saga, "k", order(true)).await.unwrap_err();
    let StartError::Conflict { id, .. } = &conflict else {
        panic!("{conflict}");
    };
    assert_eq!(*id, first);
    assert!(
        conflict
            .to_string()
            .contains("use another key, or the same input")
    );
    assert_eq!(
        engine.counts().await.unwrap().finished,
        1,
        "nothing was written"
    );
    // The key belongs to the name: another saga may have it.
    let mut b = stage.builder();
    let saga = b.saga(
        "t",
        |_: Flow, o: Order| async move { Ok::<_, Abort>(o.gift) },
    );
    let engine = b.build().await.unwrap();
    let other = engine.start(saga, "k", order(true)).await.unwrap().id();
    assert_ne!(other, first);
}

#[tokio::test(start_paused = true)]
async fn s24_a_saga_is_the_same_while_it_runs_and_after_it_has_ended_until_it_is_deleted() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.retention(std::time::Duration::from_secs(3600));
    let a = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, n: u32| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(n)
    });
    let engine = b.build().await.unwrap();
    let mut first = engine.start(saga, "k", 1).await.unwrap();
    let mut again = engine.start(saga, "k", 1).await.unwrap();
    assert_eq!(
        (
            first.outcome().await.unwrap(),
            again.outcome().await.unwrap()
        ),
        (1, 1)
    );
    pass(1800).await;
    let mut ended = engine.start(saga, "k", 1).await.unwrap();
    assert_eq!(
        (ended.id(), ended.outcome().await.unwrap()),
        (first.id(), 1)
    );
    engine.start(saga, "k", 2).await.unwrap_err();
    assert_eq!(stage.world.log(), ["run a"]);
    pass(7200).await;
    let mut anew = engine.start(saga, "k", 2).await.unwrap();
    assert_ne!(anew.id(), first.id());
    assert_eq!(anew.outcome().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_builder_is_refused_at_the_start() {
    let stage = Stage::new();
    let mut elsewhere = Engine::builder(World::default(), MemoryStore::new());
    let theirs = step!(elsewhere, "a").register();
    let their_saga = elsewhere.saga("s", |_: Flow, n: u32| async move { Ok::<_, Abort>(n) });

    let mut b = stage.builder();
    step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, _: u32| async move {
        Ok::<_, Abort>(saga.call(theirs, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let refused = engine.start(saga, "k", 1).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "step `a` was registered with another engine's builder; call what this one's builder has \
         given"
    );
    let refused = engine
        .start(their_saga, "k", 1)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "saga `s` was registered with another engine's builder; start it with that engine, or with \
         what this one's builder has given"
    );
    assert_eq!(
        engine.find("s", "k").await.unwrap(),
        None,
        "nothing is written"
    );
    assert_eq!(engine.in_memory(), 0);
}

#[tokio::test(start_paused = true)]
async fn everything_wrong_with_what_is_registered_is_told_at_once() {
    let mut b = Engine::builder(World::default(), MemoryStore::new());
    b.max_payload(10).max_running(0).crash_limit(1);
    b.step(
        "",
        |_: Arc<World>, _: StepContext, (): ()| async { Ok::<_, Failure>(()) },
        nothing_to_undo,
    )
    .register();
    stories::step(&mut b, "a", every(1, 0));
    stories::step(&mut b, "a", every(1, 1));
    for _ in 0..2 {
        b.saga("s", |_: Flow, n: u32| async move { Ok::<_, Abort>(n) });
    }
    let Err(EngineError::Build(wrong)) = b.build().await else {
        panic!("it was built");
    };
    let wrong = wrong.to_string();
    for says in [
        "max_payload",
        "max_running",
        "crash_limit",
        "`a`: attempts is 0, but has to be at least 1",
        "step name is \"a\"",
        "`s`",
    ] {
        assert!(wrong.contains(says), "{says}: {wrong}");
    }
}
