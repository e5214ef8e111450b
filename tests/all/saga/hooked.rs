//! The memory store, with something to happen before and after what the engine asks of it.
use seawall::saga::{
    MemoryStore, SagaId, Store, StoreError,
    store::{
        Append, BoxFuture, Claim, Claimed, Claims, Counts, Created, Expired, Letter, Mail, NewSaga,
        Owner, Posted, Query, Summary,
    },
};
use std::sync::Arc;

/// `Err`: the store answers that instead.
type Happens = BoxFuture<'static, Result<(), StoreError>>;

#[derive(Clone)]
pub struct Hooked {
    pub store: MemoryStore,
    hook: Arc<dyn Fn(&'static str) -> Happens + Send + Sync>,
}

impl Hooked {
    /// `hook` is told `create` before, `created` after, and so on.
    pub fn new<F>(hook: impl Fn(&'static str) -> F + Send + Sync + 'static) -> Hooked
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        Hooked {
            store: MemoryStore::new(),
            hook: Arc::new(move |call| Box::pin(hook(call))),
        }
    }
}

impl Store for Hooked {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            (self.hook)("create").await?;
            let created = self.store.create(new).await?;
            (self.hook)("created").await?;
            Ok(created)
        })
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.append(append)
    }
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        Box::pin(async move {
            (self.hook)("claim").await?;
            self.store.claim(claim).await
        })
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
        Box::pin(async move {
            (self.hook)(if whole { "load whole" } else { "load" }).await?;
            self.store.load(id, whole).await
        })
    }
    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        let (name, key) = (name.to_owned(), key.to_owned());
        Box::pin(async move {
            (self.hook)("find").await?;
            self.store.find(&name, &key).await
        })
    }
    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        Box::pin(async move {
            (self.hook)("inbox").await?;
            self.store.inbox(id).await
        })
    }
    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        Box::pin(async move {
            (self.hook)("inbox_put").await?;
            self.store.inbox_put(letter).await
        })
    }
    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(async move {
            (self.hook)("list").await?;
            self.store.list(query).await
        })
    }
    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.store.counts()
    }
    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            (self.hook)("delete_ended").await?;
            self.store.delete_ended(expired).await
        })
    }
    fn heartbeat(&self, owner: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>> {
        self.store.heartbeat(owner)
    }
}
