//! What requests cost in SQLite's own steps: the same, however much the file holds of what they are
//! not about. A query that comes to look through a table, for lack of an index or of its condition,
//! is noticed here.
use super::ask::Op;
use super::db::{Db, Fail};
use super::*;
use crate::saga::journal::Row;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const UID: [u8; 16] = [7; 16];
const NOW: i64 = 1_000_000;

fn row(seq: u32) -> Row {
    Row::encode(&UID, seq, 1, 1, &[]).unwrap()
}

fn new_saga(key: impl ToString, next: Next) -> NewSaga {
    NewSaga {
        name: "order".into(),
        key: key.to_string(),
        version: 1,
        uid: UID,
        row: row(0),
        next,
        owner: Owner(1),
    }
}

fn append(id: i64, seq: u32, next: Next) -> Append {
    Append {
        id: SagaId(id),
        row: row(seq),
        next,
        consumed: Vec::new(),
        letters: Vec::new(),
        new_run: false,
        clear_crashes: false,
    }
}

fn letter(key: impl ToString, id: impl ToString) -> Letter {
    Letter {
        saga: "order".into(),
        key: key.to_string(),
        id: id.to_string(),
        name: "paid".into(),
        body: "1".into(),
        at: NOW,
    }
}

fn leave(due: Option<i64>) -> Next {
    let status = Status::Waiting;
    Next::Leave { status, due }
}

/// A file with `n` sagas of each kind: running, waiting for a time and for a signal, with mail, due,
/// parked, ended, and one whose journal has `n` rows and which has read `n` letters.
fn fill(db: &mut Db<'_>, n: usize) {
    let filled = db.alone(|db| {
        // Kind by kind, so that whoever walks meets many of the wrong one first.
        let reason = String::from("transient: down");
        let status = Status::Finished;
        let nexts = [
            ("running", Next::Keep),
            ("later", leave(Some(NOW + 1000))),
            ("signal", leave(None)),
            ("ended", Next::End { status }),
            ("due", leave(Some(5))),
            ("stuck", Next::Park { reason }),
        ];
        for (key, next) in nexts {
            for i in 0..n {
                new_saga(format!("{key}-{i}"), next.clone()).write(db)?;
            }
        }
        for i in 0..n {
            db.put(&letter(format!("running-{i}"), 1))?;
            db.put(&letter(format!("nobody-{i}"), 1))?;
        }
        new_saga("long", Next::Keep).write(db)?;
        let long = db.find("order", "long")?.unwrap().0.0;
        for seq in 1..=u32::try_from(n).unwrap() {
            db.put(&letter("long", seq))?;
            let mut append = append(long, seq, Next::Keep);
            append.consumed.push(db.tally.last_letter);
            append.write(db)?;
        }
        Ok(())
    });
    assert!(matches!(filled, Ok(Ok(()))));
}

/// Each kind of request, with its steps, in a file with `n` of everything.
fn steps(n: usize) -> Vec<(&'static str, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open::open(&folder.path().join("sagas.db"), false).unwrap();
    let counted = Arc::new(AtomicUsize::new(0));
    let count = counted.clone();
    let step = move || {
        count.fetch_add(1, SeqCst);
        false
    };
    opened.conn.progress_handler(1, Some(step)).unwrap();
    let mut db = Db::new(&opened.conn, opened.tally).unwrap();
    fill(&mut db, n);
    let mut seen = Vec::new();
    let mut request = |what, f: &mut dyn FnMut(&mut Db<'_>) -> Result<(), Fail>| {
        // The first time a statement is made, which takes steps of its own.
        for _ in 0..2 {
            counted.store(0, SeqCst);
            assert!(matches!(db.alone(&mut *f), Ok(Ok(()))), "{what}");
        }
        seen.push((what, counted.load(SeqCst)));
    };
    let id = |db: &mut Db<'_>, key: &str| -> Result<i64, Fail> {
        Ok(db.find("order", key)?.unwrap().0.0)
    };

    let mut key = 0;
    let mut next_key = move || {
        key += 1;
        format!("new-{key}")
    };
    request("create", &mut |db| {
        new_saga(next_key(), Next::Keep).write(db).map(drop)
    });
    request("create one that exists", &mut |db| {
        new_saga("running-1", Next::Keep).write(db).map(drop)
    });
    let mut seq = u32::try_from(n).unwrap();
    request("append to a long journal", &mut |db| {
        let long = id(db, "long")?;
        seq += 1;
        append(long, seq, Next::Keep).write(db)
    });
    request("append without the head", &mut |db| {
        let long = id(db, "long")?;
        db.heads.forget_all();
        seq += 1;
        append(long, seq, Next::Keep).write(db)
    });
    let mut running = 1;
    request("leave", &mut |db| {
        running += 1;
        let id = id(db, &format!("running-{running}"))?;
        append(id, 1, leave(Some(NOW + 500))).write(db)
    });
    request("end", &mut |db| {
        running += 1;
        let id = id(db, &format!("running-{running}"))?;
        let status = Status::Finished;
        append(id, 1, Next::End { status }).write(db)
    });
    request("claim", &mut |db| {
        let mut claim = Claim {
            owner: Owner(1),
            now: NOW,
            limit: 4,
            except: vec!["other".into()],
        };
        let taken = claim.write(db)?;
        assert_eq!(claim.read(db, taken)?.sagas.len(), 4);
        Ok(())
    });
    request("a signal", &mut |db| {
        running += 1;
        db.post(&letter("signal-3", running)).map(drop)
    });
    request("a signal to one that has taken many", &mut |db| {
        running += 1;
        db.post(&letter("long", format!("new-{running}"))).map(drop)
    });
    request("a signal that is there", &mut |db| {
        db.post(&letter("running-1", 1)).map(drop)
    });
    request("the inbox", &mut |db| {
        let id = id(db, "running-1")?;
        assert_eq!(db.inbox(SagaId(id))?.len(), 1);
        Ok(())
    });
    request("release one", &mut |db| {
        let id = id(db, "running-9")?;
        db.release(Owner(1), Some(SagaId(id)))
    });
    request("load", &mut |db| {
        let id = id(db, "ended-9")?;
        db.load(SagaId(id), true).map(drop)
    });
    request("counts", &mut |db| db.counts().map(drop));
    let page = |statuses: &[Status], after| Query {
        statuses: statuses.to_vec(),
        after: Some(SagaId(after)),
        ..Query::new(5)
    };
    request("a page of the stuck", &mut |db| {
        let query = page(&[Status::Stuck], 0);
        assert_eq!(db.slice(&query, Some(Status::Stuck))?.found.len(), 5);
        Ok(())
    });
    request("a page of all", &mut |db| {
        let after = id(db, "stuck-20")?;
        assert_eq!(db.slice(&page(&[], after), None)?.found.len(), 5);
        Ok(())
    });
    request("by key", &mut |db| {
        let found = db.with_key(&page(&[], 0), "order", "stuck-20")?;
        assert!(!found.unwrap().is_empty());
        Ok(())
    });
    let expired = |ended_before, keep_at_most| Expired {
        ended_before,
        keep_at_most,
        limit: 3,
    };
    request("look for ended sagas", &mut |db| {
        assert_eq!(db.delete(&expired(0, None))?.0, 0);
        Ok(())
    });
    request("delete ended sagas", &mut |db| {
        assert_eq!(db.delete(&expired(NOW, None))?.0, 3);
        Ok(())
    });
    seen
}

/// Where a saga is found by the beginning of its key, `stuck-20` begins other keys as well.
#[test]
fn a_request_takes_as_many_steps_in_a_file_that_holds_sixteen_times_as_much() {
    let (few, many) = (steps(40), steps(16 * 40));
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        let more = if what == "by key" { 10 * few } else { few };
        assert!(few > 0 && many <= more, "{what}: {few} steps, then {many}");
    }
}
