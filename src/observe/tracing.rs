#[cfg(feature = "saga")]
mod saga;

use super::label;
use crate::circuit_breaker::State;
use crate::event::UndoOutcome;
use crate::{Event, Name, Observer};
use std::time::Duration;
use tracing::{debug, error, info, warn};

/// Tells each event to the current `tracing` subscriber, as the table in [`observe`](super) says.
///
/// An event for which nobody has enabled its level costs a check.
///
/// ```
/// use seawall::{Pipeline, Retry, observe::TracingObserver};
///
/// let guard = Pipeline::builder("orders")
///     .with(Retry::attempts(3))
///     .observer(TracingObserver)
///     .build()?;
/// # let _ = guard;
/// # Ok::<_, seawall::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn on_event(&self, source: Name, event: &Event<'_>) {
        let source = source.as_str();
        match *event {
            Event::Waiting { policy, at_most } => {
                let (policy, at_most_ms) = (policy.as_str(), at_most.map(ms));
                debug!(target: "seawall", source, policy, at_most_ms, "waiting");
            }
            Event::Waited { policy, waited } => {
                let (policy, waited_ms) = (policy.as_str(), ms(waited));
                debug!(target: "seawall", source, policy, waited_ms, "waited");
            }
            Event::AttemptEnded { attempt, class } => {
                let class = label::class(class);
                debug!(target: "seawall", source, attempt, class, "attempt_ended");
            }
            Event::TimedOut { policy, running } => {
                let policy = policy.as_str();
                debug!(target: "seawall", source, policy, running, "timed_out");
            }
            Event::RetryScheduled { policy, after } => {
                let (policy, after_ms) = (policy.as_str(), ms(after));
                debug!(target: "seawall", source, policy, after_ms, "retry_scheduled");
            }
            Event::GaveUp { policy, why } => {
                let (policy, why) = (policy.as_str(), label::why(why));
                debug!(target: "seawall", source, policy, why, "gave_up");
            }
            Event::Hedged { policy, attempts } => {
                let policy = policy.as_str();
                debug!(target: "seawall", source, policy, attempts, "hedged");
            }
            Event::Rejected(rejected) => {
                let (policy, reason) = (rejected.policy.as_str(), label::reason(&rejected.reason));
                let (started, retry_after_ms) = (rejected.started, rejected.retry_after().map(ms));
                debug!(target: "seawall", source, policy, reason, started, retry_after_ms, "rejected");
            }
            Event::StateChanged {
                policy,
                from,
                to,
                cause,
                sequence,
            } => {
                let bad = matches!(to, State::Open | State::Isolated);
                let (policy, from, to) = (policy.as_str(), label::state(from), label::state(to));
                if bad {
                    warn!(target: "seawall", source, policy, from, to, ?cause, sequence, "state_changed");
                } else {
                    info!(target: "seawall", source, policy, from, to, ?cause, sequence, "state_changed");
                }
            }
            Event::ServedStale { policy, age } => {
                let (policy, age_ms) = (policy.as_str(), ms(age));
                debug!(target: "seawall", source, policy, age_ms, "served_stale");
            }
            Event::Undo {
                scope,
                step,
                outcome,
            } => undo(source, scope.as_str(), step.as_str(), outcome),
            #[cfg(feature = "saga")]
            Event::Saga(event) => saga::log(source, event),
            #[cfg(feature = "saga")]
            Event::StoreClosed { cause } => {
                error!(target: "seawall", source, %cause, "saga_store_closed");
            }
        }
    }
}

fn undo(source: &str, scope: &str, step: &str, outcome: UndoOutcome<'_>) {
    match outcome {
        UndoOutcome::Undone { attempts } => {
            info!(target: "seawall", source, scope, step, attempts, "undone");
        }
        UndoOutcome::Retrying { attempt, error } => {
            warn!(target: "seawall", source, scope, step, attempt, error, "undo_retrying");
        }
        UndoOutcome::Left { attempts, error } => {
            error!(target: "seawall", source, scope, step, attempts, error, "undo_left");
        }
    }
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
