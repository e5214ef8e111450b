//! What a command comes to, by how a saga stands. Pure: the same answer for a dry run, for the look
//! before a saga is taken over, and for the row that is written.
use super::{Command, Refused};
use crate::saga::{
    journal::{Event, OpState, Phase, Settlement, View},
    step::Steps,
};

/// What is done about a command.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    /// This is written; a parked saga goes on.
    Write(Event),
    /// A parked saga goes on as it is.
    GoOn,
    /// It is as was asked already; nothing is written.
    Granted,
}

/// ```text
///            runs forward   past its pivot   runs backward   stuck
///  cancel    Cancelled      PastPivot        granted         Stuck
///   of a child by its parent, the same; parked on its way forward: Cancelled, and it stays parked
///  force     Forced         Forced           Forced          Forced
///  retry     NotStuck       NotStuck         NotStuck        goes on
///  abort     NotStuck       NotStuck         NotStuck        Abort, unless past its pivot
///  skip      NotStuck       NotStuck         NotStuck        Skipped, where an undo is due
///  settle    NotStuck       NotStuck         NotStuck        Settled, where nobody knows
/// ```
pub(super) fn decide(view: &View, steps: &Steps, command: Command) -> Result<Decision, Refused> {
    if view.phase.is_final() {
        return Err(Refused::Ended);
    }
    let backward = view.phase == Phase::Backward;
    Ok(Decision::Write(match (command, view.stuck.is_some()) {
        (Command::Force { by, note }, _) => Event::Forced { by, note },
        (Command::Cancel { parent: false, .. }, true) => return Err(Refused::Stuck),
        (Command::Cancel { .. }, _) if backward => return Ok(Decision::Granted),
        (Command::Cancel { .. }, _) if view.pivoted => return Err(Refused::PastPivot),
        (Command::Cancel { .. }, true) if view.cancel.is_some() => return Ok(Decision::Granted),
        (Command::Cancel { by, note, .. }, _) => Event::Cancelled { by, note },
        (_, false) => return Err(Refused::NotStuck),
        (Command::Retry { .. }, true) => return Ok(Decision::GoOn),
        (Command::Abort { .. }, true) if backward => return Ok(Decision::GoOn),
        (Command::Abort { by, note }, true) => abort(view, by, note)?,
        (Command::Skip { op, by, note }, true) => {
            let undoing = backward || view.undo_asked.contains_key(&op);
            if !undoing || !view.to_undo().contains(&op) {
                return Err(operation(
                    view,
                    op,
                    "skipped",
                    "no compensation of it is due",
                ));
            }
            Event::Skipped { op, by, note }
        }
        (
            Command::Settle {
                op,
                verdict,
                by,
                note,
            },
            true,
        ) => {
            may_settle(view, steps, op, &verdict)?;
            Event::Settled {
                op,
                verdict,
                by,
                note,
            }
        }
    }))
}

fn abort(view: &View, by: String, note: String) -> Result<Event, Refused> {
    if view.pivoted {
        return Err(Refused::PastPivot);
    }
    let in_doubt = view
        .ops
        .iter()
        .find(|(_, op)| op.pivot && matches!(op.state, OpState::Intent | OpState::Unknown));
    if let Some((op, _)) = in_doubt {
        let why = "it is a pivot, and nobody knows whether it was applied; settle it first";
        return Err(operation(view, *op, "undone", why));
    }
    Ok(Event::Abort {
        reason: format!("aborted by {by}: {note}"),
        by: Some(by),
        note: Some(note),
    })
}

fn may_settle(view: &View, steps: &Steps, op: u32, verdict: &Settlement) -> Result<(), Refused> {
    let refuse = |why: &str| Err(operation(view, op, "settled", why));
    let Some(known) = view.ops.get(&op) else {
        return refuse("it is no step of this saga");
    };
    let backward = view.phase == Phase::Backward;
    let undoing = backward || view.undo_asked.contains_key(&op);
    match (&known.state, verdict) {
        (OpState::Intent, Settlement::Undone) if known.pivot => {
            refuse("it is a pivot: it was applied, or it was not")
        }
        (OpState::Intent, _) => Ok(()),
        (OpState::Unknown, _) if backward => Ok(()),
        (OpState::Done(_), Settlement::Undone) if undoing => Ok(()),
        (OpState::Done(_), _) if undoing => {
            refuse("it is known to be done; it can be settled as undone")
        }
        (OpState::Done(_), _) => refuse("it is known to be done, and no undo of it is due"),
        (OpState::Unknown, _) => refuse("the saga has heard of its failure and goes forward"),
        (OpState::Clean, _) => refuse("it is known not to be applied"),
        (OpState::Undone | OpState::Skipped, _) => refuse("its compensation is settled"),
    }?;
    let (Settlement::Done(out), Some(step)) = (verdict, steps.get(known.name.as_str())) else {
        return Ok(());
    };
    step.accepts(out).or_else(|why| {
        refuse(&format!(
            "{why}; give the output that the step answers with"
        ))
    })
}

fn operation(view: &View, op: u32, what: &'static str, why: &str) -> Refused {
    let why = match view.ops.get(&op) {
        Some(known) => format!("step `{}`: {why}", known.name),
        None => why.to_owned(),
    };
    Refused::Operation { op, what, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = r#"{"started":{"v":1,"input":7}}"#;
    const STEP: &str = r#"{"step":{"op":1,"name":"pay","cmd":1}}"#;
    const PIVOT: &str = r#"{"step":{"op":1,"name":"pay","cmd":1,"pivot":true}}"#;
    const DONE: &str = r#"{"done":{"op":1,"out":1}}"#;
    const CLEAN: &str = r#"{"failed":{"op":1,"clean":true,"error":"no"}}"#;
    const UNKNOWN: &str = r#"{"failed":{"op":1,"clean":false,"error":"no"}}"#;
    const ASKED: &str = r#"{"undo_asked":{"op":2,"target":1}}"#;
    const UNDONE: &str = r#"{"undone":{"op":1}}"#;
    const ABORT: &str = r#"{"abort":{"reason":"r"}}"#;
    const STUCK: &str = r#"{"stuck":{"why":"w","kind":"forward"}}"#;
    const FINISHED: &str = r#"{"finished":{"out":1}}"#;

    /// What comes of a command after these events, in a word: what is written, or why not.
    fn decided(events: &[&str], command: Command) -> String {
        let events = [STARTED]
            .iter()
            .chain(events)
            .map(|json| serde_json::from_str(json));
        let events: Vec<Event> = events.map(Result::unwrap).collect();
        match decide(&View::of(&events), &Steps::new(), command) {
            Ok(Decision::Write(event)) => serde_json::to_string(&event).unwrap(),
            Ok(decision) => format!("{decision:?}"),
            Err(Refused::Operation { what, why, .. }) => format!("not {what}: {why}"),
            Err(refused) => format!("{refused:?}"),
        }
    }

    fn signed(command: fn(String, String) -> Command) -> Command {
        command("ann".to_owned(), "n".to_owned())
    }

    fn cancel() -> Command {
        cancel_by(false)
    }

    fn cancel_by(parent: bool) -> Command {
        Command::Cancel {
            by: "ann".to_owned(),
            note: "n".to_owned(),
            parent,
        }
    }

    fn abort() -> Command {
        signed(|by, note| Command::Abort { by, note })
    }

    fn skip() -> Command {
        signed(|by, note| Command::Skip { op: 1, by, note })
    }

    #[test]
    fn a_cancel_is_for_who_runs_and_can_go_back() {
        let written = r#"{"cancelled":{"by":"ann","note":"n"}}"#;
        assert_eq!(decided(&[STEP], cancel()), written);
        assert_eq!(decided(&[STEP, ABORT], cancel()), "Granted");
        assert_eq!(decided(&[PIVOT, DONE], cancel()), "PastPivot");
        assert_eq!(decided(&[STEP, STUCK], cancel()), "Stuck");
        assert_eq!(decided(&[FINISHED], cancel()), "Ended");
    }

    #[test]
    fn a_parent_cancels_a_child_that_is_stuck_once_unless_it_only_goes_forward() {
        let written = r#"{"cancelled":{"by":"ann","note":"n"}}"#;
        assert_eq!(decided(&[STEP, STUCK], cancel_by(true)), written);
        assert_eq!(decided(&[STEP, STUCK, written], cancel_by(true)), "Granted");
        let back = [STEP, ABORT, STUCK];
        assert_eq!(decided(&back, cancel_by(true)), "Granted");
        let past = [PIVOT, DONE, STUCK];
        assert_eq!(decided(&past, cancel_by(true)), "PastPivot");
    }

    #[test]
    fn a_retry_is_for_who_is_stuck() {
        let retry = || signed(|by, note| Command::Retry { by, note });
        assert_eq!(decided(&[STEP, STUCK], retry()), "GoOn");
        assert_eq!(decided(&[STEP], retry()), "NotStuck");
        let force = signed(|by, note| Command::Force { by, note });
        let forced = r#"{"forced":{"by":"ann","note":"n"}}"#;
        assert_eq!(decided(&[STEP], force), forced);
    }

    #[test]
    fn an_abort_turns_back_who_may_go_back() {
        let written = r#"{"abort":{"reason":"aborted by ann: n","by":"ann","note":"n"}}"#;
        assert_eq!(decided(&[STEP, STUCK], abort()), written);
        assert_eq!(decided(&[STEP, ABORT, STUCK], abort()), "GoOn");
        assert_eq!(decided(&[PIVOT, DONE, STUCK], abort()), "PastPivot");
        assert_eq!(decided(&[PIVOT, CLEAN, STUCK], abort()), written);
        assert_eq!(decided(&[STEP], abort()), "NotStuck");
        for in_doubt in [&[PIVOT, STUCK][..], &[PIVOT, UNKNOWN, STUCK]] {
            let why = decided(in_doubt, abort());
            assert!(
                why.starts_with("not undone: step `pay`: it is a pivot"),
                "{why}"
            );
        }
    }

    #[test]
    fn only_a_compensation_that_is_due_can_be_skipped() {
        let written = r#"{"skipped":{"op":1,"by":"ann","note":"n"}}"#;
        assert_eq!(decided(&[STEP, DONE, ABORT, STUCK], skip()), written);
        assert_eq!(decided(&[STEP, DONE, ASKED, STUCK], skip()), written);
        for not_due in [&[STEP, DONE, STUCK][..], &[STEP, CLEAN, ABORT, STUCK]] {
            let why = decided(not_due, skip());
            assert_eq!(why, "not skipped: step `pay`: no compensation of it is due");
        }
    }

    #[test]
    fn only_what_nobody_knows_can_be_settled() {
        let verdicts = [r#"{"done":5}"#, r#""not_applied""#, r#""undone""#];
        let settled = |events: &[&str]| {
            verdicts.map(|verdict| {
                let command = Command::Settle {
                    op: 1,
                    verdict: serde_json::from_str(verdict).unwrap(),
                    by: "ann".to_owned(),
                    note: "n".to_owned(),
                };
                let answer = decided(events, command);
                assert!(answer.starts_with(r#"{"settled""#) || answer.starts_with("not settled"));
                answer.starts_with('{')
            })
        };
        assert_eq!(settled(&[STEP, STUCK]), [true; 3]);
        assert_eq!(settled(&[PIVOT, STUCK]), [true, true, false]);
        assert_eq!(settled(&[STEP, UNKNOWN, STUCK]), [false; 3]);
        assert_eq!(settled(&[STEP, UNKNOWN, ABORT, STUCK]), [true; 3]);
        assert_eq!(settled(&[STEP, DONE, STUCK]), [false; 3]);
        assert_eq!(settled(&[STEP, DONE, ASKED, STUCK]), [false, false, true]);
        assert_eq!(settled(&[STEP, DONE, ABORT, STUCK]), [false, false, true]);
        assert_eq!(settled(&[STEP, CLEAN, ABORT, STUCK]), [false; 3]);
        assert_eq!(settled(&[STEP, DONE, ABORT, UNDONE, STUCK]), [false; 3]);
        assert_eq!(settled(&[STUCK]), [false; 3]);
    }

    #[test]
    fn what_is_done_can_be_settled_as_undone_where_its_undo_is_due() {
        let applied = |events: &[&str]| {
            let command = Command::Settle {
                op: 1,
                verdict: Settlement::NotApplied,
                by: "ann".to_owned(),
                note: "n".to_owned(),
            };
            decided(events, command)
        };
        let due = applied(&[STEP, DONE, ABORT, STUCK]);
        assert!(due.ends_with("it can be settled as undone"), "{due}");
        let not_due = applied(&[STEP, DONE, STUCK]);
        assert!(not_due.ends_with("no undo of it is due"), "{not_due}");
    }
}
