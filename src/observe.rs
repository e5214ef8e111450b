//! Observers that are ready to use: logs by `tracing`, numbers by `metrics`.
//!
//! Each is behind the feature of its name; [`both`] joins two. Their names are public API and
//! change like it.
//!
#![cfg_attr(
    feature = "tracing",
    doc = "[`TracingObserver`] emits `tracing` events"
)]
#![cfg_attr(
    not(feature = "tracing"),
    doc = "`TracingObserver` emits `tracing` events"
)]
//! with the target `seawall`, the message and the fields of this table, and the name of the
//! pipeline (or of a policy alone) as `source`. What happens to single calls is told at `DEBUG`, as
//! it is a flood when much fails; `INFO` and above are for what changes or leaves something behind.
//!
//! | event | message | level | fields beside `source` |
//! |---|---|---|---|
//! | [`Waiting`](Event::Waiting) | `waiting` | debug | `policy`, `at_most_ms` if it is bounded |
//! | [`Waited`](Event::Waited) | `waited` | debug | `policy`, `waited_ms` |
//! | [`AttemptEnded`](Event::AttemptEnded) | `attempt_ended` | debug | `attempt`, `class` |
//! | [`TimedOut`](Event::TimedOut) | `timed_out` | debug | `policy`, `running` |
//! | [`RetryScheduled`](Event::RetryScheduled) | `retry_scheduled` | debug | `policy`, `after_ms` |
//! | [`GaveUp`](Event::GaveUp) | `gave_up` | debug | `policy`, `why` |
//! | [`Hedged`](Event::Hedged) | `hedged` | debug | `policy`, `attempts` |
//! | [`Rejected`](Event::Rejected) | `rejected` | debug | `policy`, `reason`, `started`, `retry_after_ms` if it is known |
//! | [`StateChanged`](Event::StateChanged) | `state_changed` | warn to open and isolated, else info | `policy`, `from`, `to`, `cause`, `sequence` |
//! | [`ServedStale`](Event::ServedStale) | `served_stale` | debug | `policy`, `age_ms` |
//! | [`Undo`](Event::Undo), undone | `undone` | info | `scope`, `step`, `attempts` |
//! | [`Undo`](Event::Undo), to be tried again | `undo_retrying` | warn | `scope`, `step`, `attempt`, `error` |
//! | [`Undo`](Event::Undo), left | `undo_left` | error | `scope`, `step`, `attempts`, `error` |
//! | `Saga`, `Started` | `saga_started` | debug | `id`, `saga`, `key` |
//! | `Saga`, `Resumed` | `saga_resumed` | debug | `id`, `saga`, `key` |
//! | `Saga`, `AttemptEnded` | `saga_attempt_ended` | debug | `id`, `saga`, `key`, `op`, `step`, `attempt`, `outcome` |
//! | `Saga`, `Waiting` | `saga_waiting` | debug | `id`, `saga`, `key`, `op`, `step`, `policy` if one holds it, `until_ms` (UTC), `undo` |
//! | `Saga`, `Undone` | `saga_undone` | info | `id`, `saga`, `key`, `op`, `step`, `attempt` |
//! | `Saga`, `UndoFailed` | `saga_undo_failed` | warn | `id`, `saga`, `key`, `op`, `step`, `attempt`, `error` |
//! | `Saga`, `Stuck` | `saga_stuck` | error | `id`, `saga`, `key`, `kind`, `why` |
//! | `Saga`, `Ended` | `saga_ended` | debug if finished, info if compensated, else warn | `id`, `saga`, `key`, `status` |
//! | `StoreClosed` | `saga_store_closed` | error | `cause` |
//!
//! The events of durable sagas (feature `saga`) come from
//! `saga::Builder::observer`; their `source` is `saga engine`. Errors and reasons are the texts that
//! steps answered with; inputs, commands and outputs are in none of them.
//!
#![cfg_attr(
    feature = "metrics",
    doc = "[`MetricsObserver`] keeps these, through the `metrics` crate's recorder:"
)]
#![cfg_attr(
    not(feature = "metrics"),
    doc = "`MetricsObserver` keeps these, through the `metrics` crate's recorder:"
)]
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `seawall_waits_total` | counter | `source`, `policy` | calls that had to wait |
//! | `seawall_wait_seconds` | histogram | `source`, `policy` | waits that ended with going on |
//! | `seawall_attempts_total` | counter | `source`, `class` | answers of operations |
//! | `seawall_timeouts_total` | counter | `source`, `policy`, `running` | deadlines that cut something |
//! | `seawall_retries_total` | counter | `source`, `policy` | further attempts that were scheduled |
//! | `seawall_gave_up_total` | counter | `source`, `policy`, `why` | further attempts that were not made |
//! | `seawall_hedges_total` | counter | `source`, `policy` | attempts started beside others |
//! | `seawall_rejections_total` | counter | `source`, `policy`, `reason` | refusals |
//! | `seawall_breaker_changes_total` | counter | `policy`, `from`, `to` | changes of a breaker's state |
//! | `seawall_breaker_state` | gauge | `policy` | 0 closed, 1 half-open, 2 open, 3 isolated, 4 disabled, 5 metrics-only |
//! | `seawall_stale_served_total` | counter | `policy` | failed calls answered with an earlier answer |
//! | `seawall_undo_total` | counter | `scope`, `step`, `outcome` | compensations tried: `undone`, `retrying`, `left` |
//! | `seawall_sagas_started_total` | counter | `saga` | sagas that were written down |
//! | `seawall_sagas_resumed_total` | counter | `saga` | sagas taken into memory again |
//! | `seawall_saga_attempts_total` | counter | `saga`, `step`, `outcome` | attempts of steps that ended |
//! | `seawall_saga_waits_total` | counter | `saga`, `step`, `policy` | waits of steps before an attempt; no policy: a backoff |
//! | `seawall_saga_undo_total` | counter | `saga`, `step`, `outcome` | attempts of compensations: `undone`, `failed` |
//! | `seawall_sagas_stuck_total` | counter | `saga`, `kind` | sagas parked for an operator |
//! | `seawall_sagas_ended_total` | counter | `saga`, `status` | sagas that ended |
//! | `seawall_saga_stores_closed_total` | counter | | stores that closed |
//!
//! | label | values |
//! |---|---|
//! | `class` | `success`, `transient`, `throttled`, `failed`, `permanent`, `ignored` |
//! | `why` | `attempts`, `budget`, `deadline`, `not_repeatable` |
//! | `reason` | `circuit_open`, `circuit_isolated`, `bulkhead_full`, `queue_timeout`, `rate_limited`, `exceeds_burst`, `timed_out`, `deadline_too_close`, `expired`, `no_timer`, `other` |
//! | `from`, `to` | `closed`, `open`, `half_open`, `isolated`, `disabled`, `metrics_only` |
//! | `outcome` of an attempt | `done`, `refused`, `transient`, `unknown`, `never_applied`, `held` |
//! | `kind` | `code`, `forward`, `backward`, `unknown`, `saga`, `crashes`, `damage` |
//! | `status` | `finished`, `compensated`, `compensated_with_exceptions`, `forced` |
//! | `running` | `true`: an attempt was cut; `false`: a wait |
#![cfg_attr(
    all(feature = "tracing", feature = "metrics"),
    doc = r#"
```
use seawall::observe::{MetricsObserver, TracingObserver, both};
use seawall::{Pipeline, Retry};

let catalog = Pipeline::builder("catalog")
    .with(Retry::attempts(3))
    .observer(both(TracingObserver, MetricsObserver::new()))
    .build()?;
# let _ = catalog;
# Ok::<_, seawall::BuildError>(())
```"#
)]
#[cfg(any(feature = "tracing", feature = "metrics"))]
mod label;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(test, feature = "metrics", feature = "saga", feature = "tracing"))]
mod tests;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

use crate::{Event, Name, Observer, event};

/// An observer that tells two others, the first one first.
///
/// A panic of one does not keep the event from the other.
///
/// ```
/// use seawall::{Event, Name, Pipeline, Retry, observe::both};
///
/// let log = |source: Name, event: &Event<'_>| println!("{source}: {event:?}");
/// let page = |_: Name, event: &Event<'_>| if let Event::StateChanged { .. } = event { /* .. */ };
/// let guard = Pipeline::builder("p").with(Retry::attempts(2)).observer(both(log, page)).build()?;
/// # let _ = guard;
/// # Ok::<_, seawall::BuildError>(())
/// ```
pub fn both<A: Observer, B: Observer>(first: A, second: B) -> impl Observer {
    move |source: Name, event: &Event<'_>| {
        event::notify(&first, source, event);
        event::notify(&second, source, event);
    }
}
