//! The store in an SQLite file: the same answers as the one in memory, and nothing lost.
mod backup;
mod crash;
mod damage;
mod model;
mod open;
mod process;
mod promises;

use seawall::saga::journal::Row;
use seawall::saga::store::{Append, Created, Letter, NewSaga, Next, Owner, SagaId, Store};
use seawall::saga::{SqliteStore, StoreError};
use tempfile::TempDir;

const UID: [u8; 16] = [7; 16];
const ME: Owner = Owner(11);

/// A fresh folder with a store in it.
async fn fresh() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("sagas.db")).await;
    (folder, store.unwrap())
}

fn row(seq: u32, epoch: u32, at: i64) -> Row {
    Row::encode(&UID, seq, epoch, at, &[]).unwrap()
}

fn new_saga(name: &str, key: &str, next: Next, at: i64) -> NewSaga {
    let mut new = NewSaga::new(name, key, UID, row(0, 1, at), ME);
    new.next = next;
    new
}

async fn create(store: &dyn Store, key: &str) -> SagaId {
    match store.create(new_saga("order", key, Next::Keep, 1)).await {
        Ok(Created::New { id, .. }) => id,
        other => panic!("{other:?}"),
    }
}

fn append(id: SagaId, row: Row, next: Next) -> Append {
    Append::new(id, row, next)
}

fn letter(saga: &str, key: &str, id: &str) -> Letter {
    let mut letter = Letter::new(saga, key, id, "paid");
    letter.body = "true".into();
    letter.at = 5;
    letter
}
