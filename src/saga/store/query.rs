//! What is asked of many sagas at once: lists, counts, and which ended ones to delete.
use super::{SagaId, Status};

/// What operators look for. Everything given must hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// One of these; any, where empty.
    pub statuses: Vec<Status>,
    /// The registered name.
    pub name: Option<String>,
    /// What the key begins with.
    pub key_prefix: Option<String>,
    /// Created before, UTC ms.
    pub created_before: Option<i64>,
    /// What the stuck reason contains.
    pub reason_contains: Option<String>,
    /// Only those after it: the last one of the page before.
    pub after: Option<SagaId>,
    /// How many sagas at most.
    pub limit: usize,
}

impl Query {
    /// Any sagas, so many at most; for tests of stores. The other fields are set afterwards.
    pub fn new(limit: usize) -> Self {
        Query {
            statuses: Vec::new(),
            name: None,
            key_prefix: None,
            created_before: None,
            reason_contains: None,
            after: None,
            limit,
        }
    }
}

/// A saga in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Its number.
    pub id: SagaId,
    /// Its registered name.
    pub name: String,
    /// The caller's key.
    pub key: String,
    /// The version of its code.
    pub version: u32,
    /// How it stands.
    pub status: Status,
    /// Why it is stuck.
    pub reason: Option<String>,
    /// When it was created, UTC ms.
    pub created_ms: i64,
    /// When its status last changed, UTC ms.
    pub changed_ms: i64,
    /// When it is due, UTC ms, where it waits for a time.
    pub due_ms: Option<i64>,
}

impl Summary {
    /// All of it, `version` being that of the saga's code; for stores.
    #[allow(clippy::too_many_arguments)] // a constructor for the fields above, in their order
    pub fn new(
        id: SagaId,
        name: String,
        key: String,
        version: u32,
        status: Status,
        reason: Option<String>,
        created: i64,
        changed: i64,
        due: Option<i64>,
    ) -> Self {
        Summary {
            id,
            name,
            key,
            version,
            status,
            reason,
            created_ms: created,
            changed_ms: changed,
            due_ms: due,
        }
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Sagas that run, or are about to.
    pub running: u64,
    /// Sagas that wait for a time or a signal, out of memory.
    pub waiting: u64,
    /// Sagas that are parked.
    pub stuck: u64,
    /// Sagas that have ended and are kept: wholly done.
    pub finished: u64,
    /// Sagas that have ended and are kept: wholly undone.
    pub compensated: u64,
    /// Sagas that have ended and are kept: undone with exceptions.
    pub compensated_with_exceptions: u64,
    /// Sagas that have ended and are kept: by an operator.
    pub forced: u64,
    /// When the oldest unfinished one was created, UTC ms.
    pub oldest_unfinished_ms: Option<i64>,
}

/// Which ended sagas to delete, and which letters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Expired {
    /// Those that ended before, UTC ms. And letters that were sent before, where nobody needs them.
    pub ended_before: i64,
    /// And those beyond this many ended sagas, the oldest first.
    pub keep_at_most: Option<u64>,
    /// How many sagas at most in this one batch.
    pub limit: usize,
}

impl Expired {
    /// At most `limit` sagas that ended before this, UTC ms; for tests of stores.
    ///
    /// However many are left: the other field is set afterwards.
    pub fn new(ended_before: i64, limit: usize) -> Self {
        Expired {
            ended_before,
            keep_at_most: None,
            limit,
        }
    }
}
