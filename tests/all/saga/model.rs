//! What must hold of every run, by the tape alone: slow, plain, and told twice rather than shared
//! with the engine.
use super::tape::{Answer, Entry, Tape, Uid};
use seawall::saga::{Status, journal::Event};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Saga {
    steps: BTreeMap<u32, Step>,
    /// What earlier runs of a saga that continues itself have done: it stays.
    kept: BTreeSet<String>,
    undo_asked: BTreeSet<u32>,
    /// The operations that asked for that.
    askers: BTreeSet<u32>,
    timers: BTreeMap<u32, i64>,
    waits: BTreeMap<u32, Option<i64>>,
    letters: BTreeSet<String>,
    aborted: bool,
    pivoted: bool,
    stuck: bool,
    ended: Option<Status>,
    next_op: u32,
}

#[derive(Default)]
struct Step {
    name: String,
    pivot: bool,
    child: bool,
    /// An attempt may have been applied, as its caller sees it.
    doubt: bool,
    /// The engine that had it open is gone, or has parked the saga.
    left_open: bool,
    /// When it settled, as the number of that event; and how.
    settled: Option<(usize, Fate)>,
    undone: bool,
    /// Attempts that no restart may forget: those on paper, and one of each life since that began
    /// any.
    attempts: u32,
    /// The last one of this life.
    latest: u32,
    not_before: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Done,
    Clean,
    Unknown,
}

#[derive(Default)]
struct World {
    sagas: BTreeMap<Uid, Saga>,
    running: BTreeSet<(String, bool)>,
    applied: BTreeSet<String>,
    tombs: BTreeSet<String>,
    clean: BTreeSet<String>,
    seen: usize,
}

/// Panics where the tape shows what must not be.
pub fn check(tape: &Tape) {
    let mut world = World::default();
    for (at, entry) in &tape.entries {
        if let Err(why) = world.take(*at, entry) {
            panic!("{why}\nat {entry:?} of\n{}", tape.text());
        }
    }
    if let Err(why) = world.sum_up() {
        panic!("{why}\nafter\n{}", tape.text());
    }
}

/// `Err` where it does not hold.
fn must(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

fn parts(key: &str) -> (Uid, u32) {
    let (uid, op) = key.split_once('/').unwrap();
    (uid.to_owned(), op.parse().unwrap())
}

impl Saga {
    /// The step whose compensation is due: those without an outcome first, then the last settled.
    fn next_to_undo(&self) -> Option<u32> {
        let due = self.steps.iter().filter(|(_, step)| step.is_due());
        due.max_by_key(|(op, step)| (step.settled.map_or(usize::MAX, |(at, _)| at), **op))
            .map(|(op, _)| *op)
    }
}

impl Step {
    fn is_due(&self) -> bool {
        !self.undone && !matches!(self.settled, Some((_, Fate::Clean)))
    }
}

impl World {
    fn take(&mut self, now: i64, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Row {
                uid,
                at,
                events,
                status,
            } => {
                for event in events {
                    self.seen += 1;
                    self.event(uid, *at, event)?;
                }
                let saga = self.sagas.get_mut(uid).unwrap();
                must(
                    saga.ended.is_some() == status.is_final(),
                    "the line beside the journal says another end",
                )?;
                must(
                    saga.stuck == (*status == Status::Stuck) || saga.ended.is_some(),
                    "parked, or not",
                )
            }
            Entry::Began {
                key,
                name,
                attempt,
                undo,
            } => self.began(now, key, name, *attempt, *undo),
            Entry::Over { key, undo, answer } => {
                self.running.remove(&(key.clone(), *undo));
                if let (false, Answer::None, Some(step)) = (undo, answer, self.step(key)) {
                    step.doubt = true;
                }
                Ok(())
            }
            Entry::Denied { key } => {
                if let Some(step) = self.step(key) {
                    step.doubt = false;
                }
                Ok(())
            }
            Entry::Applied { key } => {
                self.applied.insert(key.clone());
                let said_clean = self.clean.contains(key);
                must(!said_clean, "a step was called clean and applied after all")
            }
            Entry::Undone { key } => {
                self.applied.remove(key);
                self.tombs.insert(key.clone());
                Ok(())
            }
            Entry::Died => {
                self.running.clear();
                for saga in self.sagas.values_mut() {
                    for step in saga.steps.values_mut() {
                        step.attempts += u32::from(step.latest > step.attempts);
                        step.latest = 0;
                        step.left_open = true;
                    }
                }
                Ok(())
            }
            Entry::Drained => must(self.running.is_empty(), "S30: an action is cut off"),
        }
    }

    fn step(&mut self, key: &str) -> Option<&mut Step> {
        let (uid, op) = parts(key);
        self.sagas.get_mut(&uid)?.steps.get_mut(&op)
    }

    fn began(
        &mut self,
        now: i64,
        key: &str,
        name: &str,
        attempt: u32,
        undo: bool,
    ) -> Result<(), String> {
        let (uid, op) = parts(key);
        let saga = self.sagas.get_mut(&uid).ok_or("S2: no such saga yet")?;
        must(
            saga.ended.is_none() && !saga.stuck,
            "a call of a saga that rests",
        )?;
        let next = saga.next_to_undo();
        let asked = saga.undo_asked.contains(&op);
        let step = saga.steps.get_mut(&op).ok_or("S2: no intent yet")?;
        must(step.name == name, "S8: the key is another step's")?;
        let running = |undo| self.running.contains(&(key.to_owned(), undo));
        must(!running(false) && !running(true), "S9, S10: two at a time")?;
        if undo {
            must(
                !matches!(step.settled, Some((_, Fate::Clean))),
                "S4: undone, though clean",
            )?;
            must(!step.undone, "S4: undone twice")?;
            must(!step.pivot, "S13: a pivot is undone")?;
            must(saga.aborted || asked, "S4: undone for no reason")?;
            if saga.aborted {
                must(next == Some(op), "S5: undone out of turn")?;
                let mine = |(key, _): &(String, bool)| parts(key).0 == uid;
                must(!self.running.iter().any(mine), "S10: not all at rest")?;
            }
        } else {
            must(!saga.aborted, "S11: a step after the abort")?;
            must(step.settled.is_none(), "S20: run, though settled")?;
            let used = step.attempts.max(step.latest);
            must(attempt > used, "S37: the attempt count went back")?;
            step.latest = attempt;
        }
        must(now >= step.not_before, "S37: a written wait was shortened")?;
        self.running.insert((key.to_owned(), undo));
        Ok(())
    }

    fn event(&mut self, uid: &str, at: i64, event: &Event) -> Result<(), String> {
        let saga = self.sagas.entry(uid.to_owned()).or_default();
        must(saga.ended.is_none(), "S14: an event after the end")?;
        let key = |op: &u32| format!("{uid}/{op}");
        match event {
            Event::Step { op, .. }
            | Event::Child { op, .. }
            | Event::Timer { op, .. }
            | Event::Wait { op, .. }
            | Event::UndoAsked { op, .. }
            | Event::Patch { op, .. } => {
                must(!saga.aborted, "S11: asked for after the abort")?;
                must(*op >= saga.next_op, "an operation number used twice")?;
                saga.next_op = op + 1;
            }
            _ => {}
        }
        match event {
            Event::Started { first_op, .. } => must(*first_op >= saga.next_op, "first_op")?,
            Event::Step {
                op, name, pivot, ..
            } => {
                let (name, pivot) = (name.clone(), *pivot);
                let step = Step {
                    name,
                    pivot,
                    ..Step::default()
                };
                saga.steps.insert(*op, step);
            }
            Event::Child { op, name, .. } => {
                let (name, child) = (name.clone(), true);
                let step = Step {
                    name,
                    child,
                    ..Step::default()
                };
                saga.steps.insert(*op, step);
            }
            // It waited when the saga was given up.
            Event::Failed { op, .. } if saga.askers.contains(op) => {}
            Event::Done { op, .. } | Event::Failed { op, .. } => {
                must(!saga.aborted, "S11: settled after the abort")?;
                let at_rest = !self.running.contains(&(key(op), false));
                must(at_rest, "settled while it runs")?;
                let step = saga.steps.get_mut(op).ok_or("settled, never asked for")?;
                must(step.settled.is_none(), "settled twice")?;
                let fate = match event {
                    Event::Failed { clean: true, .. } => Fate::Clean,
                    Event::Failed { .. } => Fate::Unknown,
                    _ => Fate::Done,
                };
                step.settled = Some((self.seen, fate));
                let doubt = step.doubt && !step.child;
                let there = self.applied.contains(&key(op)) || step.child;
                match fate {
                    Fate::Done => {
                        must(there, "S3: done, and not applied")?;
                        saga.pivoted |= step.pivot;
                    }
                    Fate::Clean => {
                        must(step.child || !there, "S6: clean, and applied")?;
                        must(!doubt, "S6: clean, and in doubt")?;
                        self.clean.insert(key(op));
                    }
                    Fate::Unknown => {
                        let why = doubt || step.left_open || step.child;
                        must(why, "S6: in doubt for no reason")?;
                        must(!step.pivot, "S13: past a pivot in doubt")?;
                    }
                }
                must(
                    fate == Fate::Done || step.pivot || !saga.pivoted,
                    "a failure past the pivot",
                )?;
            }
            Event::UndoAsked { op, target, .. } => {
                saga.askers.insert(*op);
                let step = saga.steps.get_mut(target).ok_or("undo of nothing")?;
                step.not_before = 0;
                saga.undo_asked.insert(*target);
            }
            Event::Undone { op, .. } => {
                let step = saga.steps.get_mut(op).ok_or("undone, never asked for")?;
                must(step.is_due(), "S4: undone twice, or though clean")?;
                step.undone = true;
                let gone = self.tombs.contains(&key(op));
                must(gone || step.child, "S3: undone, and still there")?;
            }
            Event::Abort { .. } => {
                must(!saga.pivoted, "S12: an abort after the pivot")?;
                must(!saga.aborted, "two aborts")?;
                let mine = |(key, _): &(String, bool)| parts(key).0 == uid;
                must(!self.running.iter().any(mine), "S10: not joined")?;
                let all = saga.steps.values().all(|step| step.settled.is_some());
                must(all, "S10: given up with a step open")?;
                saga.aborted = true;
                for step in saga.steps.values_mut() {
                    step.not_before = 0;
                }
            }
            Event::Timer { op, at, .. } => {
                saga.timers.insert(*op, *at);
            }
            Event::Fired { op, .. } => {
                let due = saga.timers.remove(op).ok_or("fired twice")?;
                must(at >= due, "S28: a timer fired early")?;
            }
            Event::Wait { op, until, .. } => {
                saga.waits.insert(*op, *until);
            }
            Event::TimedOut { op, .. } => {
                let until = saga.waits.remove(op).flatten().ok_or("no such wait")?;
                must(at >= until, "S28: a wait ended early")?;
            }
            Event::Unwait { op, .. } => {
                must(saga.waits.remove(op).is_some(), "let go, never waited")?;
            }
            Event::Signal { id, .. } => {
                must(saga.letters.insert(id.clone()), "S27: a signal twice")?;
            }
            Event::Retry {
                op,
                attempt,
                not_before,
                undo,
                ..
            } => {
                let step = saga.steps.get_mut(op).ok_or("tried, never asked for")?;
                step.not_before = *not_before;
                if !*undo {
                    let used = step.attempts.max(step.latest);
                    must(*attempt >= used, "S37: fewer attempts on paper")?;
                    step.attempts = *attempt;
                }
            }
            Event::Stuck { .. } => {
                must(!saga.stuck, "parked twice")?;
                saga.stuck = true;
                for step in saga.steps.values_mut() {
                    step.left_open = true;
                }
            }
            // Attempts count from 0 again.
            Event::Resumed { .. } => {
                saga.stuck = false;
                for step in saga.steps.values_mut() {
                    (step.attempts, step.latest, step.not_before) = (0, 0, 0);
                }
            }
            Event::Continued { .. } => {
                must(!saga.aborted && !saga.pivoted, "continued too late")?;
                for (op, step) in std::mem::take(&mut saga.steps) {
                    must(step.settled.is_some(), "continued with a step open")?;
                    let done = step.settled.is_some_and(|(_, fate)| fate == Fate::Done);
                    if done && !step.undone && !step.child {
                        saga.kept.insert(key(&op));
                    }
                }
                saga.letters.clear();
                (saga.timers, saga.waits) = (BTreeMap::new(), BTreeMap::new());
            }
            Event::Finished { .. } => {
                must(!saga.aborted, "S11: finished after the abort")?;
                let all = saga.steps.values().all(|step| step.settled.is_some());
                must(all, "finished with a step open")?;
                saga.ended = Some(Status::Finished);
            }
            Event::Compensated { .. } => {
                must(saga.aborted, "compensated without an abort")?;
                must(
                    saga.next_to_undo().is_none(),
                    "S4: compensated, not all undone",
                )?;
                saga.ended = Some(Status::Compensated);
            }
            _ => {}
        }
        Ok(())
    }

    /// S15 and S16: what stands at the participants, when all is over.
    fn sum_up(&self) -> Result<(), String> {
        for (uid, saga) in &self.sagas {
            for (op, step) in &saga.steps {
                let key = format!("{uid}/{op}");
                let there = self.applied.contains(&key);
                if saga.ended == Some(Status::Compensated) {
                    must(!there, "S15: compensated, and something stands")?;
                }
                if saga.ended == Some(Status::Finished) && !step.child {
                    match step.settled {
                        Some((_, Fate::Done)) if !step.undone => {
                            must(there, "S16: done, not there")?
                        }
                        Some((_, Fate::Unknown)) => {}
                        _ => must(!there, "S16: there, not done")?,
                    }
                }
            }
            for key in &saga.kept {
                must(self.applied.contains(key), "what was done stays done")?;
            }
        }
        let strangers = self
            .applied
            .iter()
            .find(|key| !self.sagas.contains_key(&parts(key).0));
        must(strangers.is_none(), "an effect of no saga")
    }
}
