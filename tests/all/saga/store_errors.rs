//! A store that fails now and then, without being closed: what it could not do is done later, or a
//! person is asked.
use super::{
    hooked::Hooked,
    stage::pass,
    world::{World, clock, step},
};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, MemoryStore, SagaError, SagaId, Signal, StepContext,
    Store, StoreError,
    journal::StuckKind,
    nothing_to_undo,
    store::{
        Append, BoxFuture, Claim, Claimed, Claims, Counts, Created, Expired, Letter, Mail, NewSaga,
        Owner, Posted, Query, Summary,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// The memory store, with a limit of its own and a page that cannot be read.
#[derive(Clone, Default)]
struct Flaky {
    store: MemoryStore,
    unreadable: Arc<AtomicBool>,
    /// Bytes of a row; 0 is no limit.
    most: Arc<AtomicUsize>,
}

impl Store for Flaky {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.store.create(new)
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        let (value, most) = (append.row.body.len(), self.most.load(SeqCst));
        if most != 0 && value > most {
            let field = "the journal row";
            return Box::pin(async move { Err(StoreError::TooLarge { field, value, most }) });
        }
        self.store.append(append)
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
        match self.unreadable.swap(false, SeqCst) {
            true => Box::pin(async { Err(StoreError::Read("a bad sector".into())) }),
            false => self.store.inbox(id),
        }
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

#[derive(Serialize, Deserialize)]
struct Paid(u32);
impl Signal for Paid {
    const NAME: &'static str = "paid";
}

#[tokio::test(start_paused = true)]
async fn a_saga_whose_mail_could_not_be_read_reads_it_a_moment_later() {
    let store = Flaky::default();
    let mut b = Engine::builder(World::default(), store.clone());
    b.wall_clock(clock());
    let waits = b.saga("waits", |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let engine = b.build().await.unwrap();
    let mut first = engine.start(waits, "k", ()).await.unwrap();
    store.unreadable.store(true, SeqCst);
    engine
        .signal("waits", "k", "paid-1", &Paid(7))
        .await
        .unwrap();
    let lost = first.outcome().await.unwrap_err();
    assert!(lost.to_string().contains("a bad sector"), "{lost}");
    let out = engine.start(waits, "k", ()).await.unwrap().outcome().await;
    assert_eq!(out.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_a_row_parks_its_saga_and_no_other() {
    let store = Flaky::default();
    let world = World::default();
    let mut b = Engine::builder(world.clone(), store.clone());
    b.wall_clock(clock());
    let pay = step!(b, "pay").register();
    let saga = b.saga("pays", move |saga: Flow, many: usize| async move {
        saga.sleep(Duration::from_secs(1)).await;
        let all = (0..many).map(|_| saga.call(pay, ()));
        futures_util::future::try_join_all(all).await?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut large = engine.start(saga, "large", 100).await.unwrap();
    let mut small = engine.start(saga, "small", 1).await.unwrap();
    store.most.store(1_000, SeqCst);
    match large.outcome().await {
        Err(SagaError::Stuck {
            kind: StuckKind::Saga,
            why,
            ..
        }) => {
            assert!(why.contains("at most 1000 can be stored"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    small.outcome().await.unwrap();
    assert_eq!(world.log(), ["run pay"]);
}

#[tokio::test(start_paused = true)]
async fn s25_a_store_that_closes_while_nothing_runs_is_told_to_everyone_who_waits() {
    for call in ["inbox_put", "delete_ended"] {
        let closed = Arc::new(AtomicBool::new(false));
        let closes = closed.clone();
        let store = Hooked::new(move |now| {
            let fail = now == call && closes.load(SeqCst);
            async move {
                match fail {
                    true => Err(StoreError::Closed("the disk is full".into())),
                    false => Ok(()),
                }
            }
        });
        let mut b = Engine::builder((), store);
        b.wall_clock(clock());
        let waits = b.saga("waits", |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(waits, "k", ()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        closed.store(true, SeqCst);
        if call == "inbox_put" {
            let sent = engine.signal("waits", "k", "m", &Paid(1)).await;
            sent.unwrap_err();
        }
        let limit = Duration::from_secs(200);
        let cause = tokio::time::timeout(limit, engine.closed()).await;
        let cause = cause.unwrap().to_string();
        assert!(cause.contains("the disk is full"), "{call}: {cause}");
        let end = tokio::time::timeout(limit, handle.outcome()).await;
        assert!(
            matches!(end, Ok(Err(SagaError::Store(_)))),
            "{call}: {end:?}"
        );
    }
}

/// A store that fails in `call`, once, when it is told to.
fn fails_once(call: &'static str) -> (Hooked, Arc<AtomicBool>) {
    let now = Arc::<AtomicBool>::default();
    let fails = now.clone();
    let store = Hooked::new(move |this| {
        let fail = this == call && fails.swap(false, SeqCst);
        async move {
            match fail {
                true => Err(StoreError::Read("a bad sector".into())),
                false => Ok(()),
            }
        }
    });
    (store, now)
}

#[tokio::test(start_paused = true)]
async fn those_parked_for_their_code_are_looked_for_again_when_they_could_not_be_listed() {
    let (store, fails) = fails_once("list");
    let tell = Arc::new(clock());
    let builder = || {
        let mut b = Engine::builder(World::default(), store.clone());
        let tell = tell.clone();
        b.wall_clock(move || tell());
        b
    };
    let saga = |b: &mut Builder<World>| {
        b.saga("s", |saga: Flow, (): ()| async move {
            saga.sleep(Duration::from_secs(9)).await;
            Ok::<_, Abort>(())
        })
    };
    let mut b = builder();
    let old = saga(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(old, "k", ()).await.unwrap();
    drop(engine);
    let without = builder().build().await.unwrap();
    pass(10).await;
    assert_eq!(without.counts().await.unwrap().stuck, 1);
    drop(without);
    fails.store(true, SeqCst);
    let mut b = builder();
    saga(&mut b);
    let engine = b.build().await.unwrap();
    pass(5).await;
    assert!(!fails.load(SeqCst), "it was not listed at all");
    assert_eq!(engine.counts().await.unwrap().finished, 1);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_could_not_be_found_at_its_childs_end_hears_of_it_a_moment_later() {
    let (store, fails) = fails_once("find");
    let world = World::default();
    let mut b = Engine::builder(world.clone(), store);
    b.wall_clock(clock());
    let pay = step!(b, "pay").register();
    let slow = async |_: Arc<World>, _: StepContext, (): ()| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok::<_, Failure>(())
    };
    let slow = b.step("slow", slow, nothing_to_undo).register();
    let kid = b.saga("kid", |saga: Flow, (): ()| async move {
        saga.sleep(Duration::from_secs(3)).await;
        Ok::<_, Abort>(())
    });
    let kid = b.child("kid", kid, nothing_to_undo);
    let parent = b.saga("parent", move |saga: Flow, (): ()| async move {
        let paid = async {
            saga.child(kid, ()).await?;
            saga.call(pay, ()).await
        };
        // It keeps the parent in memory.
        tokio::try_join!(paid, saga.call(slow, ()))?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    fails.store(true, SeqCst);
    pass(9).await;
    assert!(!fails.load(SeqCst), "it was not looked for at all");
    assert_eq!(world.log(), ["run pay"]);
    handle.outcome().await.unwrap();
}
