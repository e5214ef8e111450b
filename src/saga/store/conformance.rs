//! What every store must do, as checks to run against your own.
//!
//! The engine trusts its store blindly: a claim that two engines win, or a row that a fenced owner
//! could still write, becomes a card charged twice. These checks look for such mistakes through the
//! trait alone. They cannot look for durability: kill the process, and pull the plug, yourself.
//!
//! Each check gets a store of its own, and needs nothing from a runtime but what the store needs.
//!
//! ```
//! use seawall::saga::MemoryStore;
//! use seawall::saga::store::conformance;
//!
//! # tokio_test::block_on(async {
//! let checked = conformance::check(|| async { MemoryStore::new() }).await;
//! assert_eq!(checked, Ok(()));
//! # });
//! ```
mod claims;
mod inbox;
mod operators;
mod rows;

use super::*;
use crate::saga::journal::Row;

/// A promise of the [`Store`] trait, and how to see that it is kept.
#[derive(Clone, Copy)]
pub struct Promise {
    text: &'static str,
    check: for<'a> fn(&'a dyn Store) -> BoxFuture<'a, Checked>,
}

/// All of them.
pub const PROMISES: &[Promise] = &[
    rows::CREATED_ONCE,
    rows::FENCED,
    rows::ENDED,
    rows::RUNS,
    claims::ONE_WINS,
    claims::WHOLE_JOURNAL,
    claims::DUE_IN_ORDER,
    claims::NEVER_STUCK,
    claims::SEIZED,
    claims::RELEASED,
    claims::ALONE,
    inbox::ONCE_IN_ORDER,
    inbox::BEFORE_THE_SAGA,
    inbox::WAKES,
    inbox::LETTERS,
    inbox::ENDED,
    inbox::FORGOTTEN,
    operators::PAGES,
    operators::SEARCHES,
    operators::COUNTS,
    operators::RETENTION,
];

impl Promise {
    /// The promise, as a sentence.
    pub fn as_str(&self) -> &'static str {
        self.text
    }

    /// Checks it on a store that is new and used by nobody else.
    ///
    /// # Errors
    /// [`Broken`], with what was seen.
    ///
    /// # Cancel safety
    /// A dropped check leaves its sagas in the store.
    pub async fn check(&self, store: &dyn Store) -> Result<(), Broken> {
        let checked = (self.check)(store).await;
        checked.map_err(|seen| Broken {
            promise: self.text,
            seen,
        })
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.text).finish()
    }
}

/// A promise that a store has broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("the store breaks a promise: {promise}; {seen}")]
pub struct Broken {
    /// The promise.
    pub promise: &'static str,
    /// What was asked and answered instead.
    pub seen: String,
}

/// Checks all promises, each on a store from `fresh`.
///
/// # Errors
/// The first one that is [`Broken`].
///
/// # Cancel safety
/// A dropped check leaves its sagas in the last store.
pub async fn check<S, F>(mut fresh: impl FnMut() -> F) -> Result<(), Broken>
where
    S: Store,
    F: Future<Output = S>,
{
    for promise in PROMISES {
        promise.check(&fresh().await).await?;
    }
    Ok(())
}

type Checked = Result<(), String>;

/// That `found` is `right`, both as text; `what` says what was asked.
fn same<T: fmt::Debug, U: fmt::Debug>(what: &str, found: T, right: U) -> Checked {
    let (found, right) = (format!("{found:?}"), format!("{right:?}"));
    if found == right {
        return Ok(());
    }
    Err(format!("{what}: found {found}, expected {right}"))
}

/// What was answered, or that it was refused.
fn done<T>(what: &str, answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|e| format!("{what}: refused: {e}"))
}

/// That it was fenced.
fn fenced<T: fmt::Debug>(what: &str, answer: Result<T, StoreError>) -> Checked {
    match answer {
        Err(StoreError::Fenced) => Ok(()),
        other => Err(format!("{what}: found {other:?}, expected it to be fenced")),
    }
}

const UID: [u8; 16] = *b"conformance of s";
const ME: Owner = Owner(0x5ea);
const OTHER: Owner = Owner(0x0dd);

/// A row that tells others apart by its body.
fn row(seq: u32, epoch: u32) -> Row {
    let at = 1000_i64.saturating_add(seq.into());
    Row::encode(&UID, seq, epoch, at, &[]).unwrap_or(Row {
        seq,
        epoch,
        at,
        sum: 0,
        body: b"[]".to_vec(),
    })
}

fn new(name: &str, key: &str, next: Next) -> NewSaga {
    NewSaga {
        name: name.to_owned(),
        key: key.to_owned(),
        version: 3,
        uid: UID,
        row: row(0, 1),
        next,
        owner: ME,
    }
}

async fn create(store: &dyn Store, key: &str, next: Next) -> Result<SagaId, String> {
    match done("create", store.create(new("order", key, next)).await)? {
        Created::New { id, .. } => Ok(id),
        Created::Exists { id } => Err(format!("create: {key:?} exists as {id} in a new store")),
    }
}

fn add(id: SagaId, seq: u32, epoch: u32, next: Next) -> Append {
    Append {
        id,
        row: row(seq, epoch),
        next,
        consumed: Vec::new(),
        letters: Vec::new(),
        new_run: false,
        clear_crashes: false,
    }
}

fn waits(due: Option<i64>) -> Next {
    Next::Leave {
        status: Status::Waiting,
        due,
    }
}

fn ends(status: Status) -> Next {
    Next::End { status }
}

fn parks() -> Next {
    Next::Park {
        reason: "the card was declined".to_owned(),
    }
}

async fn claim(store: &dyn Store, now: i64, limit: usize) -> Result<Claims, String> {
    let claim = Claim {
        owner: ME,
        now,
        limit,
        except: Vec::new(),
    };
    done("claim", store.claim(claim).await)
}

async fn load(store: &dyn Store, id: SagaId) -> Result<Claimed, String> {
    done("load", store.load(id, true).await)
}

fn ids(claims: &Claims) -> Vec<SagaId> {
    claims.sagas.iter().map(|saga| saga.id).collect()
}

fn letter(key: &str, id: &str) -> Letter {
    Letter {
        saga: "order".to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        name: "paid".to_owned(),
        body: "true".to_owned(),
        at: 1000,
    }
}

async fn unread(store: &dyn Store, id: SagaId) -> Result<Vec<String>, String> {
    let mail = done("inbox", store.inbox(id).await)?;
    Ok(mail.into_iter().map(|mail| mail.id).collect())
}
