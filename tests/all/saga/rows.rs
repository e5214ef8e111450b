//! The size of a row, whatever comes at once.
use super::{stage::Stage, world::World};
use seawall::saga::{Abort, Failure, Flow, Status, StepContext, nothing_to_undo};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn a_crowd_of_signals_is_written_down_in_rows_of_a_bearable_size() {
    const MANY: usize = 40;
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("s", |saga: Flow, (): ()| async move {
        let mut order = Vec::new();
        for _ in 0..MANY {
            order.push(saga.wait_for::<Large>().await.0);
        }
        Ok::<_, Abort>(order)
    });
    let engine = b.build().await.unwrap();
    for n in 0..MANY {
        let large = Large(n, "x".repeat(500_000));
        engine
            .signal("s", "k", &n.to_string(), &large)
            .await
            .unwrap();
    }
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let order = handle.outcome().await.unwrap();
    assert!(order.iter().copied().eq(0..MANY), "{order:?}");
    let rows = stage.rows("s", "k").await;
    let most = rows.iter().map(|row| row.body.len()).max().unwrap();
    assert!(most < 2_000_000, "{most} bytes");
    assert!(rows.len() < MANY / 2, "{} rows", rows.len());
    assert_eq!(stage.status("s", "k").await, Status::Finished);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Large(usize, String);

impl seawall::saga::Signal for Large {
    const NAME: &'static str = "large";
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_answers_is_written_down_in_rows_of_a_bearable_size() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let run = async |_: Arc<World>, _: StepContext, (): ()| Ok::<_, Failure>("x".repeat(500_000));
    let a = b.step("a", run, nothing_to_undo).register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        let all = (0..16).map(|_| saga.call(a, ()));
        futures_util::future::try_join_all(all).await?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap();
    let rows = stage.rows("s", "k").await;
    let most = rows.iter().map(|row| row.body.len()).max().unwrap();
    assert!(most < 2_000_000, "{most} bytes");
}
