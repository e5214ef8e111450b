//! Every event, with and without every optional field.
use super::{golden, names, same};
use seawall::saga::journal::{Event, Parent, Raw, Row, Settlement, StuckKind};
use std::collections::BTreeSet;

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

fn encode(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
}

#[test]
fn s34_every_event_is_written_as_its_golden_file_has_it() {
    for (name, events) in samples() {
        let lines: Vec<_> = events.iter().map(encode).collect();
        let now = format!("[\n{}\n]\n", lines.join(",\n"));
        same(name, &now, &golden("events", name, &now));
    }
}

#[test]
fn s34_every_golden_event_is_read_and_written_back_byte_for_byte() {
    for name in names("events") {
        let file = golden("events", &name, "");
        let events: Vec<Event> = serde_json::from_str(&file).unwrap();
        let lines: Vec<_> = events.iter().map(encode).collect();
        same(&name, &format!("[\n{}\n]\n", lines.join(",\n")), &file);
        // The file is what a row's body may be.
        let mut row = Row::encode(&[7; 16], 3, 2, 1, &events).unwrap();
        assert_eq!(row.decode(&[7; 16]).unwrap().len(), events.len());
        row.body.pop();
        row.decode(&[7; 16]).unwrap_err();
        for line in &lines {
            assert!(line.starts_with(&format!("{{\"{name}\":{{")), "{line}");
        }
    }
}

/// Fields of an event, by the table of the format.
struct Fields {
    needed: BTreeSet<String>,
    optional: BTreeSet<String>,
}

/// The table of events in the format's document.
fn table() -> Vec<(String, Fields)> {
    let document = include_str!("../../../../docs/saga-format.md");
    let rows = document
        .lines()
        .skip_while(|line| !line.starts_with("| event |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let words = |text: &str| {
        let words = text.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (needed, optional) = cells[2].split_once('[').unwrap_or((cells[2], ""));
        let fields = Fields {
            needed: words(needed),
            optional: words(optional),
        };
        (cells[1].trim_matches('`').to_owned(), fields)
    })
    .collect()
}

#[test]
fn s34_the_table_of_the_format_has_every_event_and_every_field_and_which_may_be_missing() {
    let mut tags: Vec<_> = table().into_iter().map(|(tag, _)| tag).collect();
    tags.sort();
    assert_eq!(tags, names("events"));
    for (tag, Fields { needed, optional }) in table() {
        let file = golden("events", &tag, "");
        let events: Vec<serde_json::Value> = serde_json::from_str(&file).unwrap();
        let keys = |event: &serde_json::Value| -> BTreeSet<String> {
            event[&tag].as_object().unwrap().keys().cloned().collect()
        };
        let all = needed.union(&optional).cloned().collect();
        let samples: BTreeSet<_> = events.iter().map(keys).collect();
        assert!(
            samples.contains(&needed),
            "{tag}: none with {needed:?} alone"
        );
        assert!(samples.contains(&all), "{tag}: none with {all:?}");
        let full = events.iter().find(|event| keys(event) == all).unwrap();
        for field in &all {
            let mut less = full.clone();
            less[&tag].as_object_mut().unwrap().remove(field);
            let read = serde_json::from_str::<Event>(&less.to_string());
            assert_eq!(
                read.is_ok(),
                optional.contains(field),
                "{tag} without {field}"
            );
        }
    }
}

#[test]
fn an_unknown_event_is_never_passed_over() {
    let row = r#"[{"fired":{"op":1}},{"paused":{"op":2}}]"#;
    let why = serde_json::from_str::<Vec<Event>>(row)
        .unwrap_err()
        .to_string();
    assert!(why.contains("unknown variant `paused`"), "{why}");
}
