use super::{
    asked::Asked,
    text::{Plain, Until},
};
use crate::saga::{
    engine::link::Held,
    journal::{OpState, OpView, Phase, Reading, StuckKind},
};
use std::{collections::BTreeMap, fmt};

/// What a saga waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// An engine that takes it up: there is no place in memory at the moment.
    Engine,
    /// The participant of a step, which is being called.
    #[non_exhaustive]
    Step {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: String,
        /// It is the compensation.
        undo: bool,
    },
    /// A policy, which does not let the call of a step through.
    #[non_exhaustive]
    Policy {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: String,
        /// The policy's name.
        policy: String,
        /// When it is tried again, UTC ms.
        until_ms: i64,
        /// It is the compensation.
        undo: bool,
    },
    /// The next attempt of a step.
    #[non_exhaustive]
    Retry {
        /// The operation's number.
        op: u32,
        /// The step's name.
        step: String,
        /// The attempts used.
        attempt: u32,
        /// The last error.
        error: String,
        /// When it is tried again, UTC ms.
        until_ms: i64,
        /// It is the compensation.
        undo: bool,
    },
    /// A timer.
    #[non_exhaustive]
    Timer {
        /// The operation's number.
        op: u32,
        /// When it fires, UTC ms.
        until_ms: i64,
    },
    /// A signal.
    #[non_exhaustive]
    Signal {
        /// The operation's number.
        op: u32,
        /// The signal's name.
        name: String,
        /// How long, UTC ms.
        until_ms: Option<i64>,
    },
    /// A child saga's end.
    #[non_exhaustive]
    Child {
        /// The operation's number.
        op: u32,
        /// The child's registered name.
        saga: String,
        /// The child's key.
        key: String,
    },
    /// A person: it is stuck.
    #[non_exhaustive]
    Operator {
        /// What kind of trouble.
        kind: StuckKind,
        /// Why.
        why: String,
    },
}

/// By the journal, and by what only memory knows: who is held back for a short time.
pub(super) fn waits(reading: &Reading, held: &BTreeMap<u32, Held>, now: i64) -> Vec<WaitsFor> {
    let view = &reading.view;
    if let Some((kind, why)) = view.stuck.clone() {
        return vec![WaitsFor::Operator { kind, why }];
    }
    let step = |op: &u32, undo| {
        let known = view.ops.get(op)?;
        Some(of_step(*op, known, undo, held.get(op), now))
    };
    if view.phase == Phase::Backward {
        return step_of(view.next_to_undo().as_ref(), |op| step(op, true));
    }
    let intents = view
        .ops
        .iter()
        .filter(|(_, known)| matches!(known.state, OpState::Intent));
    let mut waits: Vec<_> = intents.filter_map(|(op, _)| step(op, false)).collect();
    waits.extend(view.undo_asked.keys().filter_map(|op| step(op, true)));
    let asked = Asked::of(reading);
    let timers = asked.timers.into_iter();
    waits.extend(timers.map(|(op, until)| WaitsFor::Timer {
        op,
        until_ms: until,
    }));
    let signals = asked.waits.into_iter();
    waits.extend(signals.map(|(op, name, until)| WaitsFor::Signal {
        op,
        name,
        until_ms: until,
    }));
    waits
}

fn step_of(op: Option<&u32>, step: impl Fn(&u32) -> Option<WaitsFor>) -> Vec<WaitsFor> {
    op.and_then(step).into_iter().collect()
}

fn of_step(op: u32, known: &OpView, undo: bool, held: Option<&Held>, now: i64) -> WaitsFor {
    let step = known.name.clone();
    if let Some(held) = held {
        return WaitsFor::Policy {
            op,
            step,
            policy: held.policy.clone(),
            until_ms: held.until,
            undo,
        };
    }
    let written = known.waiting.as_ref();
    match written.filter(|waiting| waiting.undo == undo && waiting.not_before > now) {
        Some(waiting) => match waiting.refused_by.clone() {
            Some(policy) => WaitsFor::Policy {
                op,
                step,
                policy,
                until_ms: waiting.not_before,
                undo,
            },
            None => WaitsFor::Retry {
                op,
                step,
                attempt: waiting.attempt,
                error: known.error.clone().unwrap_or_default(),
                until_ms: waiting.not_before,
                undo,
            },
        },
        None => match (&known.child, &known.state) {
            (Some((saga, _, key)), OpState::Intent) => WaitsFor::Child {
                op,
                saga: saga.clone(),
                key: key.clone(),
            },
            _ => WaitsFor::Step { op, step, undo },
        },
    }
}

impl WaitsFor {
    pub(super) fn at(&self, now: i64) -> At<'_> {
        At { waits: self, now }
    }
}

/// With the date of every time.
impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at(i64::MIN).fmt(f)
    }
}

/// Without the dates that are today's.
pub(super) struct At<'a> {
    waits: &'a WaitsFor,
    now: i64,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |at: i64| Until { at, now: self.now };
        let of = |undo: bool| if undo { "the undo of step" } else { "step" };
        match self.waits {
            WaitsFor::Engine => f.write_str("a place in an engine"),
            WaitsFor::Step { op, step, undo } => {
                let of = of(*undo);
                write!(f, "the answer to {of} `{}` (operation {op})", Plain(step))
            }
            WaitsFor::Policy {
                op,
                step,
                policy,
                until_ms: at,
                undo,
            } => {
                let (policy, step) = (Plain(policy), Plain(step));
                let (of, at) = (of(*undo), until(*at));
                write!(
                    f,
                    "policy `{policy}` until {at}, for {of} `{step}` (operation {op})"
                )
            }
            WaitsFor::Retry {
                op,
                step,
                attempt,
                error,
                until_ms: at,
                undo,
            } => {
                let (of, at, step) = (of(*undo), until(*at), Plain(step));
                write!(
                    f,
                    "the next attempt of {of} `{step}` (operation {op}) at {at}, "
                )?;
                write!(f, "after attempt {attempt} failed: {}", Plain(error))
            }
            WaitsFor::Timer { op, until_ms: at } => {
                write!(f, "a timer until {} (operation {op})", until(*at))
            }
            WaitsFor::Signal {
                op,
                name,
                until_ms: at,
            } => {
                write!(f, "signal `{}`", Plain(name))?;
                if let Some(at) = at {
                    write!(f, " until {}", until(*at))?;
                }
                write!(f, " (operation {op})")
            }
            WaitsFor::Child { op, saga, key } => {
                let (saga, key) = (Plain(saga), Plain(key));
                write!(f, "child saga `{saga}` key `{key}` (operation {op})")
            }
            WaitsFor::Operator { kind, why } => {
                write!(f, "an operator ({}): {}", kind.as_str(), Plain(why))
            }
        }
    }
}
