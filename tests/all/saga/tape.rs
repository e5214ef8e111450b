//! What happened, in one order for all sides: every row that became durable, every call that a
//! participant got, every effect it had, every death of the process.
//!
//! Read by the [model](super::model), which knows nothing of the engine's own fold.
use seawall::saga::{
    Status,
    journal::{Event, Row},
};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// 128 bits as hex: what the step keys of a saga begin with.
pub type Uid = String;

#[derive(Clone, Debug)]
pub enum Entry {
    /// A row is durable.
    Row {
        uid: Uid,
        at: i64,
        events: Vec<Event>,
        status: Status,
    },
    /// A participant is called.
    Began {
        key: String,
        name: &'static str,
        attempt: u32,
        undo: bool,
    },
    /// The caller does not wait for it any more, and has this answer.
    Over {
        key: String,
        undo: bool,
        answer: Answer,
    },
    /// Asked, the participant said that it was not applied, nor will be.
    Denied { key: String },
    /// The effect is there, for the first time.
    Applied { key: String },
    /// The effect is gone, or will never be there; for the first time.
    Undone { key: String },
    /// The process has died.
    Died,
    /// The engine has stopped as it should, and is gone.
    Drained,
}

/// What the caller of an action knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Certainly not applied by this call.
    Clean,
    /// Nothing, or what may mean anything.
    None,
}

/// Entries, each with its time on the clock of the journal.
pub struct Tape {
    begin: Instant,
    pub entries: Vec<(i64, Entry)>,
}

/// Where the clock of [`world`](super::world::clock) begins.
const BEGIN: i64 = 1_700_000_000_000;

impl Default for Tape {
    fn default() -> Self {
        Tape {
            begin: Instant::now(),
            entries: Vec::new(),
        }
    }
}

impl Tape {
    pub fn push(&mut self, entry: Entry) {
        let ms = i64::try_from(self.begin.elapsed().as_millis()).unwrap();
        self.entries.push((BEGIN + ms, entry));
    }

    /// One entry a line, for who reads a failed test.
    pub fn text(&self) -> String {
        let line = |(at, entry): &(i64, Entry)| {
            let at = at - BEGIN;
            match entry {
                Entry::Row {
                    uid,
                    events,
                    status,
                    ..
                } => {
                    let events = serde_json::to_string(events).unwrap();
                    format!("{at:>8} {} {status} {events}", &uid[..4])
                }
                other => format!("{at:>8} {other:?}"),
            }
        };
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Tape {
    /// The sleeps and waits of the first saga, as rows have them.
    pub fn asked(&self) -> BTreeSet<String> {
        let rows = self.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Row { uid, events, .. } => Some((uid, events)),
            _ => None,
        });
        let first = rows.clone().next().map(|(uid, _)| uid);
        let events = rows.filter(|(uid, _)| Some(*uid) == first);
        let events = events.flat_map(|(_, events)| events);
        let ops = events.filter_map(|event| match event {
            Event::Timer { op, .. } | Event::Wait { op, .. } => Some(format!("OpId({op})")),
            _ => None,
        });
        ops.collect()
    }

    /// How it begins, where it has no end.
    pub fn head(&self) -> String {
        let text = self.text();
        text.lines().take(40).collect::<Vec<_>>().join("\n")
    }
}

impl Entry {
    pub fn row(uid: &[u8; 16], row: &Row, status: Status) -> Entry {
        let events = row.decode(uid).unwrap();
        let uid = uid.iter().map(|byte| format!("{byte:02x}")).collect();
        let at = row.at;
        Entry::Row {
            uid,
            at,
            events,
            status,
        }
    }
}
