//! The engine as a tower service.
use super::world::{Way, World, clock, step};
use seawall::{
    Error, Reason, Timeout,
    saga::{
        Abort, Builder, Context, Engine, Failure, Flow, MemoryStore, Saga, SagaError, SagaRef,
        SqliteStore, Start, StartError, Step, StepContext,
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

fn builder(world: &World) -> Builder<World> {
    let mut b = Engine::builder(world.clone(), MemoryStore::new());
    b.wall_clock(clock());
    b
}

/// Sleeps for an hour, then runs its step.
fn slow(b: &mut Builder<World>) -> SagaRef<u32, String> {
    let a = step!(b, "a").register();
    b.saga("slow", move |saga: Flow, _: u32| async move {
        saga.sleep(Duration::from_secs(3600)).await;
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

#[derive(Clone, Serialize, Deserialize)]
struct Typed;

#[derive(Serialize, Deserialize)]
struct Only;

impl Step<World> for Only {
    const NAME: &'static str = "a";
    type Output = String;
    async fn run(&self, world: &World, cx: &StepContext) -> Result<String, Failure> {
        world.run("a", cx.clone()).await
    }
}

impl Saga<World> for Typed {
    const NAME: &'static str = "typed";
    type Output = String;
    type Steps = (Only,);
    async fn run(&self, saga: &Context<World, Self>) -> Result<String, Abort> {
        saga.sleep(Duration::from_secs(60)).await;
        Ok(saga.step(Only).await?)
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_the_service_ends_the_wait_and_not_the_saga() {
    let world = World::default();
    let mut b = builder(&world);
    let slow = slow(&mut b);
    let engine = b.build().await.unwrap();
    let limit = Timeout::after(Duration::from_secs(1)).build().unwrap();
    let guarded = ServiceBuilder::new()
        .layer(limit.layer())
        .service(engine.service(slow));
    let start = Start::new("k", 1);
    let ended = guarded.oneshot(start.clone()).await.unwrap_err();
    let Error::Rejected(refused) = ended else {
        panic!("{ended}");
    };
    assert!(matches!(refused.reason, Reason::TimedOut { .. }));
    assert!(world.log().is_empty());
    // The same start is the same saga, and waits for its end.
    let done = engine.service(slow).oneshot(start).await.unwrap();
    assert_eq!(done, "a done");
    assert_eq!(world.log(), ["run a"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_keeps_the_engine_running() {
    let mut b = builder(&World::default());
    b.register::<Typed>();
    let engine = b.build().await.unwrap();
    // Both the engine and the service are gone when the saga begins.
    let done = engine.oneshot(Start::new("k", Typed)).await.unwrap();
    assert_eq!(done, "a done");

    let mut b = builder(&World::default());
    let slow = slow(&mut b);
    let service = b.build().await.unwrap().service(slow);
    assert_eq!(service.oneshot(Start::new("k", 1)).await.unwrap(), "a done");
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_was_undone_is_an_error_of_the_service() {
    let world = World::with([("a", vec![Way::Refuse])]);
    let mut b = builder(&world);
    b.register::<Typed>();
    let slow = slow(&mut b);
    let engine = b.build().await.unwrap();
    let undone = engine.clone().oneshot(Start::new("k", Typed)).await;
    assert!(
        matches!(undone, Err(SagaError::Compensated { .. })),
        "{undone:?}"
    );
    let soon = Start::new("k", 1).deadline(Duration::from_secs(5));
    let late = engine.service(slow).oneshot(soon).await.unwrap_err();
    assert!(late.to_string().contains("deadline"), "{late}");
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_refuses_it_refuses_in_the_answer() {
    let mut b = builder(&World::default());
    let slow = slow(&mut b);
    let engine = b.build().await.unwrap();
    let mut service = engine.service(slow);
    let long = service.ready().await.unwrap().call(Start::new("", 1)).await;
    let Err(SagaError::Start(StartError::Key { bytes: 0, .. })) = long else {
        panic!("{long:?}");
    };
    engine.drain().await.unwrap();
    let late = service.ready().await.unwrap().call(Start::new("k", 1));
    let Err(SagaError::Start(StartError::Draining)) = late.await else {
        panic!("a draining engine has started a saga");
    };
}

#[tokio::test]
async fn a_store_that_has_failed_is_told_as_readiness() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("sagas.db"))
        .await
        .unwrap();
    let mut b = Engine::builder((), store.clone());
    let one = b.saga("one", async |_: Flow, n: u32| Ok::<_, Abort>(n));
    let engine = b.build().await.unwrap();
    let mut service = engine.service(one);
    let done = service.ready().await.unwrap().call(Start::new("k", 7));
    assert_eq!(done.await.unwrap(), 7);
    store.close().await;
    let last = service.ready().await.unwrap().call(Start::new("l", 7));
    assert!(matches!(
        last.await,
        Err(SagaError::Start(StartError::Store(_)))
    ));
    engine.closed().await;
    let gone = service.ready().await.map(|_| ()).unwrap_err();
    assert!(matches!(gone, SagaError::Store(_)), "{gone}");
}
