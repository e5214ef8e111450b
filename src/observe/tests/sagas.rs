//! Events of durable sagas, for the golden file.
use crate::event::{SagaEvent, SagaEventKind as Kind};
use crate::saga::{FailureKind, SagaId, Status, StuckKind};

/// At least one of every event, and every word that a label can be.
pub(super) fn samples() -> Vec<SagaEvent<'static>> {
    let (op, step, attempt) = (2, "charge", 3);
    let mut kinds = vec![Kind::Started, Kind::Resumed];
    let failures = [
        None,
        Some(FailureKind::Refused),
        Some(FailureKind::Transient),
        Some(FailureKind::Unknown),
        Some(FailureKind::NeverApplied),
        Some(FailureKind::Held),
    ];
    kinds.extend(failures.map(|failure| Kind::AttemptEnded {
        op,
        step,
        attempt,
        failure,
    }));
    for (policy, undo) in [(Some("payments"), false), (None, true)] {
        let until = 1_700_000_000_000;
        kinds.push(Kind::Waiting {
            op,
            step,
            policy,
            until_ms: until,
            undo,
        });
    }
    kinds.push(Kind::Undone { op, step, attempt });
    kinds.push(Kind::UndoFailed {
        op,
        step,
        attempt,
        error: "503",
    });
    let stuck = [
        StuckKind::Code,
        StuckKind::Forward,
        StuckKind::Backward,
        StuckKind::Unknown,
        StuckKind::Saga,
        StuckKind::Crashes,
        StuckKind::Damage,
    ];
    kinds.extend(stuck.map(|kind| Kind::Stuck {
        kind,
        why: "closed",
    }));
    let ends = Status::ALL
        .iter()
        .copied()
        .filter(|status| status.is_final());
    kinds.extend(ends.map(|status| Kind::Ended { status }));
    let event = |kind| SagaEvent::new(SagaId(7), "place_order", "order-42", kind);
    kinds.into_iter().map(event).collect()
}
