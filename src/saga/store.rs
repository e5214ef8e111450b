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
mod asked;
pub mod conformance;
mod error;
mod memory;
mod query;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod told;

pub use asked::{Append, Claim, Letter, NewSaga, Next};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use query::{Counts, Expired, Query, Summary};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use told::{Claimed, Claims, Created, Mail, Posted};

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
    pub const ALL: &'static [Status] = &[
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

/// Everything the engine asks of a database. `Ok` means durable.
///
/// Methods may run in any number at a time and in any order.
///
/// # Errors
/// Of every method: [`StoreError`]. Whether a write that failed was done is not known, unless its
/// docs say so; a store that cannot know what is on its disk closes itself.
///
/// # Cancel safety
/// A dropped future leaves the request either done or not.
pub trait Store: Send + Sync + 'static {
    /// Writes a saga down, or finds the one that has its name and key.
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// Adds a row.
    ///
    /// [`StoreError::Fenced`] where the epoch is not the saga's or the seq is taken: then nothing
    /// was written.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Takes over sagas that nobody owns and that are due, those due first first.
    ///
    /// Never stuck or ended ones.
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

    /// Puts a letter into the inbox.
    ///
    /// A waiting saga becomes due at once. The same `id` is taken once, for as long as it is kept:
    /// see [`delete_ended`](Store::delete_ended).
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

    /// Tells that the owner lives.
    ///
    /// Until when it may believe so, on its own clock, UTC ms; `None` where nobody else can take
    /// over.
    fn heartbeat(&self, owner: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>>;
}
