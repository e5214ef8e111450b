//! What is told of durable sagas.
use crate::saga::{FailureKind, SagaId, Status, StuckKind};

/// Something happened to a durable saga. No input, command or output is in it.
///
/// [`Started`](SagaEventKind::Started), [`Stuck`](SagaEventKind::Stuck) and
/// [`Ended`](SagaEventKind::Ended) are told once they are durable, by the engine that wrote them.
/// The others are told as they happen, so after a crash some of them are told again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SagaEvent<'a> {
    /// Its number in the store.
    pub id: SagaId,
    /// Its registered name.
    pub name: &'a str,
    /// The caller's key.
    pub key: &'a str,
    /// What happened.
    pub kind: SagaEventKind<'a>,
}

impl<'a> SagaEvent<'a> {
    pub(crate) fn new(id: SagaId, name: &'a str, key: &'a str, kind: SagaEventKind<'a>) -> Self {
        SagaEvent {
            id,
            name,
            key,
            kind,
        }
    }
}

/// What happened to a saga, in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SagaEventKind<'a> {
    /// It is written down, and will end.
    Started,
    /// It is in memory again: after a long wait, a restart, a command of an operator, or because
    /// there is a place for it now.
    Resumed,
    /// One attempt of a step has ended.
    #[non_exhaustive]
    AttemptEnded {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: &'a str,
        /// Which attempt; the first is 1.
        attempt: u32,
        /// What is known of its effect; `None` where it succeeded.
        failure: Option<FailureKind>,
    },
    /// A step, or its compensation, waits before the next attempt.
    #[non_exhaustive]
    Waiting {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: &'a str,
        /// The policy that does not let the call through. `None`: the backoff.
        policy: Option<&'a str>,
        /// When it is tried again, UTC ms.
        until_ms: i64,
        /// It is the compensation.
        undo: bool,
    },
    /// A compensation has succeeded.
    #[non_exhaustive]
    Undone {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: &'a str,
        /// Which attempt it was; the first is 1.
        attempt: u32,
    },
    /// One attempt of a compensation has failed.
    #[non_exhaustive]
    UndoFailed {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: &'a str,
        /// Which attempt; the first is 1.
        attempt: u32,
        /// What the compensation said.
        error: &'a str,
    },
    /// It is parked, and waits for an operator.
    #[non_exhaustive]
    Stuck {
        /// What kind of trouble.
        kind: StuckKind,
        /// Why.
        why: &'a str,
    },
    /// It has ended; the status is a final one.
    #[non_exhaustive]
    Ended {
        /// How.
        status: Status,
    },
}
