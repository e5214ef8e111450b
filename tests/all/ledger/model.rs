//! The ledger against a model that keeps the whole history and searches it.
use super::{begin, effects, open, write};
use proptest::prelude::*;
use rusqlite::Connection;
use seawall::saga::Ledger;
use seawall::saga::ledger::{Effect, LedgerError, Reply, UndoReply};

#[derive(Clone, Debug)]
enum What {
    /// Payload, and whether the business says no.
    Step {
        key: u8,
        payload: i64,
        refused: bool,
    },
    Undo {
        key: String,
        step: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Commit,
    /// The process dies before the commit.
    Crash,
    /// The process dies after it, and starts again.
    Restart,
    /// The effect fails, and the caller commits what is left.
    Fail,
}

fn what() -> impl Strategy<Value = What> {
    let name = |undo: bool, n: u8| format!("{n}{}", if undo { "/undo" } else { "" });
    let odd = (any::<bool>(), 0..3_u8, any::<bool>(), 0..3_u8);
    prop_oneof![
        5 => (0..3_u8, 0..2_i64, any::<bool>())
            .prop_map(|(key, payload, refused)| What::Step { key, payload, refused }),
        3 => (0..3_u8).prop_map(move |n| What::Undo { key: name(true, n), step: name(false, n) }),
        1 => odd.prop_map(move |(a, b, c, d)| What::Undo { key: name(a, b), step: name(c, d) }),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::Commit),
        2 => Just(End::Crash),
        1 => Just(End::Restart),
        1 => Just(End::Fail),
    ]
}

/// What was answered, once and for all, in the order of the commits.
#[derive(Default)]
struct Model {
    /// Key, payload, whether it was refused.
    steps: Vec<(String, i64, bool)>,
    /// The undo's key, its step's, whether there was anything to undo.
    undos: Vec<(String, String, bool)>,
}

impl Model {
    fn is_undone(&self, key: &str) -> bool {
        self.undos.iter().any(|(_, step, _)| step == key)
    }

    fn answer(&self, key: &str, payload: i64, refused: bool) -> Effect<(String, i64)> {
        let answer = (key.to_owned(), payload);
        if refused {
            Effect::Refused(answer)
        } else {
            Effect::Applied(answer)
        }
    }

    fn step(&self, key: &str, payload: i64, refused: bool) -> Reply<(String, i64)> {
        if self.is_undone(key) {
            return Reply::Undone;
        }
        if self.undos.iter().any(|undo| undo.0 == key) {
            return Reply::Mismatch;
        }
        match self.steps.iter().find(|step| step.0 == key) {
            Some(seen) if seen.1 != payload => Reply::Mismatch,
            Some(seen) => Reply::Replayed(self.answer(key, seen.1, seen.2)),
            None => Reply::Fresh(self.answer(key, payload, refused)),
        }
    }

    fn undo(&self, key: &str, step: &str) -> UndoReply {
        if let Some(seen) = self.undos.iter().find(|undo| undo.0 == key) {
            return match seen.1 == step {
                true => UndoReply::Replayed { undone: seen.2 },
                false => UndoReply::Mismatch,
            };
        }
        let is_step = self.steps.iter().any(|seen| seen.0 == key) || self.is_undone(key);
        let of_undo = self.undos.iter().any(|undo| undo.0 == step);
        if key == step || is_step || of_undo {
            return UndoReply::Mismatch;
        }
        UndoReply::Fresh {
            undone: self.is_applied(step),
        }
    }

    fn is_applied(&self, key: &str) -> bool {
        let applied = self.steps.iter().any(|step| step.0 == key && !step.2);
        applied && !self.is_undone(key)
    }

    fn net(&self) -> usize {
        let applied = self.steps.iter().filter(|step| self.is_applied(&step.0));
        applied.count()
    }
}

static ACTION: Ledger = Ledger::new("action");

/// Runs it on the file and in the model; they have to agree.
fn turn(db: &mut Connection, model: &mut Model, what: &What, end: End) {
    let fails = end == End::Fail;
    let failure = || LedgerError::from(rusqlite::Error::InvalidQuery);
    let mut tx = begin(db);
    let mut committed = Model::default();
    match what {
        What::Step {
            key,
            payload,
            refused,
        } => {
            let (key, payload, refused) = (key.to_string(), *payload, *refused);
            let reply = ACTION.apply(&mut tx, &key, &payload, |db| {
                write(db, &key, payload)?;
                let answer = (key.clone(), payload);
                match (fails, refused) {
                    (true, _) => Err(failure()),
                    (_, true) => Ok(Effect::Refused(answer)),
                    (_, false) => Ok(Effect::Applied(answer)),
                }
            });
            let expected = model.step(&key, payload, refused);
            if fails && matches!(expected, Reply::Fresh(_)) {
                assert!(reply.is_err());
            } else {
                assert_eq!(reply.unwrap(), expected);
                if matches!(expected, Reply::Fresh(_)) {
                    committed.steps.push((key, payload, refused));
                }
            }
        }
        What::Undo { key, step } => {
            let mut called = false;
            let reply = ACTION.undo(&mut tx, key, step, |db| {
                called = true;
                super::erase(db, step)?;
                if fails { Err(failure()) } else { Ok(()) }
            });
            let expected = model.undo(key, step);
            assert_eq!(called, expected == UndoReply::Fresh { undone: true });
            if called && fails {
                assert!(reply.is_err());
            } else {
                assert_eq!(reply.unwrap(), expected);
                if let UndoReply::Fresh { undone } = expected {
                    committed.undos.push((key.clone(), step.clone(), undone));
                }
            }
        }
    }
    if end == End::Crash {
        return drop(tx);
    }
    tx.commit().unwrap();
    model.steps.extend(committed.steps);
    model.undos.extend(committed.undos);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_ledger_answers_like_a_memory_of_everything(
        turns in prop::collection::vec((what(), end()), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(&folder);
        let mut model = Model::default();
        for (what, end) in &turns {
            turn(&mut db, &mut model, what, *end);
            prop_assert_eq!(effects(&db), model.net() as i64);
            if *end == End::Restart {
                drop(db);
                db = open(&folder);
            }
        }
    }
}
