//! Three-step sagas to their end, so many at a time, by where they are kept.
use criterion::{Criterion, Throughput};
use seawall::saga::{
    Abort, Engine, Failure, Flow, MemoryStore, SagaRef, SqliteStore, StepContext, Store,
    nothing_to_undo,
};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

async fn act(_: Arc<()>, _: StepContext, order: u32) -> Result<u32, Failure> {
    Ok(order)
}

type Sagas = (Engine<()>, SagaRef<u32, u32>);

async fn engine(store: impl Store) -> Sagas {
    let mut b = Engine::builder((), store);
    // What has ended is of no use here, and would fill the memory.
    b.keep_at_most(1_000);
    let reserve = b.step("reserve", act, nothing_to_undo).register();
    let charge = b.step("charge", act, nothing_to_undo).register();
    let confirm = b.step("confirm", act, nothing_to_undo).register();
    let order = b.saga("order", move |saga: Flow, order: u32| async move {
        saga.call(reserve, order).await?;
        let paid = saga.call(charge, order).await?;
        Ok::<_, Abort>(saga.call(confirm, paid).await?)
    });
    (b.build().await.expect("an engine"), order)
}

/// So many at once, all to their end.
async fn run((engine, order): &Sagas, first: u64, many: u64) {
    let mut running = JoinSet::new();
    for n in first..first + many {
        let (engine, order) = (engine.clone(), *order);
        running.spawn(async move {
            let started = engine.start(order, format!("order-{n}"), 7).await;
            started.expect("a new saga").outcome().await
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic").expect("all steps succeed");
    }
}

pub(crate) fn each(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sagas.db");
    let sqlite = runtime.block_on(SqliteStore::open(file)).expect("a file");
    let stores = [
        ("memory", runtime.block_on(engine(MemoryStore::new()))),
        ("SQLite", runtime.block_on(engine(sqlite))),
    ];
    let mut group = c.benchmark_group("sagas");
    let mut next = 0;
    for (store, sagas) in &stores {
        for many in [1, 64] {
            group.throughput(Throughput::Elements(many));
            group.bench_function(format!("{store}, {many} at a time"), |b| {
                b.iter(|| {
                    runtime.block_on(run(sagas, next, many));
                    next += many;
                });
            });
        }
    }
    group.finish();
}
