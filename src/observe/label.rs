//! The text of what is told: one word for each variant, the same in logs and metrics.
use crate::circuit_breaker::State;
use crate::event::GaveUp;
use crate::{Class, Reason};

#[cfg_attr(not(feature = "metrics"), allow(dead_code))]
pub(super) fn running(running: bool) -> &'static str {
    if running { "true" } else { "false" }
}

pub(super) fn class(class: Class) -> &'static str {
    match class {
        Class::Success => "success",
        Class::Transient => "transient",
        Class::Throttled(_) | Class::Pushback(_) => "throttled",
        Class::Failed => "failed",
        Class::Permanent => "permanent",
        Class::Ignored => "ignored",
    }
}

#[cfg(feature = "saga")]
pub(super) fn attempt(failure: Option<crate::saga::FailureKind>) -> &'static str {
    use crate::saga::FailureKind;
    match failure {
        None => "done",
        Some(FailureKind::Refused) => "refused",
        Some(FailureKind::Transient) => "transient",
        Some(FailureKind::Unknown) => "unknown",
        Some(FailureKind::NeverApplied) => "never_applied",
        Some(FailureKind::Held) => "held",
    }
}

pub(super) fn why(why: GaveUp) -> &'static str {
    match why {
        GaveUp::Attempts => "attempts",
        GaveUp::Budget => "budget",
        GaveUp::Deadline => "deadline",
        GaveUp::NotRepeatable => "not_repeatable",
    }
}

pub(super) fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::CircuitOpen { .. } => "circuit_open",
        Reason::CircuitIsolated => "circuit_isolated",
        Reason::BulkheadFull => "bulkhead_full",
        Reason::QueueTimeout { .. } => "queue_timeout",
        Reason::RateLimited { .. } => "rate_limited",
        Reason::ExceedsBurst { .. } => "exceeds_burst",
        Reason::TimedOut { .. } => "timed_out",
        Reason::DeadlineTooClose { .. } => "deadline_too_close",
        Reason::Expired => "expired",
        Reason::NoTimer => "no_timer",
        Reason::Other(_) => "other",
    }
}

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
        State::Isolated => "isolated",
        State::Disabled => "disabled",
        State::MetricsOnly => "metrics_only",
    }
}
