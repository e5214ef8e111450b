//! Sagas and steps as types: for what outlives a release.
use super::{
    stage::{Paid, Stage, pass, secs},
    world::{Way, World},
};
use seawall::saga::{
    Abort, Context, EngineError, Failure, Outcome, Saga, StartError, Status, Step, StepContext,
    StepRetry, Verdict,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Reserve {
    sku: String,
}

impl Step<World> for Reserve {
    const NAME: &'static str = "a";
    type Output = String;
    async fn run(&self, world: &World, cx: &StepContext) -> Result<String, Failure> {
        Ok(world.run("a", cx.clone()).await? + " " + &self.sku)
    }
    async fn undo(
        &self,
        world: &World,
        cx: &StepContext,
        was: Outcome<String>,
    ) -> Result<(), Failure> {
        assert!(
            matches!(&was, Outcome::Done(out) if out.ends_with(&self.sku)),
            "{was:?}"
        );
        world.undo("a", cx.clone()).await
    }
}

#[derive(Serialize, Deserialize)]
struct Charge(u32);

impl Step<World> for Charge {
    const NAME: &'static str = "b";
    const VERIFIES: bool = true;
    type Output = String;
    async fn run(&self, world: &World, cx: &StepContext) -> Result<String, Failure> {
        world.run("b", cx.clone()).await
    }
    async fn undo(
        &self,
        world: &World,
        cx: &StepContext,
        _: Outcome<String>,
    ) -> Result<(), Failure> {
        world.undo("b", cx.clone()).await
    }
    async fn verify(&self, world: &World, cx: &StepContext) -> Verdict<String> {
        world.verify("b", cx)
    }
    fn retry(&self) -> StepRetry {
        assert!(self.0 != 13, "unlucky");
        StepRetry::attempts(self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Order<const V: u32> {
    sku: String,
    cents: u32,
    #[serde(default)]
    gift: bool,
}

impl<const V: u32> Saga<World> for Order<V> {
    const NAME: &'static str = "order";
    const VERSION: u32 = V;
    type Output = String;
    type Steps = (Reserve, Charge);
    async fn run(&self, cx: &Context<World, Self>) -> Result<String, Abort> {
        let sku = self.sku.clone();
        let reserved = cx.step(Reserve { sku }).await?;
        cx.wait_for::<Paid>().await;
        if V == 1 {
            cx.step(Charge(self.cents)).await?;
        }
        Ok(format!("{V}: {reserved}"))
    }
}

fn order<const V: u32>(cents: u32) -> Order<V> {
    Order {
        sku: "x".to_owned(),
        cents,
        gift: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_saga_of_types_does_its_steps_and_takes_them_back() {
    for (ways, done) in [(vec![Way::Lost], true), (vec![Way::Refuse], false)] {
        let stage = Stage::with(World::with([("b", ways)]));
        let mut b = stage.builder();
        b.register::<Order<1>>();
        let engine = b.build().await.unwrap();
        engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
        let mut handle = engine.start_saga("k", order::<1>(3)).await.unwrap();
        match handle.outcome().await {
            Ok(out) => assert!(done && out == "1: a done x", "{out}"),
            Err(end) => assert!(!done && stage.world.net() == 0, "{end}"),
        }
        assert_eq!(stage.attempts("b"), [1], "the lost one was found by verify");
    }
}

#[tokio::test(start_paused = true)]
async fn sagas_go_on_with_the_version_that_they_were_started_with() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.register::<Order<1>>();
    let engine = b.build().await.unwrap();
    engine.start_saga("old", order::<1>(3)).await.unwrap();
    pass(1).await;
    stage.die(engine).await;

    let mut b = stage.builder();
    b.register::<Order<1>>().register::<Order<2>>();
    let engine = b.build().await.unwrap();
    let mut old = engine.start_saga("old", order::<1>(3)).await.unwrap();
    let mut new = engine.start_saga("new", order::<2>(3)).await.unwrap();
    for key in ["old", "new"] {
        engine.signal("order", key, "m", &Paid(1)).await.unwrap();
    }
    assert_eq!(old.outcome().await.unwrap(), "1: a done x");
    assert_eq!(new.outcome().await.unwrap(), "2: a done x");
    // The version is no part of what a saga is.
    let again = engine.start_saga("old", order::<2>(3)).await.unwrap();
    assert_eq!(again.id(), old.id());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_parks_its_sagas_until_it_is_back() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.register::<Order<1>>();
    let engine = b.build().await.unwrap();
    engine.start_saga("k", order::<1>(3)).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    let mut b = stage.builder();
    b.register::<Order<2>>();
    let engine = b.build().await.unwrap();
    engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    pass(1).await;
    let reason = stage.reason("order", "k").await;
    assert_eq!(
        reason,
        "code: saga `order` version 1 is not registered with this engine"
    );
    let refused = engine.start_saga("other", order::<1>(3)).await.unwrap_err();
    assert!(
        matches!(refused, StartError::Unregistered { version: 1, .. }),
        "{refused}"
    );
    stage.die(engine).await;
    let mut b = stage.builder();
    b.register::<Order<1>>();
    let _engine = b.build().await.unwrap();
    pass(secs(60).as_secs()).await;
    assert_eq!(stage.status("order", "k").await, Status::Finished);
}

#[tokio::test(start_paused = true)]
async fn s23_a_retry_that_panics_parks_that_saga() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.register::<Order<1>>();
    let engine = b.build().await.unwrap();
    engine.signal("order", "k", "m", &Paid(1)).await.unwrap();
    let mut handle = engine.start_saga("k", order::<1>(13)).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(
        end.contains("step `b`: its retry panicked: unlucky"),
        "{end}"
    );
    assert_eq!(stage.attempts("b").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_steps_of_one_name_in_a_saga_are_refused_when_it_is_registered() {
    #[derive(Serialize, Deserialize)]
    struct Other;
    impl Step<World> for Other {
        const NAME: &'static str = "a";
        type Output = ();
        async fn run(&self, _: &World, _: &StepContext) -> Result<(), Failure> {
            Ok(())
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Twice;
    impl Saga<World> for Twice {
        const NAME: &'static str = "twice";
        const VERSION: u32 = 1;
        type Output = ();
        type Steps = (Reserve, Other);
        async fn run(&self, _: &Context<World, Self>) -> Result<(), Abort> {
            Ok(())
        }
    }
    let stage = Stage::new();
    let mut b = stage.builder();
    b.register::<Twice>();
    let Err(EngineError::Build(wrong)) = b.build().await else {
        panic!("it was built");
    };
    assert!(
        wrong
            .to_string()
            .contains("a name that no other step of the saga has"),
        "{wrong}"
    );
}
