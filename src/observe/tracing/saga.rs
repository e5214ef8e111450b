//! What is logged of durable sagas.
use crate::event::{SagaEvent, SagaEventKind};
use crate::observe::label;
use crate::saga::Status;
use tracing::{debug, error, info, warn};

pub(super) fn log(source: &str, event: &SagaEvent<'_>) {
    let (id, saga, key) = (event.id.0, event.name, event.key);
    match event.kind {
        SagaEventKind::Started => {
            debug!(target: "seawall", source, id, saga, key, "saga_started");
        }
        SagaEventKind::Resumed => {
            debug!(target: "seawall", source, id, saga, key, "saga_resumed");
        }
        SagaEventKind::AttemptEnded {
            op,
            step,
            attempt,
            failure,
        } => {
            let outcome = label::attempt(failure);
            debug!(target: "seawall", source, id, saga, key, op, step, attempt, outcome, "saga_attempt_ended");
        }
        SagaEventKind::Waiting {
            op,
            step,
            policy,
            until_ms: until,
            undo,
        } => {
            debug!(target: "seawall", source, id, saga, key, op, step, policy, until_ms = until, undo, "saga_waiting");
        }
        SagaEventKind::Undone { op, step, attempt } => {
            info!(target: "seawall", source, id, saga, key, op, step, attempt, "saga_undone");
        }
        SagaEventKind::UndoFailed {
            op,
            step,
            attempt,
            error,
        } => {
            warn!(target: "seawall", source, id, saga, key, op, step, attempt, error, "saga_undo_failed");
        }
        SagaEventKind::Stuck { kind, why } => {
            let kind = kind.as_str();
            error!(target: "seawall", source, id, saga, key, kind, why, "saga_stuck");
        }
        SagaEventKind::Ended { status } => ended(source, event, status),
    }
}

fn ended(source: &str, event: &SagaEvent<'_>, how: Status) {
    let (id, saga, key) = (event.id.0, event.name, event.key);
    let status = how.as_str();
    match how {
        Status::Finished => {
            debug!(target: "seawall", source, id, saga, key, status, "saga_ended");
        }
        Status::Compensated => {
            info!(target: "seawall", source, id, saga, key, status, "saga_ended");
        }
        _ => warn!(target: "seawall", source, id, saga, key, status, "saga_ended"),
    }
}
