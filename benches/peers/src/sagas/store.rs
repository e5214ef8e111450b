//! Our store alone: the requests that the engine makes for a three-step saga, with their rows ready.
//! What lies between this and the raw loop is the store's cost, and what lies between this and ours
//! is the engine's.
use super::{Contender, Error, load};
use seawall::saga::store::{Append, Claimed, Created, NewSaga, Next, Owner, Store};
use seawall::saga::{SqliteStore, Status};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The store, and the saga that is written again and again.
pub struct Alone {
    runtime: Runtime,
    store: SqliteStore,
    saga: Arc<Claimed>,
}

impl Alone {
    /// On a new file there, with the rows of the saga in the sample.
    pub fn open(path: &Path, sample: &Path) -> Result<Alone, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        let (store, saga) = runtime.block_on(async {
            let sample = SqliteStore::open(sample).await?;
            let id = sample.find("place_order", "run-0").await?;
            let saga = sample
                .load(id.ok_or("no saga in the sample")?, true)
                .await?;
            sample.close().await;
            Ok::<_, Error>((SqliteStore::open(path).await?, Arc::new(saga)))
        })?;
        Ok(Alone {
            runtime,
            store,
            saga,
        })
    }
}

impl Contender for Alone {
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error> {
        let (store, saga) = (self.store.clone(), self.saga.clone());
        Ok(load::rate(&self.runtime, clients, span, move |n| {
            one(store.clone(), saga.clone(), n)
        }))
    }
}

async fn one(store: SqliteStore, saga: Arc<Claimed>, n: u64) {
    let mut rows = saga.rows.iter().cloned();
    let first = rows.next().expect("a first row");
    let key = format!("order-{n}");
    let mut new = NewSaga::new(&*saga.name, key, saga.uid, first, Owner(1));
    new.version = saga.version;
    let Ok(Created::New { id, .. }) = store.create(new).await else {
        panic!("a key that is not new");
    };
    while let Some(row) = rows.next() {
        let status = Status::Finished;
        let last = rows.len() == 0;
        let next = if last { Next::end(status) } else { Next::Keep };
        let append = Append::new(id, row, next);
        store.append(append).await.expect("a row that is written");
    }
}
