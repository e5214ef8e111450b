//! The book alone, without a journal's rows or a saga's code.
use super::*;

fn event(json: &str) -> Event {
    serde_json::from_str(json).unwrap()
}

/// As the person who is paged reads it: which operation the code did not ask for.
#[test]
fn a_misfit_says_what_the_journal_has() {
    let told = [
        (
            r#"{"step":{"op":3,"name":"pay","cmd":1}}"#,
            "step `pay` as operation 3",
        ),
        (
            r#"{"step":{"op":3,"name":"pay","cmd":1,"pivot":true}}"#,
            "pivot `pay` as operation 3",
        ),
        (
            r#"{"child":{"op":3,"name":"c","saga":"s","version":1,"key":"k","cmd":1}}"#,
            "child `c` as operation 3",
        ),
        (r#"{"timer":{"op":3,"at":9}}"#, "a timer as operation 3"),
        (
            r#"{"wait":{"op":3,"name":"paid"}}"#,
            "a wait for `paid` as operation 3",
        ),
        (
            r#"{"undo_asked":{"op":3,"target":2}}"#,
            "an undo of operation 2 as operation 3",
        ),
        (
            r#"{"patch":{"op":3,"name":"p"}}"#,
            "patch `p` as operation 3",
        ),
        (
            r#"{"signal":{"id":"i","name":"paid","body":1}}"#,
            "signal `paid`",
        ),
        (r#"{"done":{"op":3,"out":1}}"#, "an outcome of operation 3"),
        (r#"{"timed_out":{"op":3}}"#, "an outcome of operation 3"),
        (
            r#"{"resumed":{"by":"b","note":"n"}}"#,
            "an event of another kind",
        ),
    ];
    for (json, has) in told {
        let why = Park::misfit("sleeps here now", &event(json)).why;
        let expected = format!(
            "the saga's code does not fit its journal: it sleeps here now, but the journal has {has}"
        );
        assert_eq!(why, expected);
    }
}

fn step(cmd: &str) -> What {
    let (name, cmd) = ("pay", serde_json::from_str(cmd).unwrap());
    What::Step { name, cmd }
}

/// A book in which these are open: two steps, the second a pivot, and an undo of operation 7.
fn book() -> Book {
    let mut book = Book::default();
    for (op, what, pivot) in [
        (1, step("1"), false),
        (2, step("2"), true),
        (3, What::Undo { target: 7 }, false),
    ] {
        book.open.insert(op, Open { what, pivot });
    }
    book.undoing.insert(7, 3);
    book
}

/// Who hears of it, and what.
fn heard(book: &mut Book, json: &str) -> Option<(u32, String)> {
    let (op, delivered) = book.outcome(&event(json)).unwrap()?;
    let what = match delivered {
        Delivered::Done(out) => format!("done {}", out.get()),
        Delivered::Failed { clean: true, error } => format!("clean: {error}"),
        other => format!("{other:?}"),
    };
    Some((op, what))
}

fn settled(op: u32, verdict: &str) -> String {
    format!(r#"{{"settled":{{"op":{op},"verdict":{verdict},"by":"ann","note":"seen"}}}}"#)
}

#[test]
fn it_is_behind_until_all_that_was_recorded_has_been_asked_for() {
    let mut book = Book::default();
    assert!(!book.is_behind() && book.caught_up().is_ok());
    let events = vec![event(r#"{"timer":{"op":3,"at":9}}"#)];
    assert!(book.record(events).is_empty());
    assert!(book.is_behind() && book.caught_up().is_err());
    book.recorded.clear();
    assert!(!book.is_behind());
}

#[test]
fn what_an_operator_settles_is_heard_by_whoever_waits_for_it() {
    let clean = "clean: settled by an operator: seen".to_owned();
    let mut book = self::book();
    let done = heard(&mut book, &settled(1, r#"{"done":5}"#));
    assert_eq!(done, Some((1, "done 5".to_owned())));
    let not_applied = heard(&mut book, &settled(2, r#""not_applied""#));
    assert_eq!(not_applied, Some((2, clean.clone())));
    // Of an open step it says that it had no effect, of a settled one that its undo is done.
    let mut book = self::book();
    assert_eq!(
        heard(&mut book, &settled(1, r#""undone""#)),
        Some((1, clean))
    );
    let undone = heard(&mut book, &settled(7, r#""undone""#));
    assert_eq!(undone, Some((3, "Undone".to_owned())));
    assert!(book.outcome(&event(&settled(7, r#""undone""#))).is_err());
}

#[test]
fn an_undo_that_is_over_is_heard_by_who_asked_for_it() {
    for over in [
        r#"{"undone":{"op":7}}"#,
        r#"{"skipped":{"op":7,"by":"b","note":"n"}}"#,
    ] {
        let mut book = book();
        assert_eq!(heard(&mut book, over), Some((3, "Undone".to_owned())));
        assert!(!book.open.contains_key(&3));
        assert!(book.outcome(&event(over)).is_err());
    }
}

#[test]
fn past_the_pivot_it_stays_past_it() {
    let mut book = Book::default();
    for (op, pivot) in [(1, true), (2, false)] {
        let what = step("1");
        book.open.insert(op, Open { what, pivot });
        assert_eq!(book.has_open_pivot(), pivot);
        heard(&mut book, &format!(r#"{{"done":{{"op":{op},"out":0}}}}"#));
        assert!(book.pivoted && !book.has_open_pivot());
    }
}

#[test]
fn a_signal_is_seen_once_it_is_booked_and_waits_for_whoever_asks() {
    let mut book = Book::default();
    let letter = r#"{"signal":{"id":"l-1","name":"paid","body":8}}"#;
    assert!(!book.has_seen("l-1"));
    assert_eq!(heard(&mut book, letter), None);
    assert!(book.has_seen("l-1") && !book.has_seen("l-2"));
    book.waits.add_wait(4, "other".to_owned(), None);
    assert!(book.letter().is_none());
    book.waits.add_wait(5, "paid".to_owned(), None);
    assert!(
        matches!(book.letter(), Some((5, Delivered::Signal(letter))) if letter.body.get() == "8")
    );
    assert!(book.letter().is_none() && book.unread().next().is_none());
}

#[test]
fn only_what_is_still_asked_for_can_end() {
    let mut book = Book::default();
    book.waits.add_timer(1, 30);
    book.waits.add_wait(2, "paid".to_owned(), Some(20));
    book.waits.add_wait(3, "sent".to_owned(), None);
    let ends = |book: &Book| {
        [
            r#"{"fired":{"op":1}}"#,
            r#"{"timed_out":{"op":2}}"#,
            r#"{"fired":{"op":2}}"#,
            r#"{"timed_out":{"op":1}}"#,
            r#"{"undone":{"op":1}}"#,
        ]
        .map(|json| book.is_open(&event(json)))
    };
    assert_eq!(ends(&book), [true, true, false, false, false]);
    assert_eq!(book.next_due(), Some(20));
    let due = |book: &Book, now| {
        book.due(now)
            .iter()
            .map(|e| format!("{e:?}"))
            .collect::<Vec<_>>()
    };
    assert!(due(&book, 19).is_empty());
    assert_eq!(due(&book, 20), ["TimedOut { op: 2 }"]);
    assert_eq!(due(&book, 30), ["TimedOut { op: 2 }", "Fired { op: 1 }"]);
    assert_eq!(
        heard(&mut book, r#"{"timed_out":{"op":2}}"#),
        Some((2, "TimedOut".to_owned()))
    );
    assert_eq!(
        heard(&mut book, r#"{"fired":{"op":1}}"#),
        Some((1, "Fired".to_owned()))
    );
    assert_eq!(ends(&book), [false; 5]);
    assert_eq!(book.next_due(), None);
    assert!(!book.is_idle(), "somebody waits for a signal");
}
