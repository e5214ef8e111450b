//! Backward: steps are taken back, by the journal alone. The saga's own code is not run, so code
//! that no longer fits, or panics, cannot stand in the way.
use super::{
    action::{Action, LONG, Mode, Settled},
    book::Park,
    drive::{Drive, Never, Stop},
    handle::End,
    operate::{Command, Refused},
    timer,
};
use crate::saga::{
    journal::{Event, OpState, Phase, Raw, StuckKind},
    mutant::mutant,
    step::Steps,
    store::{Next, Status},
};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

pub(super) async fn run(d: &mut Drive) -> Result<Never, Stop> {
    let steps = d.core.steps_for(&d.name, d.version);
    run_with(d, steps).await
}

/// One at a time: those without an outcome first, then the others, the last settled first.
pub(super) async fn run_with(d: &mut Drive, steps: Arc<Steps>) -> Result<Never, Stop> {
    d.link.set_mode(Mode::Go);
    let step_keys = d.step_keys();
    loop {
        d.check_closed()?;
        commands(d).await?;
        let Some(op) = d.view.next_to_undo() else {
            let reason = d.view.reason.clone();
            let exceptions = d.view.exceptions.clone();
            d.push(Event::Compensated { reason, exceptions });
            return Err(d.end().await);
        };
        // What was decided, or undone, is durable before the next one is begun.
        if !mutant("undo_before_the_last_is_kept") {
            d.flush(Next::Keep).await?;
        }
        if d.core.is_draining() {
            return Err(drained(d, op).await);
        }
        wait_written(d, op).await?;
        match undo(d, &steps, &step_keys, op).await? {
            Settled::Undone => d.push(Event::Undone { op }),
            Settled::Wait(wait) => {
                let due = wait.not_before;
                d.push(Event::Retry {
                    op,
                    attempt: wait.attempt,
                    not_before: due,
                    error: wait.error,
                    tainted: wait.tainted,
                    refused_by: wait.refused_by,
                    undo: true,
                    left: true,
                });
                if d.core.is_draining() {
                    d.flush(Next::Keep).await?;
                    return Err(Stop::Drained);
                }
                return Err(leave(d, due).await);
            }
            Settled::Park { kind, why } => return Err(d.park(Park::new(kind, why).at(op)).await),
            Settled::Done { .. } | Settled::Failed { .. } | Settled::ChildStarted => {}
        }
    }
}

/// Out of memory until then. Nobody reads a signal any more, and one that is unread would bring the
/// saga back at once.
async fn leave(d: &mut Drive, due: i64) -> Stop {
    match d.core.store.inbox(d.id).await {
        Ok(_) if mutant("mail_left_unread") => {}
        Ok(mail) => d.consumed.extend(mail.iter().map(|mail| mail.arrival)),
        Err(error) => return error.into(),
    }
    let (status, due) = (Status::Waiting, Some(due));
    match d.flush(Next::Leave { status, due }).await {
        Ok(()) => Stop::Left,
        Err(stop) => stop,
    }
}

/// A wait that was written down is not shortened by a restart.
async fn wait_written(d: &mut Drive, op: u32) -> Result<(), Stop> {
    loop {
        let waiting = d.view.ops.get(&op).and_then(|op| op.waiting.clone());
        let now = d.core.now();
        let waiting = waiting.filter(|_| !mutant("undo_wait_shortened"));
        let Some(waiting) = waiting.filter(|waiting| waiting.undo && waiting.not_before > now)
        else {
            return Ok(());
        };
        let due = waiting.not_before;
        if due > d.core.later(LONG) {
            note_what_stands(d, op);
            return Err(leave(d, due).await);
        }
        let mut timer = timer::until(due, now);
        let nudged = poll_fn(|cx| match d.link.poll_nudged(cx.waker()) {
            true => Poll::Ready(true),
            false => timer.as_mut().poll(cx).map(|()| false),
        })
        .await;
        if nudged {
            commands(d).await?;
            d.check_closed()?;
            if d.core.is_draining() {
                return Err(drained(d, op).await);
            }
        }
    }
}

/// The engine stops before the compensation of `op` is begun.
async fn drained(d: &mut Drive, op: u32) -> Stop {
    note_what_stands(d, op);
    match d.flush(Next::Keep).await {
        Ok(()) => Stop::Drained,
        Err(stop) => stop,
    }
}

/// Nothing of its compensation is under way: taking it up again is no attempt, nor is its wait over
/// sooner.
fn note_what_stands(d: &mut Drive, op: u32) {
    let Some(known) = d.view.ops.get(&op) else {
        return;
    };
    let waiting = known.waiting.as_ref().filter(|waiting| waiting.undo);
    let error = known.error.clone();
    let event = Event::Retry {
        op,
        attempt: known.tries.used_by(d.epoch),
        not_before: waiting.map_or_else(|| d.core.now(), |waiting| waiting.not_before),
        error: error.unwrap_or_else(|| "the engine was stopped before it began".to_owned()),
        tainted: known.tries.tainted,
        refused_by: waiting.and_then(|waiting| waiting.refused_by.clone()),
        undo: true,
        left: true,
    };
    d.push(event);
}

async fn undo(d: &mut Drive, steps: &Steps, step_keys: &str, op: u32) -> Result<Settled, Stop> {
    let Some(known) = d.view.ops.get(&op).cloned() else {
        return Ok(Settled::Undone);
    };
    let was = match known.state {
        OpState::Done(out) => Some(out),
        _ => None,
    };
    let was = match (was, &known.child) {
        (None, Some((saga, _, key))) => match child_gone(d, saga, key).await {
            Ok(Left::Nothing) => return Ok(Settled::Undone),
            Ok(Left::Done(out)) => Some(out),
            Ok(Left::Unknown) => None,
            Err(Stop::Drained) => return Err(drained(d, op).await),
            Err(stop) => return Err(stop),
        },
        (was, _) => was,
    };
    let used = known.tries.used_by(d.epoch);
    let action = match action(d, steps, step_keys, op, &known.name, known.cmd, used, false) {
        Ok(action) => action,
        Err(Park { kind, why, .. }) => return Ok(Settled::Park { kind, why }),
    };
    let mut undoing = pin!(action.undo(was));
    loop {
        let link = d.link.clone();
        let settled = poll_fn(|cx| {
            if link.poll_nudged(cx.waker()) {
                return Poll::Ready(None);
            }
            undoing.as_mut().poll(cx).map(|(_, settled)| Some(settled))
        })
        .await;
        match settled {
            Some(settled) => return Ok(settled),
            None => {
                d.check_closed()?;
                if d.core.is_draining() {
                    d.link.set_mode(Mode::Drain);
                }
                commands(d).await?;
            }
        }
    }
}

/// What is left of a child without an outcome.
enum Left {
    Nothing,
    Done(Raw),
    /// It ended with exceptions or by force, or is not kept any more.
    Unknown,
}

/// A child without an outcome is cancelled and waited for.
async fn child_gone(d: &mut Drive, saga: &str, key: &str) -> Result<Left, Stop> {
    if d.core.store.find(saga, key).await?.is_none() {
        return Ok(Left::Unknown);
    }
    let called = d.core.cancel_child(saga.to_owned(), key.to_owned());
    d.core.spawn_other(called);
    d.stand_by();
    d.place.lend();
    let left = child_ended(d, saga, key).await;
    d.place.take_back();
    left
}

async fn child_ended(d: &mut Drive, saga: &str, key: &str) -> Result<Left, Stop> {
    let core = d.core.clone();
    let mut ended = pin!(core.ended(saga, key));
    loop {
        let link = d.link.clone();
        let end = poll_fn(|cx| {
            if link.poll_nudged(cx.waker()) {
                return Poll::Ready(None);
            }
            ended.as_mut().poll(cx).map(Some)
        })
        .await;
        match end {
            Some(Ok(End::Finished(out))) => return Ok(Left::Done(out)),
            Some(Ok(End::Compensated { .. })) => return Ok(Left::Nothing),
            Some(Ok(_)) => return Ok(Left::Unknown),
            Some(Err(error)) => return Err(error.into()),
            None => {
                d.check_closed()?;
                if d.core.is_draining() {
                    return Err(Stop::Drained);
                }
                commands(d).await?;
            }
        }
    }
}

/// The saga is on its way back already.
async fn commands(d: &mut Drive) -> Result<(), Stop> {
    while let Some((command, reply)) = d.link.take_command() {
        let answer = match command {
            Command::Cancel { .. } => Ok(()),
            Command::Force { by, note } => {
                d.push(Event::Forced { by, note });
                d.replies.push((Ok(()), reply));
                return Err(d.end().await);
            }
            _ => Err(Refused::NotStuck),
        };
        let _ = reply.send(answer);
    }
    Ok(())
}

/// What runs a step, or takes it back.
#[allow(clippy::too_many_arguments)] // each is a field of the action
pub(super) fn action(
    d: &Drive,
    steps: &Steps,
    step_keys: &str,
    op: u32,
    name: &str,
    cmd: Raw,
    used: u32,
    tainted: bool,
) -> Result<Action, Park> {
    let Some((name, step)) = steps.get_key_value(name) else {
        let why = format!("step `{name}` is not registered with saga `{}`", d.name);
        return Err(Park::new(StuckKind::Code, why).at(op));
    };
    let key = if mutant("key_without_the_operation") {
        0
    } else {
        op
    };
    Ok(Action {
        core: d.core.clone(),
        link: d.link.clone(),
        step: step.clone(),
        name,
        cmd,
        saga_id: d.id,
        saga_name: d.name.clone(),
        saga_key: d.key.clone(),
        step_key: step_key(step_keys, key),
        reason: (d.view.phase == Phase::Backward).then(|| d.view.reason.as_str().into()),
        op,
        used,
        tainted,
        doubted: false,
    })
}

/// The key of a step: what all of the saga's begin with, and the operation's number.
pub(super) fn step_key(step_keys: &str, op: u32) -> Arc<str> {
    // Room for the longest: it does not grow on its way.
    let mut key = String::with_capacity(step_keys.len().saturating_add(11));
    key.push_str(step_keys);
    key.push('/');
    push_decimal(&mut key, op);
    key.into()
}

/// Every step has a key of its own, and `format!` would take as long as all the rest of making it.
fn push_decimal(into: &mut String, n: u32) {
    if n >= 10 {
        push_decimal(into, n / 10);
    }
    into.extend(char::from_digit(n % 10, 10));
}
