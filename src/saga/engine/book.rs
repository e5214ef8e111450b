//! Everything a saga has asked for and not got yet. Pure: the same code for replay and for live, so
//! that both come to the same.
mod ask;
#[cfg(test)]
mod tests;
mod waits;

use crate::saga::{
    flow::{Delivered, Letter},
    journal::{Event, Raw, Settlement, StuckKind},
    step::Steps,
};
use std::collections::{BTreeMap, BTreeSet};
use waits::Waits;

/// Why a saga has to be parked.
#[derive(Clone, Debug)]
pub(super) struct Park {
    pub(super) kind: StuckKind,
    pub(super) why: String,
    pub(super) op: Option<u32>,
}

impl Park {
    pub(super) fn new(kind: StuckKind, why: impl Into<String>) -> Self {
        Park {
            kind,
            why: why.into(),
            op: None,
        }
    }

    pub(super) fn at(mut self, op: u32) -> Self {
        self.op = Some(op);
        self
    }

    /// The code does not ask for what the journal has. Payloads stay out of what is said: it goes to
    /// lists and logs.
    fn misfit(what: &str, recorded: &Event) -> Self {
        let recorded = match recorded {
            Event::Step {
                op, name, pivot, ..
            } => {
                let step = if *pivot { "pivot" } else { "step" };
                format!("{step} `{name}` as operation {op}")
            }
            Event::Child { op, name, .. } => format!("child `{name}` as operation {op}"),
            Event::Timer { op, .. } => format!("a timer as operation {op}"),
            Event::Wait { op, name, .. } => format!("a wait for `{name}` as operation {op}"),
            Event::UndoAsked { op, target } => {
                format!("an undo of operation {target} as operation {op}")
            }
            Event::Patch { op, name } => format!("patch `{name}` as operation {op}"),
            Event::Signal { name, .. } => format!("signal `{name}`"),
            Event::Done { op, .. }
            | Event::Failed { op, .. }
            | Event::Settled { op, .. }
            | Event::Undone { op }
            | Event::Skipped { op, .. }
            | Event::Fired { op }
            | Event::TimedOut { op } => format!("an outcome of operation {op}"),
            _ => "an event of another kind".to_owned(),
        };
        let why = format!(
            "the saga's code does not fit its journal: it {what}, but the journal has {recorded}"
        );
        Park::new(StuckKind::Code, why)
    }
}

/// A step, child or compensation that has been asked for and has no outcome.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) what: What,
    pub(super) pivot: bool,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Step {
        name: &'static str,
        cmd: Raw,
    },
    Child {
        saga: String,
        version: u32,
        key: String,
        cmd: Raw,
    },
    Undo {
        target: u32,
    },
}

#[derive(Default)]
pub(super) struct Book {
    /// What the journal has and the code has not yet asked for again.
    recorded: BTreeMap<u32, Event>,
    unwaited: BTreeSet<u32>,
    /// Operations that settle by an action.
    pub(super) open: BTreeMap<u32, Open>,
    /// Those of them whose action is to be started now.
    pub(super) to_start: Vec<u32>,
    /// Steps that are being undone, and by which operation.
    undoing: BTreeMap<u32, u32>,
    waits: Waits,
    seen: BTreeSet<String>,
    pub(super) pivoted: bool,
}

/// What an ask has to know of its surroundings.
pub(super) struct Around<'a> {
    pub(super) steps: &'a Steps,
    /// Tells the time, which costs too much to be asked where nobody sleeps.
    pub(super) now: &'a dyn Fn() -> i64,
    /// Of a payload, in bytes.
    pub(super) most: usize,
    /// What a child's key begins with: unique to this saga.
    pub(super) step_keys: &'a str,
}

impl Book {
    /// Takes a journal apart: what was asked for is kept to compare, the outcomes are given back in
    /// their order, and with them that the saga was cancelled.
    pub(super) fn record(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut outcomes = Vec::new();
        for event in events {
            match &event {
                Event::Step { op, .. }
                | Event::Child { op, .. }
                | Event::Timer { op, .. }
                | Event::Wait { op, .. }
                | Event::UndoAsked { op, .. }
                | Event::Patch { op, .. } => {
                    self.recorded.insert(*op, event);
                }
                Event::Unwait { op } => {
                    self.unwaited.insert(*op);
                }
                Event::Started { .. } => {
                    self.recorded.clear();
                    self.unwaited.clear();
                    outcomes.clear();
                }
                Event::Done { .. }
                | Event::Failed { .. }
                | Event::Fired { .. }
                | Event::Signal { .. }
                | Event::TimedOut { .. }
                | Event::Undone { .. }
                | Event::Skipped { .. }
                | Event::Settled { .. }
                | Event::Cancelled { .. } => outcomes.push(event),
                Event::Retry { .. }
                | Event::Abort { .. }
                | Event::Stuck { .. }
                | Event::Resumed { .. }
                | Event::Forced { .. }
                | Event::Finished { .. }
                | Event::Continued {}
                | Event::Compensated { .. } => {}
            }
        }
        outcomes
    }

    /// Whether the code has still to ask again for something that the journal has.
    pub(super) fn is_behind(&self) -> bool {
        !self.recorded.is_empty()
    }

    /// After the last outcome the code must have asked for all that the journal has.
    pub(super) fn caught_up(&self) -> Result<(), Park> {
        match self.recorded.values().next() {
            Some(left) => Err(Park::misfit("does not ask for this any more", left)),
            None => Ok(()),
        }
    }

    /// Nothing will ever wake the code.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.waits.is_empty()
    }

    /// It is issued alone: where one is open, nothing else is.
    pub(super) fn has_open_pivot(&self) -> bool {
        self.open.values().next().is_some_and(|open| open.pivot)
    }

    pub(super) fn has_seen(&self, letter: &str) -> bool {
        self.seen.contains(letter)
    }

    /// When the next timer fires or the next wait ends.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.waits.next_due()
    }

    /// Timers and waits whose time has come, as events, in the order of their times and numbers.
    pub(super) fn due(&self, now: i64) -> Vec<Event> {
        let end = |op| match self.waits.has_timer(op) {
            true => Event::Fired { op },
            false => Event::TimedOut { op },
        };
        self.waits.due(now).map(end).collect()
    }

    /// Whether the timer or wait that this ends is still asked for.
    pub(super) fn is_open(&self, end: &Event) -> bool {
        match end {
            Event::Fired { op } => self.waits.has_timer(*op),
            Event::TimedOut { op } => self.waits.has_wait(*op),
            _ => false,
        }
    }

    /// Books an outcome. `Some`: it goes to the code now.
    pub(super) fn outcome(&mut self, event: &Event) -> Result<Option<(u32, Delivered)>, Park> {
        let gone = || Park::misfit("did not ask for this", event);
        Ok(Some(match event {
            Event::Done { op, out, .. } => self.done(*op, out).ok_or_else(gone)?,
            Event::Failed {
                op, clean, error, ..
            } => {
                self.close(*op).ok_or_else(gone)?;
                (
                    *op,
                    Delivered::Failed {
                        clean: *clean,
                        error: error.clone(),
                    },
                )
            }
            Event::Settled {
                op, verdict, note, ..
            } => match verdict {
                Settlement::Done(out) => self.done(*op, out).ok_or_else(gone)?,
                Settlement::Undone if !self.open.contains_key(op) => {
                    self.undone(*op).ok_or_else(gone)?
                }
                Settlement::NotApplied | Settlement::Undone => {
                    self.close(*op).ok_or_else(gone)?;
                    let error = format!("settled by an operator: {note}");
                    (*op, Delivered::Failed { clean: true, error })
                }
            },
            Event::Undone { op } | Event::Skipped { op, .. } => {
                self.undone(*op).ok_or_else(gone)?
            }
            Event::Fired { op } => match self.waits.end_timer(*op) {
                true => (*op, Delivered::Fired),
                false => return Err(gone()),
            },
            Event::TimedOut { op } => match self.waits.end_wait(*op) {
                true => (*op, Delivered::TimedOut),
                false => return Err(gone()),
            },
            Event::Signal { id, name, body } => {
                self.seen.insert(id.clone());
                self.waits.put(id.clone(), name.clone(), body.clone());
                return Ok(self.letter());
            }
            other => return Err(Park::misfit("cannot replay this", other)),
        }))
    }

    /// A compensation that the saga has asked for is settled.
    fn undone(&mut self, target: u32) -> Option<(u32, Delivered)> {
        let asker = *self.undoing.get(&target)?;
        self.close(asker)?;
        Some((asker, Delivered::Undone))
    }

    fn done(&mut self, op: u32, out: &Raw) -> Option<(u32, Delivered)> {
        let open = self.close(op)?;
        self.pivoted |= open.pivot;
        Some((op, Delivered::Done(out.clone())))
    }

    /// It has an outcome.
    fn close(&mut self, op: u32) -> Option<Open> {
        let open = self.open.remove(&op)?;
        if let What::Undo { target } = &open.what {
            self.undoing.remove(target);
        }
        Some(open)
    }

    /// Signals that no wait has taken, for the next run.
    pub(super) fn unread(&mut self) -> impl Iterator<Item = Event> {
        self.waits
            .unread()
            .map(|Letter { id, name, body, .. }| Event::Signal { id, name, body })
    }

    /// The wait that has waited longest of those with a letter, and that letter.
    pub(super) fn letter(&mut self) -> Option<(u32, Delivered)> {
        let (op, letter) = self.waits.take()?;
        Some((op, Delivered::Signal(Box::new(letter))))
    }
}
