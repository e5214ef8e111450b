//! What a program comes to, given what became of its operations: plain recursion, with the time of
//! each end, and no future, poll or replay.
use super::program::{Node, Program, ROUND, STEPS, size};
use crate::saga::{
    life::{Paid, Told},
    tape::{Entry, Tape},
};
use seawall::saga::{
    Status,
    journal::{Event, StuckKind},
};
use std::collections::{BTreeMap, VecDeque};

/// Counted in turns: outcomes that the code has been told. Then, in letters that stood there already
/// when it asked for them: it has each of them at once, before the next outcome.
type Time = (usize, usize);
/// When it is over, and what it says; `None`: it is not over.
type Over = Option<(Time, Result<String, ()>)>;

/// What the journal says became of the operations.
#[derive(Default)]
struct Facts {
    turn: usize,
    /// Events that were looked at.
    seen: usize,
    /// Of steps, by their place in the program; `Err` says whether it was clean.
    settled: BTreeMap<u32, (Time, Result<String, bool>)>,
    undone: BTreeMap<u32, Time>,
    /// Of sleeps and waits, by operation. Without a time: its letter stood there already.
    woken: BTreeMap<String, (Option<Time>, Option<u32>)>,
    places: BTreeMap<u32, u32>,
    /// Both with when they were seen.
    waits: VecDeque<(u32, String, usize)>,
    letters: VecDeque<(String, u32, usize)>,
}

impl Facts {
    /// Letters go to the waits in the order in which both came.
    fn deliver(&mut self) {
        while let Some((wait, letter)) =
            self.waits
                .iter()
                .enumerate()
                .find_map(|(at, (_, name, _))| {
                    let letter = self.letters.iter().position(|letter| letter.0 == *name)?;
                    Some((at, letter))
                })
        {
            let (op, _, asked) = self.waits.remove(wait).unwrap();
            let (_, number, came) = self.letters.remove(letter).unwrap();
            self.turn += 1;
            let at = (asked < came).then_some((self.turn, 0));
            self.woken.insert(format!("OpId({op})"), (at, Some(number)));
        }
    }

    fn take(&mut self, event: &Event) {
        if !asks(event) {
            self.turn += 1;
        }
        self.seen += 1;
        let (now, id) = ((self.turn, 0), |op: &u32| format!("OpId({op})"));
        match event {
            // What nobody has waited for stands behind it again.
            Event::Started { .. } => (self.waits, self.letters) = Default::default(),
            Event::Step { op, cmd, .. } | Event::Child { op, cmd, .. } => {
                self.places.insert(*op, cmd.get().parse().unwrap());
            }
            Event::Done { op, out, .. } => {
                let out = serde_json::from_str(out.get()).unwrap();
                self.settled.insert(self.places[op], (now, Ok(out)));
            }
            Event::Failed { op, clean, .. } => {
                // Of a compensation there is nothing that the code is told.
                if let Some(place) = self.places.get(op) {
                    self.settled.insert(*place, (now, Err(*clean)));
                }
            }
            Event::Undone { op, .. } => {
                self.undone.insert(self.places[op], now);
            }
            Event::Fired { op, .. } => {
                self.woken.insert(id(op), (Some(now), None));
            }
            Event::Wait { op, name, .. } => self.waits.push_back((*op, name.clone(), self.seen)),
            Event::Unwait { op, .. } => self.waits.retain(|wait| wait.0 != *op),
            Event::TimedOut { op, .. } => {
                self.waits.retain(|wait| wait.0 != *op);
                self.woken.insert(id(op), (Some(now), None));
            }
            Event::Signal { name, body, .. } => {
                let Paid(number) = serde_json::from_str(body.get()).unwrap();
                self.letters.push_back((name.clone(), number, self.seen));
            }
            _ => {}
        }
    }
}

/// Whether it is a wish of the code, and no end of one.
fn asks(event: &Event) -> bool {
    matches!(
        event,
        Event::Step { .. }
            | Event::Child { .. }
            | Event::Timer { .. }
            | Event::Wait { .. }
            | Event::UndoAsked { .. }
            | Event::Patch { .. }
            | Event::Unwait { .. }
    )
}

struct Meaning<'a> {
    facts: &'a Facts,
    ops: &'a BTreeMap<u32, String>,
}

impl Meaning<'_> {
    fn all(&self, nodes: &[Node], mut place: u32, begin: Time) -> Over {
        let (mut now, mut said) = (begin, Vec::new());
        for node in nodes {
            match self.one(node, place, now)? {
                (end, Ok(it)) => {
                    now = end;
                    said.push(it);
                }
                failed => return Some(failed),
            }
            place += node.size();
        }
        Some((now, Ok(said.join(","))))
    }

    fn one(&self, node: &Node, place: u32, begin: Time) -> Over {
        let woken = || self.facts.woken.get(self.ops.get(&place)?);
        let settled = || self.facts.settled.get(&place);
        Some(match node {
            Node::Call { catch: true, .. } => {
                let (at, it) = settled()?.clone();
                (at, Ok(it.unwrap_or_else(|clean| format!("clean: {clean}"))))
            }
            Node::Call { .. } | Node::Pivot { .. } | Node::Child => {
                let (at, it) = settled()?.clone();
                (at, it.map_err(|_| ()))
            }
            Node::Undo { .. } => match settled()?.clone() {
                (_, Ok(it)) => (*self.facts.undone.get(&place)?, Ok(format!("no {it}"))),
                (at, Err(_)) => (at, Err(())),
            },
            Node::Sleep { .. } => (woken()?.0?, Ok("slept".to_owned())),
            Node::Wait { .. } => {
                let (at, letter) = woken()?;
                let at_once = (begin.0, begin.1 + 1);
                (at.unwrap_or(at_once), Ok(format!("{letter:?}")))
            }
            Node::Patch => (begin, Ok("met".to_owned())),
            Node::Fail => (begin, Err(())),
            Node::Both(a, b) => {
                let (left, right) = self.two(a, b, place, begin);
                match (left, right) {
                    (Some((x, Ok(a))), Some((y, Ok(b)))) => (x.max(y), Ok(format!("({a} & {b})"))),
                    (left, right) => {
                        let failed = [left, right].into_iter().flatten();
                        failed.filter(|(_, it)| it.is_err()).min_by_key(|it| it.0)?
                    }
                }
            }
            Node::Race(a, b) => match self.two(a, b, place, begin) {
                (Some((x, it)), right) if right.as_ref().is_none_or(|(y, _)| x <= *y) => {
                    (x, it.map(|it| format!("1({it})")))
                }
                (_, right) => {
                    let (y, it) = right?;
                    (y, it.map(|it| format!("2({it})")))
                }
            },
        })
    }

    fn two(&self, a: &[Node], b: &[Node], place: u32, begin: Time) -> (Over, Over) {
        let left = self.all(a, place + 1, begin);
        (left, self.all(b, place + 1 + size(a), begin))
    }
}

/// Panics where the saga has not come to what its program means.
pub fn check(program: &Program, told: &Told, doubtful: bool) {
    let books = told.world.books();
    if let Err(why) = run_through(program, &books.tape, &books.ops, doubtful) {
        panic!("{why}\n{program:?}\n{}", books.tape.text());
    }
}

fn run_through(
    program: &Program,
    tape: &Tape,
    ops: &BTreeMap<u32, String>,
    doubtful: bool,
) -> Result<(), String> {
    let (mut facts, mut place, mut cancelled, mut deadline) = (Facts::default(), 0, false, None);
    let (mut pivoted, mut undos) = (false, BTreeMap::<_, u32>::new());
    let mut mine = None;
    for (_, entry) in &tape.entries {
        let (uid, at, events) = match entry {
            Entry::Row {
                uid, at, events, ..
            } => (uid, *at, events),
            Entry::Began {
                key, undo: true, ..
            } => {
                *undos.entry(key).or_default() += 1;
                continue;
            }
            Entry::Died | Entry::Drained => {
                // Each may have cost an attempt that did not come so far.
                undos.values_mut().for_each(|undos| *undos += 1);
                continue;
            }
            _ => continue,
        };
        if mine.get_or_insert(uid) != &uid {
            continue;
        }
        for event in events {
            if !asks(event) {
                facts.deliver();
            }
            let means = || {
                let facts = &facts;
                Meaning { facts, ops }.all(&program.nodes, place, (0, 0))
            };
            let right = match event {
                Event::Started { deadline: d, .. } => {
                    deadline = *d;
                    true
                }
                Event::Cancelled { .. } => {
                    cancelled = true;
                    true
                }
                Event::Done { op, .. } => {
                    pivoted |= is_pivot(&program.nodes, facts.places[op] - place);
                    true
                }
                Event::Continued { .. } => {
                    let ended = matches!(means(), Some((_, Ok(_))));
                    place += ROUND;
                    ended && program.again && place == ROUND && !cancelled
                }
                Event::Finished { out, .. } => {
                    let out: String = serde_json::from_str(out.get()).unwrap();
                    let last = !program.again || place == ROUND;
                    let (late, means) = (cancelled && !pivoted, means());
                    last && !late && means.is_some_and(|(_, it)| it == Ok(out))
                }
                Event::Abort { reason, .. } if reason.starts_with("cancelled by") => cancelled,
                Event::Abort { reason, .. } if reason.starts_with("its deadline") => {
                    deadline.is_some_and(|deadline| deadline <= at)
                }
                Event::Abort { .. } => !pivoted && matches!(means(), Some((_, Err(())))),
                Event::Stuck { kind, op, .. } => match kind {
                    StuckKind::Forward => {
                        pivoted
                            || program
                                .nodes
                                .iter()
                                .any(|n| matches!(n, Node::Pivot { .. }))
                    }
                    StuckKind::Backward => op.is_some_and(|op| {
                        undos
                            .iter()
                            .any(|(key, undos)| key.ends_with(&format!("/{op}")) && *undos >= 4)
                    }),
                    StuckKind::Unknown => doubtful,
                    _ => false,
                },
                _ => true,
            };
            if !right {
                return Err(format!("{event:?} is not what the program means"));
            }
            facts.take(event);
        }
        facts.deliver();
    }
    let ended = tape
        .entries
        .iter()
        .rev()
        .find_map(|(_, entry)| match entry {
            Entry::Row { uid, status, .. } if Some(uid) == mine => Some(*status),
            _ => None,
        });
    match ended {
        Some(Status::Finished | Status::Compensated | Status::Stuck) => Ok(()),
        other => Err(format!("it rests as {other:?}")),
    }
}

fn is_pivot(nodes: &[Node], place: u32) -> bool {
    let mut at = 0;
    nodes.iter().any(|node| {
        let mine = at == place && matches!(node, Node::Pivot { .. });
        at += node.size();
        mine
    })
}

/// Whether nobody may be able to tell: a step that parks then, or one that is asked too early.
pub fn is_doubtful(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Call { step, .. } | Node::Pivot { step } | Node::Undo { step } => {
            ["c", "e", "g"].contains(&STEPS[*step])
        }
        Node::Child => true,
        Node::Both(a, b) | Node::Race(a, b) => is_doubtful(a) || is_doubtful(b),
        _ => false,
    })
}
