//! One store, one set of participants and one wall clock, and engines that come and go over them.
use super::{
    tape::Entry,
    world::{World, clock},
};
use seawall::saga::{
    Builder, Engine, MemoryStore, SagaId, Signal, Status, StepRetry, Store as _,
    journal::{Event, Row},
    store::Query,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

/// A signal with something in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid(pub u32);

impl Signal for Paid {
    const NAME: &'static str = "paid";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped(pub u32);

impl Signal for Shipped {
    const NAME: &'static str = "shipped";
}

#[derive(Clone)]
pub struct Stage {
    pub world: World,
    pub store: MemoryStore,
    tell: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    set: Arc<AtomicI64>,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with(World::default())
    }

    pub fn with(world: World) -> Stage {
        Stage {
            world,
            store: MemoryStore::new(),
            tell: Arc::new(clock()),
            set: Arc::default(),
        }
    }

    /// A builder on the stage's store, whose wall clock follows the paused one and can be set.
    pub fn builder(&self) -> Builder<World> {
        let mut b = Engine::builder(self.world.clone(), self.store.clone());
        let (tell, set) = (self.tell.clone(), self.set.clone());
        b.wall_clock(move || match set.load(SeqCst) {
            ahead @ 0.. => tell() + Duration::from_secs(ahead.unsigned_abs()),
            behind => tell() - Duration::from_secs(behind.unsigned_abs()),
        });
        b
    }

    /// Sets the wall clock so many seconds ahead of the paused one, or behind it.
    pub fn set_clock(&self, seconds: i64) {
        self.set.store(seconds, SeqCst);
    }

    /// Now by the wall clock, UTC ms.
    pub fn now(&self) -> i64 {
        let since = (self.tell)().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(since.unwrap().as_millis()).unwrap() + 1000 * self.set.load(SeqCst)
    }

    /// The process dies: its tasks are gone, and its sagas have lost their owner.
    pub async fn die(&self, engine: Engine<World>) {
        drop(engine);
        pass(0).await;
        self.store.owners_died();
    }

    pub async fn id(&self, name: &str, key: &str) -> SagaId {
        self.store.find(name, key).await.unwrap().unwrap()
    }

    /// The rows of the present run.
    pub async fn rows(&self, name: &str, key: &str) -> Vec<Row> {
        let id = self.id(name, key).await;
        self.store.with_rows(id, |rows| rows.clone()).unwrap()
    }

    pub async fn events(&self, name: &str, key: &str) -> Vec<Event> {
        let id = self.id(name, key).await;
        let kept = self.store.load(id, true).await.unwrap();
        let rows = kept.rows.iter();
        rows.flat_map(|row| row.decode(&kept.uid).unwrap())
            .collect()
    }

    /// The journal in short: `step 0 a`, `done 0`, ...
    pub async fn jot(&self, name: &str, key: &str) -> Vec<String> {
        self.events(name, key).await.iter().map(short).collect()
    }

    pub async fn status(&self, name: &str, key: &str) -> Status {
        self.summary(name, key).await.0
    }

    /// Why it is parked, as operators see it.
    pub async fn reason(&self, name: &str, key: &str) -> String {
        self.summary(name, key).await.1.unwrap_or_default()
    }

    async fn summary(&self, name: &str, key: &str) -> (Status, Option<String>) {
        let mut query = Query::new(99);
        query.name = Some(name.to_owned());
        query.key_prefix = Some(key.to_owned());
        let found = self.store.list(query).await.unwrap();
        let saga = found.iter().find(|saga| saga.key == key).unwrap();
        (saga.status, saga.reason.clone())
    }

    /// The numbers of the attempts of a step that reached its participant, as they told it.
    pub fn attempts(&self, name: &str) -> Vec<u32> {
        let books = self.world.books();
        let entries = books.tape.entries.iter();
        let began = entries.filter_map(|(_, entry)| match entry {
            Entry::Began {
                name: n,
                attempt,
                undo: false,
                ..
            } if *n == name => Some(*attempt),
            _ => None,
        });
        began.collect()
    }

    /// How often a step was run and undone, by its key.
    pub fn calls(&self, step_key: &str) -> (usize, usize) {
        let books = self.world.books();
        let calls = |back: bool| {
            let entries = books.tape.entries.iter();
            let began = entries.filter(|(_, entry)| match entry {
                Entry::Began { key, undo, .. } => key == step_key && *undo == back,
                _ => false,
            });
            began.count()
        };
        (calls(false), calls(true))
    }

    /// The key of the one saga with that name.
    pub async fn key_of(&self, name: &str) -> String {
        let mut query = Query::new(2);
        query.name = Some(name.to_owned());
        let found = self.store.list(query).await.unwrap();
        assert_eq!(found.len(), 1);
        found[0].key.clone()
    }

    /// The `retry` events: attempt, tainted, left.
    pub async fn retries(&self, name: &str, key: &str) -> Vec<(u32, bool, bool)> {
        let retries = self.events(name, key).await.into_iter();
        retries
            .filter_map(|event| match event {
                Event::Retry {
                    attempt,
                    tainted,
                    left,
                    ..
                } => Some((attempt, tainted, left)),
                _ => None,
            })
            .collect()
    }
}

/// An event in one or a few words.
pub fn short(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    let (tag, body) = value.as_object().unwrap().iter().next().unwrap();
    let mut short = tag.clone();
    for field in ["op", "name"] {
        match &body[field] {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => short += &format!(" {text}"),
            other => short += &format!(" {other}"),
        }
    }
    short
}

/// So much time goes by, in tests that `start_paused`.
pub async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(1)).await;
}

/// So many attempts, so many seconds apart.
pub fn every(seconds: u64, attempts: u32) -> StepRetry {
    let wait = seawall::retry::Backoff::constant(Duration::from_secs(seconds));
    StepRetry::attempts(attempts).backoff(wait)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
