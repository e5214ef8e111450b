//! A store that tells everything it has acknowledged, so that a test can ask for it after a crash.
use seawall::saga::journal::Row;
use seawall::saga::store::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// The program is about to open the store.
    Begun,
    /// The store could not be opened.
    Refused(String),
    /// A row is durable.
    Row {
        id: i64,
        seq: u32,
        epoch: u32,
        sum: u32,
    },
    /// A start was `Ok`.
    Started { number: u32, id: i64 },
    /// A saga has ended, with this output, or undone.
    Ended { number: u32, out: Option<u32> },
    /// Whoever waited was told that the store has failed.
    Failed { number: u32, why: String },
    /// The engine says that the store has failed.
    Closed(String),
    /// A row of the program that has no engine.
    Raw(i64),
    /// The program ends by itself.
    Over,
}

impl Fact {
    /// From a line of the program's output, where it is one, and not cut off.
    pub fn read(line: &str) -> Option<Fact> {
        let is_fact = line.starts_with(['{', '"']);
        is_fact.then(|| serde_json::from_str(line).ok()).flatten()
    }
}

pub type Tell = Arc<dyn Fn(Fact) + Send + Sync>;

#[derive(Clone)]
pub struct Told<S> {
    pub store: S,
    pub tell: Tell,
}

impl<S> Told<S> {
    fn row(&self, id: SagaId, row: &Row) {
        (self.tell)(Fact::Row {
            id: id.0,
            seq: row.seq,
            epoch: row.epoch,
            sum: row.sum,
        });
    }
}

impl<S: Store> Store for Told<S> {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        let (row, created) = (new.row.clone(), self.store.create(new));
        Box::pin(async move {
            let created = created.await?;
            if let Created::New { id, .. } = created {
                self.row(id, &row);
            }
            Ok(created)
        })
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        let (id, row) = (append.id, append.row.clone());
        let appended = self.store.append(append);
        Box::pin(async move {
            appended.await?;
            self.row(id, &row);
            Ok(())
        })
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        self.store.claim(claim)
    }

    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.store.seize(owner, id)
    }

    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.release(owner, id)
    }

    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.run_alone(id, epoch)
    }

    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.store.load(id, whole)
    }

    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        self.store.find(name, key)
    }

    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.store.inbox(id)
    }

    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        self.store.inbox_put(letter)
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        self.store.list(query)
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.store.counts()
    }

    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.store.delete_ended(expired)
    }

    fn heartbeat(&self, owner: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>> {
        self.store.heartbeat(owner)
    }
}
