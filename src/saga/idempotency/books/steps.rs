//! What a request costs in SQLite's own steps: the same, however many keys are kept.
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

fn call(key: String, step: Option<String>) -> Call {
    Call {
        caller: "a".into(),
        key,
        method: "POST".into(),
        path: "/charges".into(),
        payload: b"1".to_vec(),
        step,
    }
}

/// Each kind of question with its steps, where `n` answers, `n` running calls and `n` tombstones are
/// kept.
fn steps(n: usize) -> Vec<(&'static str, usize)> {
    let mut db = Connection::open_in_memory().unwrap();
    let counted = Arc::new(AtomicUsize::new(0));
    let count = counted.clone();
    let step = move || {
        count.fetch_add(1, SeqCst);
        false
    };
    db.progress_handler(1, Some(step)).unwrap();
    db.execute_batch(TABLES).unwrap();
    let desk = |now_ms, live| Desk {
        owner: 7,
        now_ms,
        lease_ms: 1_000_000,
        live,
    };
    let answer = Answer {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
    };
    let live = HashSet::new();
    let early = desk(1, &live);
    for i in 0..n {
        early.begin(&db, &call(format!("runs-{i}"), None)).unwrap();
        let Begun::Run(id) = early.begin(&db, &call(format!("kept-{i}"), None)).unwrap() else {
            panic!("it is new");
        };
        early.settle(&db, id, &answer).unwrap();
        let (undo, step) = (format!("never-{i}/undo"), format!("never-{i}"));
        early.begin(&db, &call(undo, Some(step))).unwrap();
    }
    let desk = desk(2, &live);
    let mut seen = Vec::new();
    let mut ask = |what, f: &mut dyn FnMut()| {
        // The first time a statement is made, which takes steps of its own.
        for _ in 0..2 {
            counted.store(0, SeqCst);
            f();
        }
        seen.push((what, counted.load(SeqCst)));
    };
    let mut number = 0;
    let mut id = 0;
    ask("a new key", &mut || {
        number += 1;
        match desk.begin(&db, &call(format!("new-{number}"), None)) {
            Ok(Begun::Run(new)) => id = new,
            other => panic!("{other:?}"),
        }
    });
    ask("its answer", &mut || desk.settle(&db, id, &answer).unwrap());
    ask("a key that was answered", &mut || {
        let begun = desk.begin(&db, &call("kept-7".into(), None));
        assert!(matches!(begun, Ok(Begun::Kept(_))));
    });
    ask("a key that is running", &mut || {
        let begun = desk.begin(&db, &call("runs-7".into(), None));
        assert!(matches!(begun, Ok(Begun::Running(_))));
    });
    ask("a key whose undo came first", &mut || {
        let begun = desk.begin(&db, &call("never-7".into(), None));
        assert!(matches!(begun, Ok(Begun::Undone)));
    });
    ask("an undo", &mut || {
        number += 1;
        let (undo, step) = (format!("no-{number}/undo"), format!("no-{number}"));
        let begun = desk.begin(&db, &call(undo, Some(step)));
        assert!(matches!(begun, Ok(Begun::Nothing)));
    });
    ask("looking for what is to be forgotten", &mut || {
        desk.forget(&db, 1_000).unwrap();
    });
    seen
}

#[test]
fn a_question_takes_as_many_steps_where_sixteen_times_as_many_keys_are_kept() {
    for ((what, few), (_, many)) in steps(20).into_iter().zip(steps(320)) {
        assert!(few > 0 && many <= few, "{what}: {few} steps, then {many}");
    }
}
