//! A participant's ledger on real SQLite files.
mod model;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use seawall::saga::Ledger;
use seawall::saga::ledger::{Effect, LedgerError, Reply, UndoReply};
use serde_json::value::RawValue;
use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

type Done<T = ()> = Result<T, LedgerError>;

fn open(folder: &TempDir) -> Connection {
    let db = Connection::open(folder.path().join("participant.db")).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    // These tests cut no power, and there are many commits in them.
    db.pragma_update(None, "synchronous", "off").unwrap();
    Ledger::create_tables(&db).unwrap();
    db.execute_batch("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, n INTEGER)")
        .unwrap();
    db
}

fn begin(db: &mut Connection) -> Transaction<'_> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap()
}

/// An effect that refuses to be applied twice.
fn write(db: &Connection, key: &str, n: i64) -> rusqlite::Result<usize> {
    db.execute("INSERT INTO effects VALUES (?1, ?2)", (key, n))
}

fn erase(db: &Connection, key: &str) -> Done {
    let erased = db.execute("DELETE FROM effects WHERE key = ?1", [key])?;
    assert_eq!(erased, 1, "undone, but not applied");
    Ok(())
}

fn effects(db: &Connection) -> i64 {
    db.query_row("SELECT count(*) FROM effects", [], |row| row.get(0))
        .unwrap()
}

fn apply(db: &mut Connection, ledger: &Ledger, key: &str, n: i64) -> Done<Reply<i64>> {
    let mut tx = begin(db);
    let reply = ledger.apply(&mut tx, key, &n, |db| {
        write(db, key, n)?;
        Ok::<_, LedgerError>(Effect::Applied(n * 10))
    })?;
    tx.commit()?;
    Ok(reply)
}

fn undo(db: &mut Connection, ledger: &Ledger, key: &str, step: &str) -> Done<UndoReply> {
    let mut tx = begin(db);
    let reply = ledger.undo(&mut tx, key, step, |db| erase(db, step))?;
    tx.commit()?;
    Ok(reply)
}

static CHARGE: Ledger = Ledger::new("charge");

const UNDONE: UndoReply = UndoReply::Fresh { undone: true };
const NOTHING: UndoReply = UndoReply::Fresh { undone: false };

#[test]
fn a_key_tells_what_it_has_come_to_and_looking_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let seen = |db: &Connection, key| CHARGE.seen::<i64>(db, key).unwrap();
    assert_eq!(seen(&db, "k"), None);
    assert_eq!(
        apply(&mut db, &CHARGE, "k", 7).unwrap(),
        Reply::Fresh(Effect::Applied(70))
    );
    assert_eq!(seen(&db, "k"), Some(Reply::Replayed(Effect::Applied(70))));
    assert_eq!(undo(&mut db, &CHARGE, "k/undo", "k").unwrap(), UNDONE);
    assert_eq!(seen(&db, "k"), Some(Reply::Undone));
    assert_eq!(seen(&db, "k/undo"), Some(Reply::Mismatch));
    let mut tx = begin(&mut db);
    let refused = CHARGE.apply(&mut tx, "no", &7, |_| {
        Ok::<_, LedgerError>(Effect::Refused(-1))
    });
    assert_eq!(refused.unwrap(), Reply::Fresh(Effect::Refused(-1)));
    tx.commit().unwrap();
    assert_eq!(seen(&db, "no"), Some(Reply::Replayed(Effect::Refused(-1))));
    let other = Ledger::new("reserve").seen::<i64>(&db, "no").unwrap();
    assert_eq!(other, None);
    assert!(CHARGE.seen::<i64>(&db, "").is_err());
}

#[test]
fn a_refused_effect_writes_nothing_and_is_refused_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    for asked in 0..2 {
        let mut tx = begin(&mut db);
        let reply = CHARGE
            .apply(&mut tx, "k", &7, |db| {
                assert_eq!(asked, 0, "asked again");
                write(db, "k", 7)?;
                Ok::<_, LedgerError>(Effect::Refused("no card".to_owned()))
            })
            .unwrap();
        let no = Effect::Refused("no card".to_owned());
        let expected = [Reply::Fresh(no.clone()), Reply::Replayed(no)];
        assert_eq!(reply, expected[asked]);
        tx.commit().unwrap();
        assert_eq!(effects(&db), 0);
    }
    // Nothing was applied, so there is nothing to undo; `erase` would object.
    assert_eq!(undo(&mut db, &CHARGE, "k/undo", "k").unwrap(), NOTHING);
    assert_eq!(apply(&mut db, &CHARGE, "k", 7).unwrap(), Reply::Undone);
}

#[test]
fn an_effect_that_fails_leaves_nothing_even_if_the_transaction_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let mut tx = begin(&mut db);
    let failed = CHARGE.apply::<i64, LedgerError>(&mut tx, "k", &7, |db| {
        write(db, "k", 7)?;
        Err(rusqlite::Error::InvalidQuery.into())
    });
    assert!(matches!(failed, Err(LedgerError::Sqlite(_))));
    tx.commit().unwrap();
    assert_eq!(effects(&db), 0);
    // The key is free: the call may come again.
    let fresh = Reply::Fresh(Effect::Applied(70));
    assert_eq!(apply(&mut db, &CHARGE, "k", 7).unwrap(), fresh);

    let mut tx = begin(&mut db);
    let failed = CHARGE.undo::<LedgerError>(&mut tx, "k/undo", "k", |db| {
        erase(db, "k")?;
        Err(rusqlite::Error::InvalidQuery.into())
    });
    assert!(failed.is_err());
    tx.commit().unwrap();
    assert_eq!(effects(&db), 1);
    // An undo that failed is no tombstone: the step is still what it was.
    let replayed = Reply::Replayed(Effect::Applied(70));
    assert_eq!(apply(&mut db, &CHARGE, "k", 7).unwrap(), replayed);
    assert_eq!(undo(&mut db, &CHARGE, "k/undo", "k").unwrap(), UNDONE);
}

/// SQLite takes a whole transaction back by itself, where a disk is full say. An effect that passed over
/// that error went on outside of any transaction, and so did the ledger: the key was kept for good, and
/// the effect was not.
#[test]
fn an_effect_that_passes_over_the_end_of_its_transaction_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let lost = |db: &Connection| {
        write(db, "k", 1).unwrap();
        let sql = "INSERT OR ROLLBACK INTO effects VALUES ('k', 2)";
        db.execute(sql, []).unwrap_err();
    };
    let told = |error: LedgerError| {
        let why = error.source().unwrap().to_string();
        assert!(
            why.contains("the effect has ended its transaction"),
            "{why}"
        );
    };
    let mut tx = begin(&mut db);
    let applied = CHARGE.apply(&mut tx, "k", &1, |db| {
        lost(db);
        Ok::<_, LedgerError>(Effect::Applied(10))
    });
    drop(tx);
    assert_eq!(
        (CHARGE.seen::<i64>(&db, "k").unwrap(), effects(&db)),
        (None, 0)
    );
    told(applied.unwrap_err());
    // The call comes again.
    let again = apply(&mut db, &CHARGE, "k", 1).unwrap();
    assert_eq!(again, Reply::Fresh(Effect::Applied(10)));

    let mut tx = begin(&mut db);
    let undone = CHARGE.undo(&mut tx, "k/undo", "k", |db| {
        erase(db, "k")?;
        lost(db);
        Ok::<_, LedgerError>(())
    });
    drop(tx);
    assert_eq!(effects(&db), 1);
    told(undone.unwrap_err());
    assert_eq!(undo(&mut db, &CHARGE, "k/undo", "k").unwrap(), UNDONE);
    assert_eq!(effects(&db), 0);
}

#[test]
fn an_effect_that_panics_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut tx = begin(&mut db);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            CHARGE.apply::<(), LedgerError>(&mut tx, "k", &7, |db| {
                write(db, "k", 7)?;
                panic!("on purpose")
            })
        }));
        assert!(caught.is_err());
        // Whoever catches it and commits all the same commits nothing.
        tx.commit().unwrap();
    }));
    panicked.unwrap();
    assert_eq!(effects(&db), 0);
    let fresh = Reply::Fresh(Effect::Applied(70));
    assert_eq!(apply(&mut db, &CHARGE, "k", 7).unwrap(), fresh);
}

#[test]
fn the_key_of_an_undo_belongs_to_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    for key in ["a", "b"] {
        let _ = apply(&mut db, &CHARGE, key, 1).unwrap();
    }
    assert_eq!(undo(&mut db, &CHARGE, "a/undo", "a").unwrap(), UNDONE);
    let again = UndoReply::Replayed { undone: true };
    assert_eq!(undo(&mut db, &CHARGE, "a/undo", "a").unwrap(), again);
    // A good answer for any of these would leave `b` applied, or a step unable to be undone.
    for (key, step) in [("a/undo", "b"), ("b", "b"), ("b", "a"), ("x", "a/undo")] {
        let reply = undo(&mut db, &CHARGE, key, step).unwrap();
        assert_eq!(reply, UndoReply::Mismatch, "{key} undoes {step}");
    }
    let reply = apply(&mut db, &CHARGE, "a/undo", 1).unwrap();
    assert_eq!(reply, Reply::Mismatch);
    assert_eq!(effects(&db), 1);
    // A second undo of the same step, under another key, has nothing left to undo.
    assert_eq!(undo(&mut db, &CHARGE, "a/again", "a").unwrap(), NOTHING);
}

#[test]
fn one_key_under_two_actions_is_two_calls() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let mail = Ledger::new("mail");
    let mut tx = begin(&mut db);
    for ledger in [&CHARGE, &mail] {
        let reply = ledger
            .apply(&mut tx, "k", "x", |_| {
                Ok::<_, LedgerError>(Effect::Applied(()))
            })
            .unwrap();
        assert_eq!(reply, Reply::Fresh(Effect::Applied(())));
    }
    // A tombstone shuts the key for the action that was undone, and for no other.
    let undone = CHARGE.undo(&mut tx, "k/undo", "k", |_| Done::Ok(()));
    assert_eq!(undone.unwrap(), UNDONE);
    let mut again = |ledger: &Ledger| {
        ledger
            .apply(&mut tx, "k", "x", |_| {
                Ok::<_, LedgerError>(Effect::Applied(()))
            })
            .unwrap()
    };
    assert_eq!(again(&CHARGE), Reply::Undone);
    assert_eq!(again(&mail), Reply::Replayed(Effect::Applied(())));
}

#[test]
fn payloads_compare_as_values() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let mut send = |payload: &serde_json::value::RawValue| {
        let mut tx = begin(&mut db);
        let reply = CHARGE
            .apply(&mut tx, "k", payload, |_| {
                Ok::<_, LedgerError>(Effect::Applied(()))
            })
            .unwrap();
        tx.commit().unwrap();
        reply
    };
    let json = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    assert_eq!(
        send(&json(r#"{"a":1,"b":2}"#)),
        Reply::Fresh(Effect::Applied(()))
    );
    let same = Reply::Replayed(Effect::Applied(()));
    assert_eq!(send(&json(r#"{ "b": 2, "a": 1 }"#)), same);
    assert_eq!(send(&json(r#"{"a":1,"b":3}"#)), Reply::Mismatch);
    assert_eq!(send(&json(r#"{"a":1}"#)), Reply::Mismatch);
}

/// Numbers beyond 64 bits were compared as floats, which have 53: another amount under the same key was
/// answered with what the first one had got.
#[test]
fn payloads_that_differ_in_the_last_digit_of_a_long_number_are_two_calls() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let mut pay = |key: &str, payload: &str| {
        let payload = RawValue::from_string(payload.to_owned()).unwrap();
        let mut tx = begin(&mut db);
        let reply = CHARGE.apply(&mut tx, key, &*payload, |_| {
            Ok::<_, LedgerError>(Effect::Applied(()))
        });
        tx.commit().unwrap();
        reply.unwrap()
    };
    let kept = r#"{"to":["a"],"wei":10000000000000000000001,"fee":1e16,"at":0.1}"#;
    assert_eq!(pay("k", kept), Reply::Fresh(Effect::Applied(())));
    let same = r#"{"fee":1e+16,"wei":10000000000000000000001, "to":["\u0061"],"at":0.10}"#;
    assert_eq!(pay("k", same), Reply::Replayed(Effect::Applied(())));
    for other in [
        r#"{"to":["a"],"wei":10000000000000000000002,"fee":1e16,"at":0.1}"#,
        r#"{"to":["a"],"wei":10000000000000000000001,"fee":1e16,"at":0.10000000000000002}"#,
        r#"{"to":["a","a"],"wei":10000000000000000000001,"fee":1e16,"at":0.1}"#,
        r#"{"to":["a"],"wei":10000000000000000000001,"fee":1e16}"#,
        r#"{"to":["a"],"wei":10000000000000000000001,"fee":1e16,"of":0.1}"#,
        "[]",
    ] {
        assert_eq!(pay("k", other), Reply::Mismatch, "{other}");
    }
    let deep = |leaf| format!("{}{leaf}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(pay("deep", &deep("1")), Reply::Fresh(Effect::Applied(())));
    assert_eq!(
        pay("deep", &deep("1")),
        Reply::Replayed(Effect::Applied(()))
    );
    assert_eq!(pay("deep", &deep("2")), Reply::Mismatch);
}

#[test]
fn wrong_names_are_told_by_field_value_and_range() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let long = "k".repeat(256);
    let told = |error: LedgerError| error.to_string();
    let shown = format!("\"{}\"…", "k".repeat(40));
    assert_eq!(
        told(apply(&mut db, &CHARGE, &long, 1).unwrap_err()),
        format!("key is {shown} (256 bytes), but has to be 1 to 255 bytes long")
    );
    assert_eq!(
        told(undo(&mut db, &CHARGE, "k", "").unwrap_err()),
        "step is \"\" (0 bytes), but has to be 1 to 255 bytes long"
    );
    assert_eq!(
        told(apply(&mut db, &Ledger::new(""), "k", 1).unwrap_err()),
        "action is \"\" (0 bytes), but has to be 1 to 255 bytes long"
    );
    assert_eq!(effects(&db), 0);
}

#[test]
fn a_newer_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let _ = apply(&mut db, &CHARGE, "k", 1).unwrap();
    // What this release makes, it takes again, with all that is in it.
    Ledger::create_tables(&db).unwrap();
    let replayed = Reply::Replayed(Effect::Applied(10));
    assert_eq!(apply(&mut db, &CHARGE, "k", 1).unwrap(), replayed);

    db.execute_batch("UPDATE seawall_ledger_version SET version = 2; DROP TABLE seawall_ledger")
        .unwrap();
    let error = Ledger::create_tables(&db).unwrap_err();
    assert!(matches!(
        error,
        LedgerError::NewerSchema {
            found: 2,
            known: 1,
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "the ledger's tables are of version 2, and this release knows versions up to 1; \
         run the newer release on this file"
    );
    let made = db.prepare("SELECT 1 FROM seawall_ledger");
    assert!(made.is_err(), "it wrote into a newer file");
}

#[test]
fn a_row_that_cannot_be_read_harms_no_other_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    for key in ["a", "b", "c"] {
        let _ = apply(&mut db, &CHARGE, key, 1).unwrap();
    }
    db.execute_batch(
        "UPDATE seawall_ledger SET answer = '{' WHERE key = 'a';
         UPDATE seawall_ledger SET state = 'lost' WHERE key = 'b'",
    )
    .unwrap();
    let error = apply(&mut db, &CHARGE, "a", 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer that `seawall_ledger` keeps for key `a` of action `charge` cannot be read; \
         run the release that wrote it, or mend the row by hand"
    );
    assert!(error.source().is_some());
    let error = apply(&mut db, &CHARGE, "b", 1).unwrap_err();
    assert!(matches!(
        error,
        LedgerError::Unreadable { what: "state", .. }
    ));
    let replayed = Reply::Replayed(Effect::Applied(10));
    assert_eq!(apply(&mut db, &CHARGE, "c", 1).unwrap(), replayed);
    // An answer that nobody can read any more does not stand in the way of the undo.
    assert_eq!(undo(&mut db, &CHARGE, "a/undo", "a").unwrap(), UNDONE);
}

#[test]
fn keys_older_than_a_time_are_forgotten_in_batches_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = open(&folder);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    for seconds in 1..=5 {
        let ledger = Ledger::new("charge").clock(move || at(seconds));
        let _ = apply(&mut db, &ledger, &format!("k{seconds}"), 1).unwrap();
    }
    let forget = |time: SystemTime, limit| {
        let gone = Ledger::forget_before(&db, time, limit).unwrap();
        let sql = "SELECT group_concat(key, ' ' ORDER BY key) FROM seawall_ledger";
        let left: String = db.query_row(sql, [], |row| row.get(0)).unwrap();
        (gone, left)
    };
    assert_eq!(forget(at(4), 2), (2, "k3 k4 k5".to_owned()));
    // What was kept at the very time is not before it.
    assert_eq!(forget(at(4), 2), (1, "k4 k5".to_owned()));
    assert_eq!(forget(at(4), 2), (0, "k4 k5".to_owned()));
    // An undo keeps its step's key from the moment of the undo, however old the step is.
    let later = Ledger::new("charge").clock(move || at(9));
    assert_eq!(undo(&mut db, &later, "k4/undo", "k4").unwrap(), UNDONE);
    assert_eq!(Ledger::forget_before(&db, at(9), 10).unwrap(), 1);
    assert_eq!(apply(&mut db, &later, "k4", 1).unwrap(), Reply::Undone);
}
