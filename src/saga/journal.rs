//! What a durable saga remembers: the events of its life, in order, format 1.
//!
//! The journal is the only truth. A [`Row`] is one commit: what happened and everything the saga
//! asked for because of it, together. Nothing is ever rewritten; how a saga stands is a pure
//! [fold](View) of its events, and that is what recovery, compensation and operators read. Every
//! event and column is listed in `docs/saga-format.md`.
//!
//! Public for those who write a [`Store`](super::Store) of their own or read journals with tools.
//!
//! # Sources
//! An intent is durable before its action: write-ahead logging, Gray and Reuter, *Transaction
//! Processing* (1993). The checksum is CRC-32C, as in iSCSI (RFC 3720, section 12.1).
//!
//! # Example
//! ```
//! use seawall::saga::journal::{Event, Phase, Row, View};
//!
//! let events: Vec<Event> = serde_json::from_str(
//!     r#"[{"started":{"v":1,"input":7}},
//!         {"step":{"op":0,"name":"reserve_stock","cmd":7}}]"#,
//! )?;
//! let row = Row::encode(&[0; 16], 0, 1, 1_700_000_000_000, &events)?;
//! let view = View::of(&row.decode(&[0; 16])?);
//! assert_eq!(view.phase, Phase::Forward);
//! // The intent stands without an outcome: whether the step was applied, nobody knows.
//! assert_eq!(view.to_undo(), [0]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod reading;
mod row;
#[cfg(test)]
mod samples;
mod view;

pub(crate) use reading::{Read, Reading};
pub use row::{Damage, Row};
pub use view::{OpState, OpView, Phase, View, WaitingFor};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A payload: JSON text that the engine passes on without looking into it.
pub type Raw = Box<RawValue>;

/// The format that this version writes, and the only one there has been.
pub const FORMAT: u16 = 1;

/// One thing that happened to a saga.
///
/// `op` is the number of an operation, in the order in which the saga's code asked for them; it is
/// never used twice.
///
/// Encoded as JSON, externally tagged, in snake case. Fields may be added with a default; anything
/// else is a new format.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The first event of a saga, and of each run that [`continue_as`](super::Flow::continue_as)
    /// begins.
    #[non_exhaustive]
    Started {
        /// The version of this journal's format.
        v: u16,
        /// The version of its code. Its name is in its line, beside the journal.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        version: u32,
        /// What it was started with.
        input: Raw,
        /// When it is given up, UTC ms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<i64>,
        /// Whose child it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
        /// The number of its first operation; above 0 after `continue_as`.
        #[serde(default, skip_serializing_if = "is_zero")]
        first_op: u32,
    },
    /// The intent of a step. Durable before its action starts.
    #[non_exhaustive]
    Step {
        /// Its number.
        op: u32,
        /// The step's registered name.
        name: String,
        /// What the action and its compensation are called with.
        cmd: Raw,
        /// Whether it is the point of no return.
        #[serde(default, skip_serializing_if = "is_false")]
        pivot: bool,
    },
    /// The step was applied.
    #[non_exhaustive]
    Done {
        /// The step's number.
        op: u32,
        /// What it answered.
        out: Raw,
        /// The attempt that answered, from 1.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        attempt: u32,
    },
    /// The step is given up.
    #[non_exhaustive]
    Failed {
        /// The step's number.
        op: u32,
        /// No attempt of it was applied. Otherwise nobody knows, and it has to be undone.
        clean: bool,
        /// The last error.
        error: String,
        /// The attempts made; 0 where none was begun.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        attempt: u32,
    },
    /// The saga sleeps until `at`, UTC ms.
    #[non_exhaustive]
    Timer {
        /// Its number.
        op: u32,
        /// When it fires, in milliseconds since 1970.
        at: i64,
    },
    /// The timer has fired.
    #[non_exhaustive]
    Fired {
        /// The timer's number.
        op: u32,
    },
    /// The saga waits for a signal.
    #[non_exhaustive]
    Wait {
        /// Its number.
        op: u32,
        /// The signal's name.
        name: String,
        /// How long, UTC ms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
    },
    /// A signal came in. It goes to the wait that has waited longest for its name, now or later.
    #[non_exhaustive]
    Signal {
        /// The sender's key for it: the same one is taken once.
        id: String,
        /// The signal's name.
        name: String,
        /// What it carries.
        body: Raw,
    },
    /// A wait's time is up.
    #[non_exhaustive]
    TimedOut {
        /// The wait's number.
        op: u32,
    },
    /// The saga has let a wait go (it lost a race): its signal stays for the next one.
    #[non_exhaustive]
    Unwait {
        /// The wait's number.
        op: u32,
    },
    /// The saga reached a changed place of its code with the change in it.
    #[non_exhaustive]
    Patch {
        /// Its number.
        op: u32,
        /// The patch's name.
        name: String,
    },
    /// A step, or its compensation, is tried again; written before waits of five seconds and more.
    #[non_exhaustive]
    Retry {
        /// The step's number.
        op: u32,
        /// The attempts used so far.
        attempt: u32,
        /// When the next one may start, UTC ms.
        not_before: i64,
        /// What the last one came to.
        error: String,
        /// Whether any attempt may have been applied.
        #[serde(default, skip_serializing_if = "is_false")]
        tainted: bool,
        /// The policy that refused the only call, which was never sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused_by: Option<String>,
        /// It is the compensation that is tried again.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
        /// The saga left memory for the wait, so that taking it up again is not an attempt.
        #[serde(default, skip_serializing_if = "is_false")]
        left: bool,
    },
    /// The intent of a child saga.
    #[non_exhaustive]
    Child {
        /// Its number.
        op: u32,
        /// The registered name of the child, which is also that of its compensation.
        name: String,
        /// The saga that it starts.
        saga: String,
        /// The version of that saga.
        version: u32,
        /// The child's key.
        key: String,
        /// What it is started with.
        cmd: Raw,
    },
    /// The saga has a step undone while it goes forward.
    #[non_exhaustive]
    UndoAsked {
        /// Its number.
        op: u32,
        /// The step's number.
        target: u32,
    },
    /// The step is compensated.
    #[non_exhaustive]
    Undone {
        /// The step's number.
        op: u32,
    },
    /// Someone wants the saga given up, or its deadline does. It is, unless it gets past its pivot first.
    #[non_exhaustive]
    Cancelled {
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// The saga goes backward from here, and never forward again.
    #[non_exhaustive]
    Abort {
        /// Why.
        reason: String,
        /// Who, where it was an operator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The operator's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// An operator takes a compensation as settled that was not made.
    #[non_exhaustive]
    Skipped {
        /// The step's number.
        op: u32,
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// An operator says what became of a step.
    #[non_exhaustive]
    Settled {
        /// The step's number.
        op: u32,
        /// What.
        verdict: Settlement,
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// The saga is parked.
    #[non_exhaustive]
    Stuck {
        /// Why, for the person who reads it.
        why: String,
        /// What kind of trouble.
        kind: StuckKind,
        /// The number of the step it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        op: Option<u32>,
    },
    /// Back to work.
    #[non_exhaustive]
    Resumed {
        /// Who; `engine` where fitting code turned up.
        by: String,
        /// Why.
        note: String,
    },
    /// An operator has ended it as it stands.
    #[non_exhaustive]
    Forced {
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// Wholly done.
    #[non_exhaustive]
    Finished {
        /// What it answered.
        out: Raw,
    },
    /// This run is done; the next begins in the same row.
    #[non_exhaustive]
    Continued {},
    /// Wholly undone.
    #[non_exhaustive]
    Compensated {
        /// Why it was given up.
        reason: String,
        /// The steps whose compensation was skipped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exceptions: Vec<u32>,
    },
}

/// The saga and the operation that a child belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parent {
    /// The parent's name.
    pub saga: String,
    /// The parent's key.
    pub key: String,
    /// The number of the operation in it.
    pub op: u32,
}

/// What an operator says became of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settlement {
    /// It was applied, with this output.
    Done(Raw),
    /// It was not applied, nor will be.
    NotApplied,
    /// It was applied and has been undone by hand.
    Undone,
}

/// What a parked saga needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StuckKind {
    /// Other code: a misfit with the journal, a name or version that is not registered. Goes on by
    /// itself when an engine with fitting code starts.
    Code,
    /// A step past the pivot, or the pivot itself, failed: retry, once it can succeed.
    Forward,
    /// A compensation failed: retry, or skip it once it is undone by hand.
    Backward,
    /// A step whose outcome nobody can tell: look at the participant, then settle it.
    Unknown,
    /// The saga's own code panicked, or awaited what is not its own: start an engine with mended
    /// code and retry, or abort.
    Saga,
    /// It brought its process down again and again: retry once the code is mended, or abort.
    Crashes,
    /// A journal row cannot be read: restore the file, or end the saga by force.
    Damage,
}

impl Event {
    /// The bytes of what came in from outside with it: an answer, a signal.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Event::Done { out, .. } => out.get().len(),
            Event::Signal { body, .. } => body.get().len(),
            _ => 0,
        }
    }
}

impl Settlement {
    /// It was applied, with this output: what the step would have answered.
    ///
    /// # Errors
    /// Where the output cannot be written as JSON.
    pub fn done(out: &impl Serialize) -> serde_json::Result<Settlement> {
        serde_json::value::to_raw_value(out).map(Settlement::Done)
    }
}

impl StuckKind {
    /// The name in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            StuckKind::Code => "code",
            StuckKind::Forward => "forward",
            StuckKind::Backward => "backward",
            StuckKind::Unknown => "unknown",
            StuckKind::Saga => "saga",
            StuckKind::Crashes => "crashes",
            StuckKind::Damage => "damage",
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(b: &bool) -> bool {
    !*b
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_one(n: &u32) -> bool {
    *n == 1
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_and_a_signal_weigh_what_came_in() {
        let weight = |json| serde_json::from_str::<Event>(json).unwrap().weight();
        assert_eq!(weight(r#"{"done":{"op":1,"out":"four"}}"#), 6);
        let letter = r#"{"signal":{"id":"id","name":"paid","body":[1,2]}}"#;
        assert_eq!(weight(letter), 5);
        assert_eq!(weight(r#"{"step":{"op":1,"name":"pay","cmd":"four"}}"#), 0);
    }
}
