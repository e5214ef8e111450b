use super::world::{Way, World, clock, step};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, MemoryStore, Outcome, SagaError, SagaRef, StartError,
    StepContext, StepRef, Store as _,
};
use std::sync::{Arc, Mutex};

/// Three steps, one after the other.
fn three(b: &mut Builder<World>) -> SagaRef<(), String> {
    let (x, y, z) = steps(b);
    b.saga("three", move |saga: Flow, (): ()| async move {
        saga.call(x, ()).await?;
        saga.call(y, ()).await?;
        let done = saga.call(z, ()).await?;
        Ok::<_, Abort>(done)
    })
}

type S = StepRef<(), String>;

fn steps(b: &mut Builder<World>) -> (S, S, S) {
    let x = step!(b, "a").register();
    let y = step!(b, "b").register();
    let z = step!(b, "c").register();
    (x, y, z)
}

async fn run(world: &World) -> (Result<String, SagaError>, MemoryStore) {
    let store = MemoryStore::new();
    let mut b = Engine::builder(world.clone(), store.clone());
    b.wall_clock(clock());
    let three = three(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(three, "k", ()).await.unwrap();
    let end = handle.outcome().await;
    assert!(world.books().overlaps.is_empty());
    (end, store)
}

#[tokio::test(start_paused = true)]
async fn a_saga_of_three_steps_costs_four_commits() {
    let world = World::default();
    let (end, store) = run(&world).await;
    assert_eq!(end.unwrap(), "c done");
    assert_eq!(world.log(), ["run a", "run b", "run c"]);
    let id = store.find("three", "k").await.unwrap().unwrap();
    let rows = store.with_rows(id, |rows| rows.clone()).unwrap();
    assert_eq!(rows.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_has_the_others_undone_in_reverse() {
    let world = World::with([("c", vec![Way::Refuse])]);
    let (end, _) = run(&world).await;
    assert_eq!(
        end.unwrap_err().to_string(),
        "the saga was undone: step `c` was refused: no"
    );
    assert_eq!(world.log(), ["run a", "run b", "run c", "undo b", "undo a"]);
    assert_eq!(world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_tried_again_with_the_same_key() {
    let world = World::with([("b", vec![Way::Lost, Way::Panic])]);
    let (end, _) = run(&world).await;
    assert_eq!(end.unwrap(), "c done");
    assert_eq!(world.log(), ["run a", "run b", "run b", "run b", "run c"]);
    assert_eq!(world.net(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_answer_is_not_clean() {
    let world = World::with([("b", vec![Way::Lost, Way::Refuse])]);
    let (end, _) = run(&world).await;
    let why = "the saga was undone: step `b` failed and may have been applied: no";
    assert_eq!(end.unwrap_err().to_string(), why);
    assert_eq!(world.net(), 0);
    assert_eq!(world.log().last().unwrap(), "undo a");
    assert!(world.log().contains(&"undo b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_stays_refused_parks_the_saga() {
    let world = World::with([("c", vec![Way::Refuse]), ("undo b", vec![Way::Refuse; 99])]);
    let (end, _) = run(&world).await;
    assert!(matches!(end, Err(SagaError::Stuck { .. })), "{end:?}");
    assert_eq!(world.net(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_the_same_saga_and_another_input_a_conflict() {
    let mut b = Engine::builder(World::default(), MemoryStore::new());
    let x = step!(b, "a").register();
    let one = b.saga("one", move |saga: Flow, n: u32| async move {
        saga.call(x, ()).await?;
        Ok::<_, Abort>(n)
    });
    let engine = b.build().await.unwrap();
    let mut first = engine.start(one, "k", 7).await.unwrap();
    let mut again = engine.start(one, "k", 7).await.unwrap();
    assert_eq!(first.id(), again.id());
    assert_eq!(first.outcome().await.unwrap(), 7);
    assert_eq!(again.outcome().await.unwrap(), 7);
    let other = engine.start(one, "k", 8).await.unwrap_err();
    assert!(matches!(other, StartError::Conflict { .. }), "{other}");
}

#[tokio::test(start_paused = true)]
async fn a_compensation_is_told_why_the_saga_was_given_up_and_one_that_it_asked_for_is_not() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let mut b = Engine::builder(World::default(), MemoryStore::new());
    let a = b.step(
        "a",
        async |_: Arc<World>, cx: StepContext, (): ()| {
            assert_eq!(cx.undo_reason(), None);
            Ok::<_, Failure>(())
        },
        move |_: Arc<World>, cx: StepContext, (): (), _: Outcome<()>| {
            let log = log.clone();
            async move {
                let reason = cx.undo_reason().map(str::to_owned);
                log.lock().unwrap().push(reason);
                Ok(())
            }
        },
    );
    let a = a.register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        let (id, first) = saga.call(a, ()).numbered().await;
        first?;
        saga.undo(id).await;
        saga.call(a, ()).await?;
        Err::<(), _>(Abort::new("sold out"))
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(*told.lock().unwrap(), [None, Some("sold out".to_owned())]);
}
