/// What an action came to: done, or refused by the business.
///
/// Both are answers, and both are kept. A failure (the disk is full, the code is wrong) is neither:
/// it is an `Err`, keeps nothing, and the call may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<A> {
    /// It has been done.
    Applied(A),
    /// The business says no, and nothing has been done.
    Refused(A),
}

impl<A> Effect<A> {
    /// The answer, whichever it is.
    pub fn into_answer(self) -> A {
        match self {
            Effect::Applied(answer) | Effect::Refused(answer) => answer,
        }
    }
}

/// What a step is told by [`Ledger::apply`](super::Ledger::apply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a mismatch or a tombstone must not be answered like a success"]
pub enum Reply<A> {
    /// The first call of this key: it has been applied, or refused, in this transaction.
    Fresh(Effect<A>),
    /// The same call has been here before. This is what it was answered; nothing has been done.
    Replayed(Effect<A>),
    /// The key has been used for another call. Nothing has been done. 422 over HTTP.
    Mismatch,
    /// The step was undone before it came. Nothing has been done, nor will be. 410 over HTTP.
    Undone,
}

/// What an undo is told by [`Ledger::undo`](super::Ledger::undo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after a mismatch the step is still applied"]
pub enum UndoReply {
    /// The first call of this undo's key.
    Fresh {
        /// The step had been applied, and is undone in this transaction. `false`: there was nothing
        /// to undo, and the step's key is shut.
        undone: bool,
    },
    /// The same undo has been here before, and was answered this. Nothing has been done.
    Replayed {
        /// What the first one was told.
        undone: bool,
    },
    /// The undo's key has been used for another call, or `step` is the key of an undo. Nothing has
    /// been done, and the step is as it was. 422 over HTTP.
    Mismatch,
}
