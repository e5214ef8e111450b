//! Our engine on its SQLite store, as it ships, and on the one in memory.
use super::{Contender, Error, load};
use seawall::saga::{
    Abort, Engine, Failure, Flow, MemoryStore, SagaRef, SqliteStore, StepContext, Store,
    nothing_to_undo,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// What a saga is started with, and each of its steps called.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    sku: String,
    qty: u32,
}

/// Two of one thing.
pub fn order() -> Order {
    let sku = "SKU-1".to_owned();
    Order { sku, qty: 2 }
}

/// An engine with the three-step saga.
pub struct Ours {
    runtime: Runtime,
    /// None if it is all in memory.
    store: Option<SqliteStore>,
    engine: Engine<()>,
    place_order: SagaRef<Order, String>,
}

impl Ours {
    /// On a new file there.
    pub fn open(path: &Path) -> Result<Ours, Error> {
        let runtime = runtime()?;
        let store = runtime.block_on(SqliteStore::open(path))?;
        let (engine, place_order) = runtime.block_on(engine(store.clone()))?;
        Ok(Ours {
            runtime,
            store: Some(store),
            engine,
            place_order,
        })
    }

    /// On what does not outlive the process.
    pub fn in_memory() -> Result<Ours, Error> {
        let runtime = runtime()?;
        let (engine, place_order) = runtime.block_on(engine(MemoryStore::new()))?;
        Ok(Ours {
            runtime,
            store: None,
            engine,
            place_order,
        })
    }

    /// Runs so many sagas to their end.
    pub fn run(&self, keys: &str, sagas: usize) -> Result<(), Error> {
        let one = |n| {
            let key = format!("{keys}-{n}");
            let (engine, place_order) = (self.engine.clone(), self.place_order);
            async move {
                one(engine, place_order, key).await;
                Ok(())
            }
        };
        self.runtime.block_on(all(sagas, one))
    }

    /// Lets go of the file.
    pub fn close(self) -> Result<(), Error> {
        self.runtime.block_on(async {
            self.engine.drain().await?;
            if let Some(store) = &self.store {
                store.close().await;
            }
            Ok(())
        })
    }
}

fn runtime() -> Result<Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    Ok(runtime)
}

async fn engine(store: impl Store) -> Result<(Engine<()>, SagaRef<Order, String>), Error> {
    let mut b = Engine::builder((), store);
    let reserve = b.step("reserve_stock", act, nothing_to_undo).register();
    let charge = b.step("charge_payment", act, nothing_to_undo).register();
    let confirm = b.step("confirm_order", act, nothing_to_undo).register();
    let place_order = b.saga("place_order", move |saga: Flow, order: Order| async move {
        saga.call(reserve, order.clone()).await?;
        let paid = saga.call(charge, order.clone()).await?;
        saga.call(confirm, order).await?;
        Ok::<_, Abort>(paid)
    });
    Ok((b.build().await?, place_order))
}

impl Contender for Ours {
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error> {
        let (engine, place_order) = (self.engine.clone(), self.place_order);
        Ok(load::rate(&self.runtime, clients, span, move |n| {
            one(engine.clone(), place_order, format!("order-{n}"))
        }))
    }
}

/// So many of something, 256 of them at a time.
pub async fn all<F>(many: usize, one: impl Fn(usize) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for n in 0..many {
        if running.len() == 256 {
            running.join_next().await.ok_or("none runs")???;
        }
        running.spawn(one(n));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

async fn act(_: Arc<()>, _: StepContext, _: Order) -> Result<String, Failure> {
    Ok("r-1".to_owned())
}

async fn one(engine: Engine<()>, place_order: SagaRef<Order, String>, key: String) {
    let started = engine.start(place_order, key, order()).await;
    let mut saga = started.expect("a saga that starts");
    assert_eq!(saga.outcome().await.expect("a saga that ends"), "r-1");
}
