#[cfg(feature = "saga")]
mod saga;

use super::label;
use crate::circuit_breaker::State;
use crate::event::UndoOutcome;
use crate::{Event, Name, Observer};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use parking_lot::Mutex;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Counts events by the `metrics` crate's recorder, as the tables in [`observe`](super) say.
///
/// One for all pipelines and saga engines will do; clones are the same one. Breakers of the same name share a gauge,
/// which follows the one that has changed most often: name them apart, and make a new observer
/// where breakers are built anew under their old names.
///
/// The gauge of a breaker's state ends at its latest state, also when two changes are told in the
/// wrong order, if one observer, or its clones, hear of both.
///
/// ```
/// use seawall::{Pipeline, Retry, observe::MetricsObserver};
///
/// let guard = Pipeline::builder("orders")
///     .with(Retry::attempts(3))
///     .observer(MetricsObserver::new())
///     .build()?;
/// # let _ = guard;
/// # Ok::<_, seawall::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct MetricsObserver {
    /// The latest change of each breaker, by its sequence.
    latest: Arc<Mutex<BTreeMap<Name, (u64, State)>>>,
}

impl MetricsObserver {
    /// One that describes its metrics to the recorder, which should be installed by now.
    pub fn new() -> Self {
        for (name, what) in COUNTERS {
            describe_counter!(name, what);
        }
        #[cfg(feature = "saga")]
        for (name, what) in saga::COUNTERS {
            describe_counter!(name, what);
        }
        describe_gauge!(
            "seawall_breaker_state",
            "0 closed, 1 half-open, 2 open, 3 isolated, 4 disabled, 5 metrics-only"
        );
        describe_histogram!(
            "seawall_wait_seconds",
            metrics::Unit::Seconds,
            "Waits that ended with going on"
        );
        MetricsObserver::default()
    }

    /// Sets the gauge to the latest state. Foreign code runs outside the lock, so another thread
    /// may set it in between: whoever was overtaken sets it again.
    fn state_changed(&self, policy: Name, to: State, sequence: u64) {
        let mut told = None;
        loop {
            let latest = {
                let mut latest = self.latest.lock();
                let known = latest.entry(policy).or_insert((sequence, to));
                if known.0 < sequence {
                    *known = (sequence, to);
                }
                *known
            };
            if told == Some(latest) {
                return;
            }
            told = Some(latest);
            gauge!("seawall_breaker_state", "policy" => policy.as_str()).set(number(latest.1));
        }
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsObserver")
    }
}

impl Observer for MetricsObserver {
    fn on_event(&self, source: Name, event: &Event<'_>) {
        let by = |policy: Name| [("source", source.as_str()), ("policy", policy.as_str())];
        let with = |policy: Name, key: &'static str, value: &'static str| {
            let [source, policy] = by(policy);
            [source, policy, (key, value)]
        };
        match *event {
            Event::Waiting { policy, .. } => counter!("seawall_waits_total", &by(policy)),
            Event::Waited { policy, waited } => {
                return histogram!("seawall_wait_seconds", &by(policy)).record(waited);
            }
            Event::AttemptEnded { class, .. } => {
                let labels = [("source", source.as_str()), ("class", label::class(class))];
                counter!("seawall_attempts_total", &labels)
            }
            Event::TimedOut { policy, running } => {
                let labels = with(policy, "running", label::running(running));
                counter!("seawall_timeouts_total", &labels)
            }
            Event::RetryScheduled { policy, .. } => {
                counter!("seawall_retries_total", &by(policy))
            }
            Event::GaveUp { policy, why } => {
                counter!(
                    "seawall_gave_up_total",
                    &with(policy, "why", label::why(why))
                )
            }
            Event::Hedged { policy, .. } => counter!("seawall_hedges_total", &by(policy)),
            Event::Rejected(rejected) => {
                let reason = label::reason(&rejected.reason);
                let labels = with(rejected.policy, "reason", reason);
                counter!("seawall_rejections_total", &labels)
            }
            Event::StateChanged {
                policy,
                from,
                to,
                sequence,
                ..
            } => {
                self.state_changed(policy, to, sequence);
                let (from, to) = (label::state(from), label::state(to));
                let labels = [("policy", policy.as_str()), ("from", from), ("to", to)];
                counter!("seawall_breaker_changes_total", &labels)
            }
            Event::ServedStale { policy, .. } => {
                counter!("seawall_stale_served_total", "policy" => policy.as_str())
            }
            Event::Undo {
                scope,
                step,
                outcome,
            } => {
                let outcome = match outcome {
                    UndoOutcome::Undone { .. } => "undone",
                    UndoOutcome::Retrying { .. } => "retrying",
                    UndoOutcome::Left { .. } => "left",
                };
                let (scope, step) = (scope.as_str(), step.as_str());
                let labels = [("scope", scope), ("step", step), ("outcome", outcome)];
                counter!("seawall_undo_total", &labels)
            }
            #[cfg(feature = "saga")]
            Event::Saga(event) => return saga::count(event),
            #[cfg(feature = "saga")]
            Event::StoreClosed { .. } => counter!("seawall_saga_stores_closed_total"),
        }
        .increment(1);
    }
}

fn number(state: State) -> f64 {
    match state {
        State::Closed => 0.0,
        State::HalfOpen => 1.0,
        State::Open => 2.0,
        State::Isolated => 3.0,
        State::Disabled => 4.0,
        State::MetricsOnly => 5.0,
    }
}

const COUNTERS: [(&str, &str); 10] = [
    ("seawall_waits_total", "Calls that had to wait"),
    ("seawall_attempts_total", "Answers of operations"),
    ("seawall_timeouts_total", "Deadlines that cut something"),
    (
        "seawall_retries_total",
        "Further attempts that were scheduled",
    ),
    (
        "seawall_gave_up_total",
        "Further attempts that were not made",
    ),
    ("seawall_hedges_total", "Attempts started beside others"),
    ("seawall_rejections_total", "Refusals"),
    (
        "seawall_breaker_changes_total",
        "Changes of a breaker's state",
    ),
    (
        "seawall_stale_served_total",
        "Failed calls answered with an earlier answer",
    ),
    ("seawall_undo_total", "Compensations tried"),
];
