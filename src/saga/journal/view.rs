#[cfg(test)]
mod tests;
mod tries;

use super::{Event, Parent, Raw, Settlement, StuckKind};
use crate::saga::mutant::mutant;
use std::collections::{BTreeMap, BTreeSet};
use tries::Tries;

/// How a saga stands, by its journal: a pure fold, event by event.
///
/// ```text
///  Forward ── all settled, Ok ──▶ Finished
///     │  └─ Err, cancel, deadline, abort ──▶ Backward ── nothing left ──▶ Compensated
///     └─ (either way) an operator ──▶ Forced
/// ```
///
/// `stuck` stands beside the phase: a parked saga keeps its direction. Backward never becomes
/// forward.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct View {
    /// The direction.
    pub phase: Phase,
    /// Every step and child that was asked for, by number.
    pub ops: BTreeMap<u32, OpView>,
    /// Why it is parked.
    pub stuck: Option<(StuckKind, String)>,
    /// The number of the step that the parking is about.
    pub stuck_op: Option<u32>,
    /// Why it goes, or went, backward.
    pub reason: String,
    /// Whether a pivot is done: no way back.
    pub pivoted: bool,
    /// What it answered.
    pub out: Option<Raw>,
    /// The patches it has met.
    pub patches: BTreeSet<String>,
    /// Who wants it given up, and why, where that is still to be decided.
    pub cancel: Option<(String, String)>,
    /// When it is given up, UTC ms.
    pub deadline: Option<i64>,
    /// Whose child it is.
    pub parent: Option<Parent>,
    /// Steps that the saga has asked to be undone while going forward, and by which operation.
    pub undo_asked: BTreeMap<u32, u32>,
    /// Compensations that an operator has skipped.
    pub exceptions: Vec<u32>,
    /// Why an operator ended it by force.
    pub forced: Option<String>,
    /// Steps still to undo, by when they settled: a saga may have very many.
    left: BTreeSet<(usize, u32)>,
    /// Events seen, which is the clock of `settled`.
    seen: usize,
    /// The epoch of the row being taken in.
    epoch: u32,
}

/// The direction of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Its code runs.
    Forward,
    /// Its steps are undone.
    Backward,
    /// Wholly done.
    Finished,
    /// Wholly undone, but for [exceptions](View::exceptions).
    Compensated,
    /// Ended by hand, as it stood.
    Forced,
}

impl Phase {
    /// Whether nothing can come after it.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Finished | Phase::Compensated | Phase::Forced)
    }
}

/// One step or child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpView {
    /// The registered name.
    pub name: String,
    /// What it is called with.
    pub cmd: Raw,
    /// Whether it is the point of no return.
    pub pivot: bool,
    /// The child's saga, version and key, where it is a child.
    pub child: Option<(String, u32, String)>,
    /// What became of it.
    pub state: OpState,
    /// When it settled: its number among all events; `usize::MAX` while it has not.
    pub settled: usize,
    /// The last wait that was written down, forward or back.
    pub waiting: Option<WaitingFor>,
    /// The last error.
    pub error: Option<String>,
    /// What is known of the attempts under way or to come.
    pub(crate) tries: Tries,
}

/// What became of a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpState {
    /// Asked for, no outcome: it may have been applied.
    Intent,
    /// Applied, with this output.
    Done(Raw),
    /// Certainly not applied; never undone.
    Clean,
    /// Given up, and it may have been applied.
    Unknown,
    /// Compensated.
    Undone,
    /// Its compensation was skipped by an operator.
    Skipped,
}

/// A written wait before the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingFor {
    /// The attempts used.
    pub attempt: u32,
    /// When the next may start, UTC ms.
    pub not_before: i64,
    /// The policy that refused, if that is why.
    pub refused_by: Option<String>,
    /// Whether it is the compensation that waits.
    pub undo: bool,
}

impl Default for View {
    fn default() -> Self {
        View {
            phase: Phase::Forward,
            ops: BTreeMap::new(),
            stuck: None,
            stuck_op: None,
            reason: String::new(),
            pivoted: false,
            out: None,
            patches: BTreeSet::new(),
            cancel: None,
            deadline: None,
            parent: None,
            undo_asked: BTreeMap::new(),
            exceptions: Vec::new(),
            forced: None,
            left: BTreeSet::new(),
            seen: 0,
            epoch: 0,
        }
    }
}

impl View {
    /// The fold of a whole journal.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> View {
        let mut view = View::default();
        for event in events {
            view.apply(event);
        }
        view
    }

    /// Takes in a row's events.
    pub fn apply_row(&mut self, epoch: u32, events: &[Event]) {
        self.epoch = epoch;
        for event in events {
            self.apply(event);
        }
    }

    /// Takes the next event in.
    pub fn apply(&mut self, event: &Event) {
        let at = self.seen;
        self.seen = self.seen.saturating_add(1);
        match event {
            Event::Started {
                deadline, parent, ..
            } => {
                *self = View {
                    deadline: *deadline,
                    parent: parent.clone(),
                    seen: self.seen,
                    epoch: self.epoch,
                    ..View::default()
                };
            }
            Event::Step {
                op,
                name,
                cmd,
                pivot,
            } => {
                self.open(*op, name, cmd, *pivot, None);
            }
            Event::Child {
                op,
                name,
                saga,
                version,
                key,
                cmd,
            } => {
                let child = Some((saga.clone(), *version, key.clone()));
                self.open(*op, name, cmd, false, child);
            }
            Event::Done { op, out, .. } => self.settle(*op, OpState::Done(out.clone()), at),
            Event::Failed {
                op, clean, error, ..
            } => {
                let state = if *clean {
                    OpState::Clean
                } else {
                    OpState::Unknown
                };
                self.settle(*op, state, at);
                if let Some(o) = self.ops.get_mut(op) {
                    o.error = Some(error.clone());
                }
            }
            Event::Settled { op, verdict, .. } => match verdict {
                Settlement::Done(out) => self.settle(*op, OpState::Done(out.clone()), at),
                Settlement::NotApplied => self.settle(*op, OpState::Clean, at),
                Settlement::Undone => self.undone(*op, OpState::Undone),
            },
            Event::Retry {
                op,
                attempt,
                not_before,
                error,
                refused_by,
                undo,
                tainted,
                left,
            } => {
                let epoch = self.epoch;
                if let Some(o) = self.ops.get_mut(op) {
                    o.tries = Tries {
                        used: *attempt,
                        epoch,
                        tainted: *tainted,
                        left: *left,
                    };
                    o.error = Some(error.clone());
                    o.waiting = Some(WaitingFor {
                        attempt: *attempt,
                        not_before: *not_before,
                        refused_by: refused_by.clone(),
                        undo: *undo,
                    });
                }
            }
            Event::UndoAsked { op, target } => {
                self.undo_asked.insert(*target, *op);
                let epoch = self.epoch;
                if let Some(o) = self.ops.get_mut(target) {
                    o.start_over(epoch);
                }
            }
            Event::Undone { op } => self.undone(*op, OpState::Undone),
            Event::Skipped { op, .. } => {
                self.undone(*op, OpState::Skipped);
                self.exceptions.push(*op);
            }
            Event::Cancelled { by, note } => self.cancel = Some((by.clone(), note.clone())),
            Event::Abort { reason, .. } => {
                self.phase = Phase::Backward;
                self.reason.clone_from(reason);
                self.cancel = None;
                self.start_over();
            }
            Event::Stuck { why, kind, op } => {
                self.stuck = Some((*kind, why.clone()));
                self.stuck_op = *op;
                for op in self.ops.values_mut() {
                    // Whatever was under way was dropped.
                    op.tries.tainted |= matches!(op.state, OpState::Intent);
                }
            }
            Event::Resumed { .. } => self.resume(),
            Event::Forced { note, .. } => {
                self.resume();
                self.forced = Some(note.clone());
                self.phase = Phase::Forced;
            }
            Event::Finished { out } => {
                self.phase = Phase::Finished;
                self.out = Some(out.clone());
            }
            Event::Compensated { reason, .. } => {
                self.phase = Phase::Compensated;
                self.reason.clone_from(reason);
            }
            Event::Patch { name, .. } => {
                self.patches.insert(name.clone());
            }
            Event::Timer { .. }
            | Event::Fired { .. }
            | Event::Wait { .. }
            | Event::Signal { .. }
            | Event::TimedOut { .. }
            | Event::Unwait { .. }
            | Event::Continued {} => {}
        }
    }

    /// Steps still to undo, by their numbers, the first to undo first.
    ///
    /// Those without an outcome, then those settled last. Never a clean one.
    pub fn to_undo(&self) -> Vec<u32> {
        self.left_to_undo().collect()
    }

    /// The first of them.
    pub(crate) fn next_to_undo(&self) -> Option<u32> {
        self.left_to_undo().next()
    }

    fn left_to_undo(&self) -> impl Iterator<Item = u32> {
        let mut left = self.left.iter();
        let forward = mutant("undone_in_forward_order");
        let next = move || {
            if forward {
                left.next()
            } else {
                left.next_back()
            }
        };
        std::iter::from_fn(next).map(|(_, op)| *op)
    }

    fn open(
        &mut self,
        op: u32,
        name: &str,
        cmd: &Raw,
        pivot: bool,
        child: Option<(String, u32, String)>,
    ) {
        let before = self.ops.insert(
            op,
            OpView {
                name: name.to_owned(),
                cmd: cmd.clone(),
                pivot,
                child,
                state: OpState::Intent,
                settled: usize::MAX,
                waiting: None,
                error: None,
                tries: Tries {
                    epoch: self.epoch,
                    ..Tries::default()
                },
            },
        );
        if let Some(before) = before {
            self.left.remove(&(before.settled, op));
        }
        self.left.insert((usize::MAX, op));
    }

    fn settle(&mut self, op: u32, state: OpState, at: usize) {
        if let Some(o) = self.ops.get_mut(&op) {
            let pivoted = o.pivot && matches!(state, OpState::Done(_));
            self.pivoted |= pivoted && !mutant("pivot_ignored");
            if self.pivoted {
                self.cancel = None;
            }
            self.left.remove(&(o.settled, op));
            o.state = state;
            o.settled = at;
            o.waiting = None;
            if o.is_left() {
                self.left.insert((at, op));
            }
        }
    }

    fn undone(&mut self, op: u32, state: OpState) {
        self.undo_asked.remove(&op);
        if let Some(o) = self.ops.get_mut(&op) {
            o.state = state;
            self.left.remove(&(o.settled, op));
        }
        if self.phase == Phase::Backward {
            // The next compensation begins now; those after it have not been tried.
            for op in [Some(op), self.next_to_undo()].into_iter().flatten() {
                if let Some(o) = self.ops.get_mut(&op) {
                    o.start_over(self.epoch);
                }
            }
        }
    }

    fn resume(&mut self) {
        self.stuck = None;
        self.stuck_op = None;
        self.start_over();
    }

    fn start_over(&mut self) {
        for op in self.ops.values_mut() {
            op.start_over(self.epoch);
        }
    }
}

impl OpView {
    /// Whether it has to be undone if the saga goes backward.
    fn is_left(&self) -> bool {
        match self.state {
            OpState::Intent | OpState::Done(_) => true,
            OpState::Unknown => !mutant("unknown_not_undone"),
            OpState::Clean => mutant("clean_undone"),
            OpState::Undone | OpState::Skipped => false,
        }
    }

    /// Attempts count from 0 again; a taint stays.
    fn start_over(&mut self, epoch: u32) {
        self.waiting = None;
        let tainted = self.tries.tainted;
        self.tries = Tries {
            used: 0,
            epoch,
            tainted,
            left: false,
        };
    }
}
