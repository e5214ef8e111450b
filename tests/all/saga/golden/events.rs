//! Every event: read, written back, and as the format's document tells it.
use super::{golden, names, same};
use seawall::saga::journal::{Event, Row};
use std::collections::BTreeSet;

fn encode(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
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
