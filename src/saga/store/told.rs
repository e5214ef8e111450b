//! What a store answers. Made by constructors, so that answers may gain fields.
use super::{SagaId, Status};
use crate::saga::journal::Row;

/// What [`Store::create`](super::Store::create) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// It is new.
    #[non_exhaustive]
    New {
        /// Its number. Its epoch is 1.
        id: SagaId,
        /// Whether signals have been waiting for it.
        mail: bool,
    },
    /// The name and key are taken; nothing was written.
    #[non_exhaustive]
    Exists {
        /// By this one.
        id: SagaId,
    },
}

impl Created {
    /// It is new; `mail`: signals have been waiting for it.
    pub fn new(id: SagaId, mail: bool) -> Self {
        Created::New { id, mail }
    }

    /// This one has the name and key.
    pub fn exists(id: SagaId) -> Self {
        Created::Exists { id }
    }
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claims {
    /// The sagas, now owned: epoch raised by one, status running.
    pub sagas: Vec<Claimed>,
    /// When the next one that is not excepted will be due, UTC ms; in the past where there are more
    /// than the limit.
    pub next_due: Option<i64>,
}

impl Claims {
    /// What was claimed, and when the next one will be due, UTC ms.
    pub fn new(sagas: Vec<Claimed>, next_due: Option<i64>) -> Self {
        Claims { sagas, next_due }
    }
}

/// A saga with its journal.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// Whether the last time it was running [alone](super::Store::run_alone).
    pub crashed_alone: bool,
    /// When it was created, UTC ms.
    pub created: i64,
    /// Rows of the present run, by seq.
    pub rows: Vec<Row>,
}

impl Claimed {
    /// One of this name, key and identity: of version 1 and epoch 1, running, without rows.
    ///
    /// The other fields are set afterwards.
    pub fn new(id: SagaId, name: impl Into<String>, key: impl Into<String>, uid: [u8; 16]) -> Self {
        Claimed {
            id,
            name: name.into(),
            key: key.into(),
            version: 1,
            uid,
            epoch: 1,
            status: Status::Running,
            crashes: 0,
            crashed_alone: false,
            created: 0,
            rows: Vec::new(),
        }
    }
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
#[non_exhaustive]
pub struct Mail {
    /// Its number in the order of arrival.
    pub arrival: i64,
    /// The sender's key for it.
    pub id: String,
    /// The signal's name.
    pub name: String,
    /// JSON text.
    pub body: String,
}

impl Mail {
    /// All of it: its number, the sender's key for it, the signal's name and its JSON text.
    pub fn new(arrival: i64, id: String, name: String, body: String) -> Self {
        Mail {
            arrival,
            id,
            name,
            body,
        }
    }
}
