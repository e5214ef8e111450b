//! The ready-made observers: every name, field and label they tell, against a golden file; and the
//! order in which a call's events arrive.
mod sagas;

use crate::support::{MS, S};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use proptest::prelude::*;
use seawall::circuit_breaker::{Cause, State};
use seawall::event::{GaveUp, UndoOutcome};
use seawall::observe::{MetricsObserver, TracingObserver, both};
use seawall::retry::Backoff;
use seawall::saga::StoreError;
use seawall::{Class, Event, Name, Observer, Pipeline, Reason, Rejected, Retry, Timeout};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Subscriber, span};

const GOLDEN: &str = include_str!("../golden/observed.txt");

/// What was told, one line each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Fields(String, String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        } else {
            write!(self.1, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(String::new(), String::new());
        event.record(&mut fields);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let Fields(message, fields) = fields;
        self.add(format!("  {level} {target}: {message}{fields}"));
    }
}

struct Told(Lines, String);

impl metrics::CounterFn for Told {
    fn increment(&self, by: u64) {
        self.0.add(format!("  counter {} +{by}", self.1));
    }
    fn absolute(&self, _: u64) {
        panic!("counters only grow");
    }
}

impl metrics::GaugeFn for Told {
    fn increment(&self, _: f64) {
        panic!("the gauge is set");
    }
    fn decrement(&self, _: f64) {
        panic!("the gauge is set");
    }
    fn set(&self, value: f64) {
        self.0.add(format!("  gauge {} {value}", self.1));
    }
}

impl metrics::HistogramFn for Told {
    fn record(&self, value: f64) {
        self.0.add(format!("  histogram {} {value}", self.1));
    }
}

impl Lines {
    fn told(&self, key: &Key) -> Arc<Told> {
        let labels = key.labels().map(|l| format!("{}={}", l.key(), l.value()));
        let labels = labels.collect::<Vec<_>>().join(",");
        Arc::new(Told(self.clone(), format!("{}{{{labels}}}", key.name())))
    }
}

impl Recorder for Lines {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, what: SharedString) {
        self.add(format!("counter {}: {what}", key.as_str()));
    }
    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, what: SharedString) {
        self.add(format!("gauge {}: {what}", key.as_str()));
    }
    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        let unit = unit.map(|u| u.as_str());
        self.add(format!("histogram {} in {unit:?}: {what}", key.as_str()));
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.told(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.told(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.told(key))
    }
}

fn refused(reason: Reason) -> Rejected {
    let mut refused = Rejected::new("policy".into(), reason);
    refused.started = 2;
    refused
}

fn refusals() -> Vec<Rejected> {
    let retry_after = Some(1500 * MS);
    let (after, wait) = (S, S);
    [
        Reason::CircuitOpen { retry_after },
        Reason::CircuitOpen { retry_after: None },
        Reason::CircuitIsolated,
        Reason::BulkheadFull,
        Reason::QueueTimeout { after },
        Reason::RateLimited { retry_after: S },
        Reason::ExceedsBurst {
            weight: 3,
            burst: 2,
        },
        Reason::TimedOut { after },
        Reason::DeadlineTooClose { wait },
        Reason::Expired,
        Reason::NoTimer,
        Reason::Other("drained"),
    ]
    .map(refused)
    .to_vec()
}

/// At least one of every event, and every word that a label can be.
fn samples(refusals: &[Rejected]) -> Vec<Event<'_>> {
    let policy = Name::from_static("policy");
    let mut all = vec![
        Event::Waiting {
            policy,
            at_most: Some(250 * MS),
        },
        Event::Waiting {
            policy,
            at_most: None,
        },
        Event::Waited {
            policy,
            waited: 250 * MS,
        },
    ];
    let classes = [
        Class::Success,
        Class::Transient,
        Class::Throttled(Some(S)),
        Class::Failed,
        Class::Permanent,
        Class::Ignored,
    ];
    all.extend(classes.map(|class| Event::AttemptEnded { attempt: 1, class }));
    all.extend([true, false].map(|running| Event::TimedOut { policy, running }));
    let after = 1500 * std::time::Duration::from_micros(1);
    all.push(Event::RetryScheduled { policy, after });
    let whys = [
        GaveUp::Attempts,
        GaveUp::Budget,
        GaveUp::Deadline,
        GaveUp::NotRepeatable,
    ];
    all.extend(whys.map(|why| Event::GaveUp { policy, why }));
    all.push(Event::Hedged {
        policy,
        attempts: 2,
    });
    all.extend(refusals.iter().map(Event::Rejected));
    let states = [
        State::Closed,
        State::Open,
        State::HalfOpen,
        State::Isolated,
        State::Disabled,
        State::MetricsOnly,
        State::Closed,
    ];
    all.extend(
        states
            .windows(2)
            .zip(1..)
            .map(|(pair, sequence)| Event::StateChanged {
                policy,
                from: pair[0],
                to: pair[1],
                cause: Cause::ByHand,
                sequence,
            }),
    );
    all.push(Event::ServedStale { policy, age: S });
    let (scope, step) = ("order".into(), "charge".into());
    let error = "503";
    let outcomes = [
        UndoOutcome::Undone { attempts: 2 },
        UndoOutcome::Retrying { attempt: 1, error },
        UndoOutcome::Left { attempts: 5, error },
    ];
    all.extend(outcomes.map(|outcome| Event::Undo {
        scope,
        step,
        outcome,
    }));
    all
}

#[test]
fn every_name_field_and_label_is_that_of_the_golden_file() {
    let lines = Lines::default();
    let (refusals, sagas) = (refusals(), sagas::samples());
    let cause = &StoreError::Closed("ENOSPC".into());
    let mut events = samples(&refusals);
    events.extend(sagas.iter().map(Event::Saga));
    events.push(Event::StoreClosed { cause });
    let mut text = String::new();
    metrics::with_local_recorder(&lines.clone(), || {
        tracing::subscriber::with_default(lines.clone(), || {
            let observer = both(TracingObserver, MetricsObserver::new());
            let mut note = |title: String| {
                writeln!(text, "{title}").unwrap();
                for line in lines.take() {
                    writeln!(text, "{line}").unwrap();
                }
            };
            note(String::from("described"));
            for event in events {
                observer.on_event("catalog".into(), &event);
                let debug = format!("{event:?}");
                let title = debug.split([' ', '(', '{']).next().unwrap_or_default();
                note(String::from(title));
            }
        });
    });
    if std::env::var_os("SEAWALL_WRITE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/observed.txt");
        return std::fs::write(path, text).unwrap();
    }
    for (ours, golden) in text.lines().zip(GOLDEN.lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(text.lines().count(), GOLDEN.lines().count());
}

#[test]
fn the_table_in_the_docs_names_everything_in_the_golden_file() {
    let docs = include_str!("../../src/observe.rs");
    for line in GOLDEN.lines().filter(|line| line.starts_with("  ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, rest) = match words[0] {
            "counter" | "gauge" | "histogram" => {
                let (name, labels) = words[1].split_once('{').unwrap();
                let labels = labels.trim_end_matches('}').split(',').collect::<Vec<_>>();
                (name, labels)
            }
            _ => (words[2], words[3..].to_vec()),
        };
        let row = docs
            .lines()
            .find(|row| row.contains(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("`{name}` is not in the table"));
        for (key, _) in rest.iter().filter_map(|part| part.split_once('=')) {
            let tracing_source = key == "source" && words[1] == "seawall:";
            assert!(
                tracing_source || row.contains(&format!("`{key}`")),
                "`{key}` is not in the row of `{name}`"
            );
        }
    }
}

#[test]
fn a_state_told_late_does_not_turn_the_gauge_back() {
    let lines = Lines::default();
    metrics::with_local_recorder(&lines.clone(), || {
        let observer = MetricsObserver::default();
        let change = |from, to, sequence| Event::StateChanged {
            policy: "db".into(),
            from,
            to,
            cause: Cause::ByHand,
            sequence,
        };
        let (second, first) = (
            change(State::Open, State::HalfOpen, 2),
            change(State::Closed, State::Open, 1),
        );
        observer.clone().on_event("p".into(), &second);
        observer.on_event("p".into(), &first);
    });
    let told = lines.take();
    let gauges: Vec<_> = told.iter().filter(|line| line.contains("gauge")).collect();
    assert_eq!(gauges, ["  gauge seawall_breaker_state{policy=db} 1"; 2]);
}

#[test]
fn both_hear_although_the_first_panics() {
    let lines = Lines::default();
    let heard = lines.clone();
    let observer = both(
        |_: Name, _: &Event<'_>| panic!("in the first"),
        move |source: Name, _: &Event<'_>| heard.add(source.to_string()),
    );
    let policy = "p".into();
    observer.on_event(
        "call".into(),
        &Event::Hedged {
            policy,
            attempts: 2,
        },
    );
    assert_eq!(lines.take(), ["call"]);
}

/// How one attempt goes.
#[derive(Clone, Copy, Debug)]
enum Goes {
    Well,
    Wrong,
    Nowhere,
}

fn attempts() -> impl Strategy<Value = Vec<Goes>> {
    let goes = prop_oneof![Just(Goes::Well), Just(Goes::Wrong), Just(Goes::Nowhere)];
    proptest::collection::vec(goes, 1..6)
}

/// The stack from the outside in: a timeout's seconds, or a retry's attempts and backoff in
/// seconds.
fn stack() -> impl Strategy<Value = Vec<Result<u64, (u32, u64)>>> {
    let policy = prop_oneof![(1..20_u64).prop_map(Ok), (1..4_u32, 1..5_u64).prop_map(Err),];
    proptest::collection::vec(policy, 1..5)
}

proptest! {
    /// Whatever the stack: attempts are numbered as they end, those that were cut included, another one is scheduled only after
    /// one has failed, and nothing is said after a success.
    #[test]
    fn events_of_a_call_arrive_in_the_order_of_its_life(stack in stack(), goes in attempts()) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let mut builder = Pipeline::builder("p").observer(move |_: Name, event: &Event<'_>| {
            let what = match event {
                Event::AttemptEnded { attempt, class: Class::Success } => format!("ok {attempt}"),
                Event::AttemptEnded { attempt, .. } => format!("failed {attempt}"),
                Event::TimedOut { running: true, .. } => String::from("cut"),
                Event::TimedOut { .. } => String::from("cut wait"),
                Event::RetryScheduled { .. } => String::from("again"),
                Event::GaveUp { .. } => String::from("gave up"),
                Event::Rejected(_) => String::from("rejected"),
                other => format!("unexpected {other:?}"),
            };
            log.lock().unwrap().push(what);
        });
        for policy in &stack {
            builder = match *policy {
                Ok(seconds) => builder.with(Timeout::after(seconds as u32 * S)),
                Err((n, wait)) => {
                    builder.with(Retry::attempts(n).backoff(Backoff::linear(wait as u32 * S)))
                }
            };
        }
        let pipeline = builder.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let mut script = goes.iter().copied().chain(std::iter::repeat(Goes::Well));
        let answer = runtime.block_on(async {
            let run = pipeline.run(|| {
                let goes = script.next().unwrap();
                async move {
                    match goes {
                        Goes::Well => Ok(()),
                        Goes::Wrong => Err(()),
                        Goes::Nowhere => std::future::pending().await,
                    }
                }
            });
            tokio::time::timeout(3600 * S, run).await
        });
        let heard = heard.lock().unwrap().clone();
        let told = format!("{stack:?} {goes:?}: {heard:?}");
        let mut ended = 0;
        let mut failed = false;
        for (i, what) in heard.iter().enumerate() {
            let (what, number) = what.split_once(' ').unwrap_or((what, ""));
            match (what, number) {
                ("ok" | "failed", number) => {
                    ended += 1;
                    prop_assert_eq!(number.parse(), Ok(ended), "{}", told);
                    failed = what == "failed";
                    prop_assert!(failed || i + 1 == heard.len(), "after a success: {}", told);
                }
                ("cut", "") => {
                    ended += 1;
                    failed = true;
                }
                ("cut", "wait") | ("rejected", "") => {}
                ("again", "") => {
                    prop_assert!(failed, "again without a failure: {}", told);
                    failed = false;
                }
                ("gave", _) => prop_assert!(failed, "gave up without a failure: {}", told),
                _ => prop_assert!(false, "{}", told),
            }
        }
        let ok = heard.last().is_some_and(|last| last.starts_with("ok"));
        prop_assert_eq!(matches!(answer, Ok(Ok(()))), ok, "{}", told);
    }
}
