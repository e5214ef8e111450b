//! duroxide with its SQLite provider and runtime as they ship. The provider asks for
//! `PRAGMA synchronous = WAL`, which SQLite does not know and takes for NORMAL: a commit is not
//! synced, so what was acknowledged may be lost in a power cut. It has no undo of its own; the
//! orchestration would do it by hand.
use crate::{Round, load};
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::Runtime as Worker;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
};
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

pub fn open(runtime: &Runtime, folder: &Path) -> Result<Round, Box<dyn Error>> {
    let path = folder.join("sagas.db");
    // The provider opens a file, but makes none.
    File::create(&path)?;
    let url = format!("sqlite:{}", path.display());
    let (worker, client) = runtime.block_on(async {
        let store = Arc::new(SqliteProvider::new(&url, None).await?);
        let activities = ActivityRegistry::builder()
            .register("reserve", activity)
            .register("charge", activity)
            .register("confirm", activity)
            .build();
        let orchestrations = OrchestrationRegistry::builder()
            .register("place_order", place_order)
            .build();
        let worker = Worker::start_with_store(store.clone(), activities, orchestrations).await;
        Ok::<_, Box<dyn Error>>((worker, Client::new(store)))
    })?;
    let client = Arc::new(client);
    Ok(Box::new(move |runtime, clients, span| {
        let (_running, client) = (&worker, client.clone());
        load::rate(runtime, clients, span, move |n| one(client.clone(), n))
    }))
}

async fn activity(_: ActivityContext, input: String) -> Result<String, String> {
    Ok(input)
}

async fn place_order(cx: OrchestrationContext, order: String) -> Result<String, String> {
    cx.schedule_activity("reserve", order.as_str()).await?;
    let paid = cx.schedule_activity("charge", order.as_str()).await?;
    cx.schedule_activity("confirm", order.as_str()).await?;
    Ok(paid)
}

async fn one(client: Arc<Client>, n: u64) {
    let id = format!("order-{n}");
    client
        .start_orchestration(&id, "place_order", "SKU-1")
        .await
        .expect("a saga that starts");
    let end = client
        .wait_for_orchestration(&id, Duration::from_secs(600))
        .await;
    assert!(
        matches!(end, Ok(OrchestrationStatus::Completed { .. })),
        "{end:?}"
    );
}
