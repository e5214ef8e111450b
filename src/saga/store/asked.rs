//! What the engine asks of a store.
//!
//! A store reads these and never makes them, so they may gain fields. One that a store has to obey
//! comes with a promise of its own in [`conformance`](super::conformance).
use super::{Owner, SagaId, Status};
use crate::saga::journal::Row;

/// A saga to be written down for the first time.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl NewSaga {
    /// With its first row, of version 1, owned by `owner`; for tests of stores.
    ///
    /// The other fields are set afterwards.
    pub fn new(
        name: impl Into<String>,
        key: impl Into<String>,
        uid: [u8; 16],
        row: Row,
        owner: Owner,
    ) -> Self {
        NewSaga {
            name: name.into(),
            key: key.into(),
            version: 1,
            uid,
            row,
            next: Next::Keep,
            owner,
        }
    }
}

/// A row to add.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// The saga has made progress since it was claimed: its [crashes](super::Claimed::crashes)
    /// count from 0 again.
    pub clear_crashes: bool,
}

impl Append {
    /// A row and nothing else; for tests of stores. The other fields are set afterwards.
    pub fn new(id: SagaId, row: Row, next: Next) -> Self {
        Append {
            id,
            row,
            next,
            consumed: Vec::new(),
            letters: Vec::new(),
            new_run: false,
            clear_crashes: false,
        }
    }
}

/// What comes after a row.
///
/// A store has to do each of them, so there will be no further one unnoticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its owner goes on. The fast way: only the row is written.
    Keep,
    /// It has no owner and can be claimed when due, UTC ms; with `None`, when a signal comes. With
    /// unread mail it is due at once.
    #[non_exhaustive]
    Leave {
        /// Running where it only waits for a place in an engine, else waiting.
        status: Status,
        /// When, UTC ms.
        due: Option<i64>,
    },
    /// It is parked, with the reason that operators search by.
    #[non_exhaustive]
    Park {
        /// The reason.
        reason: String,
    },
    /// It has ended.
    #[non_exhaustive]
    End {
        /// How; final.
        status: Status,
    },
}

impl Next {
    /// [`Leave`](Next::Leave), due at this time, UTC ms.
    pub fn leave(status: Status, due: Option<i64>) -> Self {
        Next::Leave { status, due }
    }

    /// [`Park`](Next::Park).
    pub fn park(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Next::Park { reason }
    }

    /// [`End`](Next::End).
    pub fn end(status: Status) -> Self {
        Next::End { status }
    }
}

/// Which sagas to claim.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// For whom.
    pub owner: Owner,
    /// Due by then, UTC ms.
    pub now: i64,
    /// How many sagas at most. Their journals are loaded, so this bounds memory.
    pub limit: usize,
    /// Not these names, which have no room.
    pub except: Vec<String>,
}

impl Claim {
    /// At most `limit` sagas of any name, due by `now`, UTC ms; for tests of stores.
    ///
    /// The other fields are set afterwards.
    pub fn new(owner: Owner, now: i64, limit: usize) -> Self {
        Claim {
            owner,
            now,
            limit,
            except: Vec::new(),
        }
    }
}

/// A signal on its way to a saga, which need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl Letter {
    /// To the saga of this name and key, without a body (`null`), sent at 0; for tests of stores.
    ///
    /// The other fields are set afterwards.
    pub fn new(
        saga: impl Into<String>,
        key: impl Into<String>,
        id: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Letter {
            saga: saga.into(),
            key: key.into(),
            id: id.into(),
            name: name.into(),
            body: "null".to_owned(),
            at: 0,
        }
    }
}
