//! The fold of short journals.
use super::*;

fn view(events: &[&str]) -> View {
    let events = events
        .iter()
        .map(|json| serde_json::from_str::<Event>(json));
    let events: Vec<_> = events.map(Result::unwrap).collect();
    View::of(&events)
}

const STARTED: &str = r#"{"started":{"v":1,"input":7}}"#;
const ONE: &str = r#"{"step":{"op":1,"name":"a","cmd":1}}"#;
const TWO: &str = r#"{"step":{"op":2,"name":"b","cmd":1}}"#;
const THREE: &str = r#"{"step":{"op":3,"name":"c","cmd":1}}"#;
const STUCK: &str = r#"{"stuck":{"why":"w","kind":"forward","op":1}}"#;

#[test]
fn what_has_no_outcome_is_undone_first_then_the_last_that_settled() {
    let events = [
        STARTED,
        ONE,
        TWO,
        THREE,
        r#"{"done":{"op":2,"out":1}}"#,
        r#"{"done":{"op":1,"out":1}}"#,
        r#"{"abort":{"reason":"r"}}"#,
    ];
    let view = view(&events);
    assert_eq!(view.to_undo(), [3, 1, 2]);
    assert_eq!(view.next_to_undo(), Some(3));
    assert_eq!((view.phase, &*view.reason), (Phase::Backward, "r"));
}

#[test]
fn parking_drops_what_is_under_way_and_nothing_else() {
    let tainted = |events: &[&str]| {
        let view = view(events);
        let ops = view.ops.into_values();
        ops.map(|op| op.tries.tainted).collect::<Vec<_>>()
    };
    let done = r#"{"done":{"op":1,"out":1}}"#;
    assert_eq!(tainted(&[STARTED, ONE, TWO, done, STUCK]), [false, true]);
    // What was in doubt stays so.
    let retry = r#"{"retry":{"op":1,"attempt":1,"not_before":0,"error":"e","tainted":true}}"#;
    assert_eq!(tainted(&[STARTED, ONE, retry, done, STUCK]), [true]);
}

#[test]
fn a_saga_that_begins_anew_forgets_all_but_its_place_in_the_journal() {
    let again =
        r#"{"started":{"v":1,"input":8,"deadline":9,"parent":{"saga":"s","key":"k","op":4}}}"#;
    let done = r#"{"done":{"op":1,"out":1}}"#;
    let view = view(&[
        STARTED,
        ONE,
        done,
        again,
        TWO,
        THREE,
        r#"{"done":{"op":2,"out":1}}"#,
    ]);
    assert_eq!(view.ops.keys().collect::<Vec<_>>(), [&2, &3]);
    assert_eq!(view.ops[&2].settled, 6);
    assert_eq!(view.deadline, Some(9));
    assert_eq!(view.parent.unwrap().key, "k");
}

#[test]
fn attempts_belong_to_the_owner_that_made_them() {
    let event = |json| serde_json::from_str::<Event>(json).unwrap();
    let mut view = View::default();
    view.apply_row(4, &[event(STARTED), event(ONE)]);
    view.apply_row(6, &[event(TWO)]);
    let used = |op| view.ops[&op].tries.used_by(7);
    assert_eq!((used(1), used(2)), (3, 1));
}

const ABORT: &str = r#"{"abort":{"reason":"r"}}"#;
const RETRY: &str = r#"{"retry":{"op":2,"attempt":3,"not_before":50,"error":"e"}}"#;

/// A journal row by row, each with its owner's epoch.
fn owned(rows: &[(u32, &[&str])]) -> View {
    let mut view = View::default();
    for (epoch, events) in rows {
        let events = events.iter().map(|json| serde_json::from_str(json));
        let events: Vec<Event> = events.map(Result::unwrap).collect();
        view.apply_row(*epoch, &events);
    }
    view
}

#[test]
fn who_goes_on_after_an_operator_has_all_attempts_again() {
    let parked: (u32, &[&str]) = (4, &[STARTED, ONE, TWO, RETRY, STUCK]);
    let stands = |view: &View| {
        let two = &view.ops[&2];
        (two.tries.used_by(4), two.waiting.is_some())
    };
    assert_eq!(stands(&owned(&[parked])), (3, true));
    let resumed = r#"{"resumed":{"by":"b","note":"n"}}"#;
    let view = owned(&[parked, (4, &[resumed])]);
    assert_eq!(stands(&view), (0, false));
    assert!(view.stuck.is_none() && view.stuck_op.is_none());
    assert_eq!(stands(&owned(&[parked, (4, &[ABORT])])), (0, false));
}

#[test]
fn a_compensation_has_lost_no_attempt_while_the_one_before_it_was_tried() {
    let done = [
        r#"{"done":{"op":1,"out":1}}"#,
        r#"{"done":{"op":2,"out":1}}"#,
    ];
    let given_up: (u32, &[&str]) = (1, &[STARTED, ONE, TWO, done[0], done[1], ABORT]);
    let undone = r#"{"undone":{"op":2}}"#;
    let view = owned(&[given_up, (3, &[undone])]);
    assert_eq!(view.to_undo(), [1]);
    assert_eq!(view.ops[&1].tries.used_by(3), 0);
}

#[test]
fn an_undo_while_the_saga_goes_forward_touches_no_other_step() {
    let done = r#"{"done":{"op":1,"out":1}}"#;
    let asked = r#"{"undo_asked":{"op":3,"target":1}}"#;
    let undone = r#"{"undone":{"op":1}}"#;
    let view = owned(&[(1, &[STARTED, ONE, TWO, done, RETRY, asked, undone])]);
    assert!(view.undo_asked.is_empty());
    assert_eq!(view.ops[&2].tries.used_by(1), 3);
    assert!(view.ops[&2].waiting.is_some());
}
