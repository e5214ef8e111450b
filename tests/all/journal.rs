//! Journal rows with anything in them: told as damage, never a panic (S36).
use proptest::prelude::*;
use proptest::sample::select;
use seawall::saga::journal::{Event, OpState, Row, View};

const UID: [u8; 16] = [9; 16];

/// CRC-32C bit by bit, as RFC 3720 has it, over what the format says.
fn checksum(row: &Row) -> u32 {
    let place = [
        UID.to_vec(),
        row.seq.to_le_bytes().to_vec(),
        row.epoch.to_le_bytes().to_vec(),
        row.at.to_le_bytes().to_vec(),
        row.body.clone(),
    ];
    !place.concat().iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    })
}

/// A row that passes its checksum, whatever is in it.
fn sealed(seq: u32, epoch: u32, at: i64, body: Vec<u8>) -> Row {
    let mut row = Row::kept(seq, epoch, at, 0, body);
    row.sum = checksum(&row);
    row
}

/// Numbers at the edges, and small ones that meet each other.
fn number() -> impl Strategy<Value = String> {
    let edges = select(vec![
        "4294967295",
        "4294967296",
        "-1",
        "1.5",
        "\"1\"",
        "null",
    ]);
    prop_oneof![12 => (0..4_u32).prop_map(|n| n.to_string()), 1 => edges.prop_map(str::to_owned)]
}

/// One event of any kind, mostly well formed, with operations that it may or may not fit.
fn event() -> impl Strategy<Value = String> {
    let kinds = vec![
        r#"{"started":{"v":1,"input":N,"first_op":N}}"#,
        r#"{"started":{"v":9,"version":N,"input":7,"deadline":N}}"#,
        r#"{"step":{"op":N,"name":"a","cmd":[1]}}"#,
        r#"{"step":{"op":N,"name":"p","cmd":{},"pivot":true}}"#,
        r#"{"done":{"op":N,"out":"x","attempt":N}}"#,
        r#"{"failed":{"op":N,"clean":false,"error":"no"}}"#,
        r#"{"failed":{"op":N,"clean":true,"error":"no"}}"#,
        r#"{"timer":{"op":N,"at":9223372036854775807}}"#,
        r#"{"fired":{"op":N}}"#,
        r#"{"wait":{"op":N,"name":"w","until":N}}"#,
        r#"{"signal":{"id":"i","name":"w","body":N}}"#,
        r#"{"timed_out":{"op":N}}"#,
        r#"{"unwait":{"op":N}}"#,
        r#"{"patch":{"op":N,"name":"q"}}"#,
        r#"{"retry":{"op":N,"attempt":N,"not_before":N,"error":"e","undo":true}}"#,
        r#"{"retry":{"op":N,"attempt":4294967295,"not_before":0,"error":"e","left":true}}"#,
        r#"{"child":{"op":N,"name":"c","saga":"t","version":1,"key":"k","cmd":1}}"#,
        r#"{"undo_asked":{"op":N,"target":N}}"#,
        r#"{"undone":{"op":N}}"#,
        r#"{"cancelled":{"by":"b","note":"n"}}"#,
        r#"{"abort":{"reason":"r"}}"#,
        r#"{"skipped":{"op":N,"by":"b","note":"n"}}"#,
        r#"{"settled":{"op":N,"verdict":{"done":N},"by":"b","note":"n"}}"#,
        r#"{"settled":{"op":N,"verdict":"undone","by":"b","note":"n"}}"#,
        r#"{"stuck":{"why":"w","kind":"forward","op":N}}"#,
        r#"{"resumed":{"by":"b","note":"n"}}"#,
        r#"{"forced":{"by":"b","note":"n"}}"#,
        r#"{"finished":{"out":N}}"#,
        r#"{"continued":{}}"#,
        r#"{"compensated":{"reason":"r","exceptions":[N,N]}}"#,
        r#"{"later":{"op":N}}"#,
        r#"{"step":{"op":N}}"#,
        r#""done""#,
    ];
    (select(kinds), number(), number()).prop_map(|(kind, one, two)| {
        let text = kind.replacen('N', &one, 1);
        text.replace('N', &two)
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..4_u32, any::<i64>(), prop::collection::vec(event(), 0..4));
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        let sealed = rows.into_iter().zip(0..).map(|((epoch, at, events), seq)| {
            sealed(seq, epoch, at, format!("[{}]", events.join(",")).into())
        });
        sealed.collect()
    })
}

/// What is left to undo, by its definition.
fn to_undo(view: &View) -> Vec<u32> {
    let left = view.ops.iter().filter(|(_, op)| match op.state {
        OpState::Intent | OpState::Done(_) | OpState::Unknown => true,
        OpState::Clean | OpState::Undone | OpState::Skipped => false,
        _ => unreachable!("a state that this test does not know"),
    });
    let mut left: Vec<_> = left.map(|(number, op)| (op.settled, *number)).collect();
    left.sort_unstable();
    left.into_iter().rev().map(|(_, op)| op).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_events_or_damage(
        seq: u32, epoch: u32, at: i64, sum: u32, body: Vec<u8>, seal: bool,
    ) {
        let mut row = sealed(seq, epoch, at, body);
        if !seal {
            row.sum = sum;
        }
        if let Err(damage) = row.decode(&UID) {
            prop_assert_eq!(damage.seq, seq);
            prop_assert!(!damage.why.is_empty());
        }
    }

    #[test]
    fn any_one_changed_bit_is_damage(events in prop::collection::vec(event(), 1..4), bit: prop::sample::Index) {
        let text = format!("[{}]", events.join(","));
        let Ok(events) = serde_json::from_str::<Vec<Event>>(&text) else { return Ok(()) };
        let row = Row::encode(&UID, 3, 4, 5, &events).unwrap();
        prop_assert_eq!(row.sum, checksum(&row));
        let mut changed = row.clone();
        match bit.index(row.body.len() * 8 + 160) {
            n @ 0..32 => changed.seq ^= 1 << n,
            n @ 32..64 => changed.epoch ^= 1 << (n - 32),
            n @ 64..128 => changed.at ^= 1 << (n - 64),
            n @ 128..160 => changed.sum ^= 1 << (n - 128),
            n => changed.body[(n - 160) / 8] ^= 1 << (n % 8),
        }
        prop_assert!(row.decode(&UID).is_ok());
        prop_assert!(changed.decode(&UID).is_err());
    }

    /// Events in an order that no engine ever wrote: the fold takes them as they come.
    #[test]
    fn any_order_of_events_can_be_folded(rows in rows()) {
        let mut view = View::default();
        for row in &rows {
            let Ok(events) = row.decode(&UID) else { continue };
            view.apply_row(row.epoch, &events);
            prop_assert_eq!(view.to_undo(), to_undo(&view));
        }
    }
}
