//! Every event, with and without every optional field, as the golden files have it. Here, because nobody
//! but the crate can make events.
//!
//! `SEAWALL_WRITE_GOLDEN=1` writes the files anew: a change of one that was released is a change of the
//! format.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::{Event, Parent, Raw, Settlement, StuckKind};
use std::{fs, path::Path};

fn raw(json: &str) -> Raw {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn started(deadline: Option<i64>, parent: Option<Parent>, first_op: u32) -> Event {
    Event::Started {
        v: 1,
        version: if first_op == 0 { 1 } else { 3 },
        input: raw(r#"{"order":42,"note":"two \"words\", ½"}"#),
        deadline,
        parent,
        first_op,
    }
}

fn retry(tainted: bool, refused_by: Option<&str>, undo: bool, left: bool) -> Event {
    Event::Retry {
        op: 4,
        attempt: 2,
        not_before: 1_700_000_060_000,
        error: text("connection reset"),
        tainted,
        refused_by: refused_by.map(text),
        undo,
        left,
    }
}

fn stuck(kind: StuckKind, op: Option<u32>) -> Event {
    let why = text("step `charge` failed after the pivot: no");
    Event::Stuck { why, kind, op }
}

fn settled(verdict: Settlement) -> Event {
    Event::Settled {
        op: 1,
        verdict,
        by: text("ann"),
        note: text("asked the bank"),
    }
}

/// Of each event the shortest, the longest, and whatever else can be.
fn samples() -> Vec<(&'static str, Vec<Event>)> {
    let (by, note) = (|| text("ann"), || text("called the customer"));
    let parent = Parent {
        saga: text("trip"),
        key: text("trip-7"),
        op: 2,
    };
    let step = |pivot| Event::Step {
        op: 0,
        name: text("charge"),
        cmd: raw("[\"sku\",2]"),
        pivot,
    };
    let done = |attempt| Event::Done {
        op: 0,
        out: raw("null"),
        attempt,
    };
    let failed = |clean, attempt| Event::Failed {
        op: 0,
        clean,
        error: text("no: out of stock"),
        attempt,
    };
    let wait = |until| Event::Wait {
        op: 3,
        name: text("payment.completed"),
        until,
    };
    let abort = |by: Option<String>, note: Option<String>| Event::Abort {
        reason: text("step `charge` was refused: no"),
        by,
        note,
    };
    let compensated = |exceptions| Event::Compensated {
        reason: text("cancelled by ann: called the customer"),
        exceptions,
    };
    let kinds = [
        StuckKind::Code,
        StuckKind::Forward,
        StuckKind::Backward,
        StuckKind::Unknown,
        StuckKind::Saga,
        StuckKind::Crashes,
        StuckKind::Damage,
    ];
    let mut stuck_all: Vec<_> = kinds.into_iter().map(|kind| stuck(kind, None)).collect();
    stuck_all.push(stuck(StuckKind::Forward, Some(0)));
    vec![
        (
            "started",
            vec![
                started(None, None, 0),
                started(Some(1_700_000_100_000), None, 0),
                started(None, Some(parent.clone()), 0),
                started(None, None, 12),
                started(Some(1_700_000_100_000), Some(parent), 12),
            ],
        ),
        ("step", vec![step(false), step(true)]),
        ("done", vec![done(1), done(3)]),
        (
            "failed",
            vec![failed(true, 1), failed(false, 3), failed(true, 0)],
        ),
        (
            "timer",
            vec![Event::Timer {
                op: 2,
                at: 1_700_000_000_001,
            }],
        ),
        ("fired", vec![Event::Fired { op: 2 }]),
        ("wait", vec![wait(None), wait(Some(1_700_000_000_001))]),
        (
            "signal",
            vec![Event::Signal {
                id: text("m-1"),
                name: text("payment.completed"),
                body: raw(r#"{"cents":1999}"#),
            }],
        ),
        ("timed_out", vec![Event::TimedOut { op: 3 }]),
        ("unwait", vec![Event::Unwait { op: 3 }]),
        (
            "patch",
            vec![Event::Patch {
                op: 5,
                name: text("check fraud"),
            }],
        ),
        (
            "retry",
            vec![
                retry(false, None, false, false),
                retry(true, None, false, false),
                retry(false, Some("payments"), false, false),
                retry(false, None, true, false),
                retry(false, None, false, true),
                retry(true, Some("payments"), true, true),
            ],
        ),
        (
            "child",
            vec![Event::Child {
                op: 6,
                name: text("ship_parcel"),
                saga: text("ship"),
                version: 2,
                key: text("000102030405060708090a0b0c0d0e0f/6"),
                cmd: raw("7"),
            }],
        ),
        ("undo_asked", vec![Event::UndoAsked { op: 7, target: 4 }]),
        ("undone", vec![Event::Undone { op: 4 }]),
        (
            "cancelled",
            vec![Event::Cancelled {
                by: by(),
                note: note(),
            }],
        ),
        (
            "abort",
            vec![abort(None, None), abort(Some(by()), Some(note()))],
        ),
        (
            "skipped",
            vec![Event::Skipped {
                op: 4,
                by: by(),
                note: note(),
            }],
        ),
        (
            "settled",
            vec![
                settled(Settlement::Done(raw("[1,2]"))),
                settled(Settlement::NotApplied),
                settled(Settlement::Undone),
            ],
        ),
        ("stuck", stuck_all),
        (
            "resumed",
            vec![Event::Resumed {
                by: by(),
                note: note(),
            }],
        ),
        (
            "forced",
            vec![Event::Forced {
                by: by(),
                note: note(),
            }],
        ),
        (
            "finished",
            vec![Event::Finished {
                out: raw("\"done\""),
            }],
        ),
        ("continued", vec![Event::Continued {}]),
        (
            "compensated",
            vec![compensated(vec![]), compensated(vec![0, 4])],
        ),
    ]
}

#[test]
fn s34_every_event_is_written_as_its_golden_file_has_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal/events");
    for (name, events) in samples() {
        let lines: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        let now = format!("[\n{}\n]\n", lines.join(",\n"));
        let file = folder.join(format!("{name}.json"));
        if std::env::var_os("SEAWALL_WRITE_GOLDEN").is_some() {
            fs::write(&file, &now).unwrap();
        }
        assert_eq!(now, fs::read_to_string(&file).unwrap(), "{name}");
    }
}
