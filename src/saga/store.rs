//! Where journals are kept: what the engine asks of a database, and the stores there are.
//!
//! A store keeps three things: sagas (a line each: whose, how it stands, when it is due), their
//! journals (rows that are only ever added), and an inbox of signals. `Ok` means *durable*: the
//! engine acts on it at once, so an `Ok` that a power cut can take back breaks every promise it
//! gives.
//!
//! | store | for |
//! |---|---|
//! | [`MemoryStore`] | tests |
//! | `SqliteStore` (feature `sqlite`) | one process |
//!
//! Two rules keep many writers apart. An append names the *epoch* it was claimed in and the *seq* it
//! writes; with another epoch, or a seq that is taken, it writes nothing and disturbs nobody
//! ([`StoreError::Fenced`]). And a claim is the listing: finding sagas first and claiming them later
//! would run them twice.
//!
//! A store of your own is held to this by [`conformance`].
//!
//! ```
//! use seawall::saga::{Engine, MemoryStore};
//!
//! # tokio_test::block_on(async {
//! let engine = Engine::builder((), MemoryStore::new()).build().await?;
//! assert_eq!(engine.counts().await?.running, 0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
pub mod conformance;
mod error;
mod memory;
mod query;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use error::StoreError;
pub use memory::MemoryStore;
pub use query::{Counts, Expired, Query, Summary};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use super::journal::Row;
use std::{fmt, future::Future, pin::Pin};

/// A boxed future, for a trait that is used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Number of a saga in its store. Rises with each one created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaId(pub i64);

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One running engine, in the eyes of a store. Random; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub i64);

/// How a saga stands, for finding it. The journal knows better; this follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Owned by an engine, or to be claimed at once.
    Running,
    /// Out of memory until it is due, or until a signal comes.
    Waiting,
    /// Parked for an operator.
    Stuck,
    /// Wholly done.
    Finished,
    /// Wholly undone.
    Compensated,
    /// Undone but for compensations that an operator skipped.
    CompensatedWithExceptions,
    /// Ended by an operator as it stood.
    Forced,
}

impl Status {
    /// All of them; the place is the number in a database.
    pub const ALL: [Status; 7] = [
        Status::Running,
        Status::Waiting,
        Status::Stuck,
        Status::Finished,
        Status::Compensated,
        Status::CompensatedWithExceptions,
        Status::Forced,
    ];

    /// Whether nothing can come after it.
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Running | Status::Waiting | Status::Stuck)
    }

    /// The name in documents and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Stuck => "stuck",
            Status::Finished => "finished",
            Status::Compensated => "compensated",
            Status::CompensatedWithExceptions => "compensated_with_exceptions",
            Status::Forced => "forced",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A saga to be written down for the first time.
#[derive(Clone, Debug)]
pub struct NewSaga {
    /// Its registered name.
    pub name: String,
    /// The caller's key. Name and key together are unique while the saga is kept.
    pub key: String,
    /// The version of its code.
    pub version: u32,
    /// 128 random bits: what its step keys and checksums begin with.
    pub uid: [u8; 16],
    /// Its first row: seq 0, epoch 1.
    pub row: Row,
    /// What comes after it.
    pub next: Next,
    /// Its owner from the start, with [`Next::Keep`].
    pub owner: Owner,
}

/// What [`Store::create`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New {
        /// Its number. Its epoch is 1.
        id: SagaId,
        /// Whether signals have been waiting for it.
        mail: bool,
    },
    /// The name and key are taken; nothing was written.
    Exists {
        /// By this one.
        id: SagaId,
    },
}

/// A row to add.
#[derive(Clone, Debug)]
pub struct Append {
    /// The saga.
    pub id: SagaId,
    /// The row, with the seq it takes and the epoch it was claimed in.
    pub row: Row,
    /// What comes after it.
    pub next: Next,
    /// Signals that are in this row now: they leave the inbox, their ids stay.
    pub consumed: Vec<i64>,
    /// Signals to other sagas that leave with this row.
    pub letters: Vec<Letter>,
    /// Rows between the first one and this one are of earlier runs and go.
    pub new_run: bool,
    /// The saga has made progress since it was claimed: its [crashes](Claimed::crashes) count from
    /// 0 again.
    pub clear_crashes: bool,
}

/// What comes after a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its owner goes on. The fast way: only the row is written.
    Keep,
    /// It has no owner and can be claimed when due, UTC ms; with `None`, when a signal comes. With
    /// unread mail it is due at once.
    Leave {
        /// Running where it only waits for a place in an engine, else waiting.
        status: Status,
        /// When.
        due: Option<i64>,
    },
    /// It is parked, with the reason that operators search by.
    Park {
        /// The reason.
        reason: String,
    },
    /// It has ended.
    End {
        /// How; final.
        status: Status,
    },
}

/// Which sagas to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// For whom.
    pub owner: Owner,
    /// Due by then, UTC ms.
    pub now: i64,
    /// How many at most. Their journals are loaded, so this bounds memory.
    pub limit: usize,
    /// Not these names, which have no room.
    pub except: Vec<String>,
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The sagas, now owned: epoch raised by one, status running.
    pub sagas: Vec<Claimed>,
    /// When the next one that is not excepted will be due, UTC ms; in the past where there are more
    /// than the limit.
    pub next_due: Option<i64>,
}

/// A saga with its journal.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its number.
    pub id: SagaId,
    /// Its registered name.
    pub name: String,
    /// The caller's key.
    pub key: String,
    /// The version of its code.
    pub version: u32,
    /// Its 128 random bits.
    pub uid: [u8; 16],
    /// The epoch, raised by the claim.
    pub epoch: u32,
    /// How it stood before.
    pub status: Status,
    /// How often its owner has died since it made progress.
    pub crashes: u32,
    /// Whether the last time it was running [alone](Store::run_alone).
    pub crashed_alone: bool,
    /// When it was created, UTC ms.
    pub created: i64,
    /// Rows of the present run, by seq.
    pub rows: Vec<Row>,
}

/// A signal on its way to a saga, which need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The saga's name.
    pub saga: String,
    /// The saga's key.
    pub key: String,
    /// The sender's key for it: the same one is taken once while it is kept.
    pub id: String,
    /// The signal's name.
    pub name: String,
    /// JSON text.
    pub body: String,
    /// When it was sent, UTC ms.
    pub at: i64,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Posted {
    /// It is in the inbox. The saga's number, where it exists.
    New(Option<SagaId>),
    /// It has been there before; nothing was written.
    Duplicate,
    /// The saga has ended; nothing was written.
    Ended,
}

/// A signal in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its place in the order of arrival.
    pub arrival: i64,
    /// The sender's key for it.
    pub id: String,
    /// The signal's name.
    pub name: String,
    /// JSON text.
    pub body: String,
}

/// Everything the engine asks of a database. `Ok` means durable.
///
/// Methods may run in any number at a time and in any order. A dropped future leaves the request
/// either done or not.
pub trait Store: Send + Sync + 'static {
    /// Writes a saga down, or finds the one that has its name and key.
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// Adds a row. [`StoreError::Fenced`] where the epoch is not the saga's or the seq is taken:
    /// then nothing was written.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Takes over sagas that nobody owns and that are due, those due first first. Never stuck or
    /// ended ones.
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>>;

    /// Takes over this one, whoever owns it, whatever its state but ended; its owner is fenced.
    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>>;

    /// Lets go of one saga, or of all of this owner's: they can be claimed at once. Not a crash.
    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Notes that this suspect runs with no other suspect beside it. Guarded by the epoch.
    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Reads a saga. `whole`: with the first row of its first run, whose input it was started with.
    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>>;

    /// The number of the saga with this name and key.
    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>>;

    /// Unread mail of a saga, in the order of arrival.
    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>>;

    /// Puts a letter into the inbox. A waiting saga becomes due at once. The same `id` is taken once, for
    /// as long as it is kept: see [`delete_ended`](Store::delete_ended).
    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>>;

    /// Sagas by number.
    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;

    /// How many there are of each status.
    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// Deletes ended sagas whole, with journal and inbox; says how many.
    ///
    /// Then letters from before `ended_before`, which are not counted: those to a name and key of which
    /// there is no saga, and those that were read, whose ids are taken anew from then on. Never an
    /// unread letter of a saga that there is, whatever its age. A store may find them a slice at a time,
    /// over several calls.
    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Tells that the owner lives. Until when it may believe so, on its own clock, UTC ms; `None`
    /// where nobody else can take over.
    fn heartbeat(&self, owner: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>>;
}
