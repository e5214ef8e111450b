//! What is counted of durable sagas. Keys, operations and reasons are no labels: their number has no
//! bound.
use crate::event::{SagaEvent, SagaEventKind};
use crate::observe::label;
use metrics::counter;

pub(super) fn count(event: &SagaEvent<'_>) {
    let saga = ("saga", event.name.to_owned());
    let of = |step: &str, key: &'static str, value: &str| {
        let (step, value) = (step.to_owned(), value.to_owned());
        [saga.clone(), ("step", step), (key, value)]
    };
    match event.kind {
        SagaEventKind::Started => counter!("seawall_sagas_started_total", &[saga]),
        SagaEventKind::Resumed => counter!("seawall_sagas_resumed_total", &[saga]),
        SagaEventKind::AttemptEnded { step, failure, .. } => {
            let labels = of(step, "outcome", label::attempt(failure));
            counter!("seawall_saga_attempts_total", &labels)
        }
        SagaEventKind::Waiting { step, policy, .. } => {
            let labels = of(step, "policy", policy.unwrap_or_default());
            counter!("seawall_saga_waits_total", &labels)
        }
        SagaEventKind::Undone { step, .. } => {
            counter!("seawall_saga_undo_total", &of(step, "outcome", "undone"))
        }
        SagaEventKind::UndoFailed { step, .. } => {
            counter!("seawall_saga_undo_total", &of(step, "outcome", "failed"))
        }
        SagaEventKind::Stuck { kind, .. } => {
            let kind = ("kind", kind.as_str().to_owned());
            counter!("seawall_sagas_stuck_total", &[saga, kind])
        }
        SagaEventKind::Ended { status } => {
            let status = ("status", status.as_str().to_owned());
            counter!("seawall_sagas_ended_total", &[saga, status])
        }
    }
    .increment(1);
}

pub(super) const COUNTERS: [(&str, &str); 8] = [
    (
        "seawall_sagas_started_total",
        "Sagas that were written down",
    ),
    (
        "seawall_sagas_resumed_total",
        "Sagas taken into memory again",
    ),
    (
        "seawall_saga_attempts_total",
        "Attempts of steps that ended",
    ),
    (
        "seawall_saga_waits_total",
        "Waits of steps before an attempt",
    ),
    ("seawall_saga_undo_total", "Attempts of compensations"),
    ("seawall_sagas_stuck_total", "Sagas parked for an operator"),
    ("seawall_sagas_ended_total", "Sagas that ended"),
    ("seawall_saga_stores_closed_total", "Stores that closed"),
];
