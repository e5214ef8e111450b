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
        (Command::Cancel { .. }, true) => return Err(Refused::Stuck),
        (Command::Cancel { .. }, false) if backward => return Ok(Decision::Granted),
        (Command::Cancel { .. }, false) if view.pivoted => return Err(Refused::PastPivot),
        (Command::Cancel { by, note }, false) => Event::Cancelled { by, note },
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
