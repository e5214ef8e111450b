//! The end of a process, without one: at a chosen point everything freezes for ever.
use super::{tape::Entry, world::World};
use seawall::saga::{
    MemoryStore, SagaId, Status, Store, StoreError,
    store::{
        Append, BoxFuture, Claim, Claimed, Claims, Counts, Created, Expired, Letter, Mail, NewSaga,
        Next, Owner, Posted, Query, Summary,
    },
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::sync::Notify;

/// How a life of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Killed,
    /// The engine is told to stop, and waited for.
    Drained,
}

/// Points in one life: a saga passes some dozens.
const MOST: usize = 1_000;

/// Counts points; at the chosen one it shuts, and nothing comes past any more, or it only tells.
#[derive(Default)]
pub struct Gate {
    passed: AtomicUsize,
    at: Option<(usize, Stop)>,
    /// Points that it lets by; without one, all.
    most: Option<usize>,
    shut: AtomicBool,
    /// It goes round and round.
    pub spins: AtomicBool,
    pub hit: Notify,
}

impl Gate {
    pub fn at(at: Option<(usize, Stop)>) -> Arc<Gate> {
        Arc::new(Gate {
            at,
            most: Some(MOST),
            ..Gate::default()
        })
    }

    pub async fn point(&self) {
        let passed = self.passed.fetch_add(1, SeqCst);
        if self.most == Some(passed) {
            self.spins.store(true, SeqCst);
            self.shut.store(true, SeqCst);
            self.hit.notify_one();
        }
        if let Some((at, stop)) = self.at
            && at == passed
        {
            self.shut.store(stop == Stop::Killed, SeqCst);
            self.hit.notify_one();
        }
        self.open().await;
    }

    async fn open(&self) {
        if self.shut.load(SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

type Uids = Arc<Mutex<BTreeMap<SagaId, [u8; 16]>>>;

/// The memory store, with a point before and after everything it writes, and a tape of it.
#[derive(Clone)]
pub struct GateStore {
    pub store: MemoryStore,
    pub world: World,
    uids: Uids,
}

impl GateStore {
    pub fn new(world: World) -> Self {
        GateStore {
            store: MemoryStore::new(),
            world,
            uids: Arc::default(),
        }
    }

    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        self.world.point().await;
        let wrote = write.await;
        self.world.point().await;
        wrote
    }

    async fn read<T>(&self, read: impl Future<Output = T>) -> T {
        let gate = self.world.books().gate.clone();
        gate.open().await;
        read.await
    }
}

/// What became of a saga with a row.
fn status(next: &Next) -> Status {
    match next {
        Next::Keep => Status::Running,
        Next::Leave { status, .. } | Next::End { status, .. } => *status,
        Next::Park { .. } => Status::Stuck,
    }
}

impl Store for GateStore {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(self.write(async move {
            let (row, uid) = (new.row.clone(), new.uid);
            let status = status(&new.next);
            let created = self.store.create(new).await?;
            if let Created::New { id, .. } = created {
                self.uids.lock().unwrap().insert(id, uid);
                let row = Entry::row(&uid, &row, status);
                self.world.books().tape.push(row);
            }
            Ok(created)
        }))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move {
            let (id, row) = (append.id, append.row.clone());
            let status = status(&append.next);
            self.store.append(append).await?;
            let uid = self.uids.lock().unwrap()[&id];
            let row = Entry::row(&uid, &row, status);
            self.world.books().tape.push(row);
            Ok(())
        }))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        Box::pin(self.write(async move { self.store.claim(claim).await }))
    }

    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(self.write(async move { self.store.seize(owner, id).await }))
    }

    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move { self.store.release(owner, id).await }))
    }

    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move { self.store.run_alone(id, epoch).await }))
    }

    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(self.read(self.store.load(id, whole)))
    }

    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        Box::pin(self.read(self.store.find(name, key)))
    }

    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        Box::pin(self.read(self.store.inbox(id)))
    }

    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        Box::pin(self.write(async move { self.store.inbox_put(letter).await }))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(self.read(self.store.list(query)))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.read(self.store.counts()))
    }

    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        // Retention has no part in a saga's life.
        Box::pin(self.read(self.store.delete_ended(expired)))
    }

    fn heartbeat(&self, owner: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>> {
        Box::pin(self.read(self.store.heartbeat(owner)))
    }
}
