//! Every name, field and label that the ready-made observers tell, against a golden file. Here, because
//! nobody but the crate can make events.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod sagas;

use super::{MetricsObserver, TracingObserver, both};
use crate::circuit_breaker::{Cause, State};
use crate::event::{GaveUp, UndoOutcome};
use crate::saga::StoreError;
use crate::{Class, Event, Name, Observer, Reason, Rejected};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Subscriber, span};

/// `SEAWALL_WRITE_GOLDEN=1` writes it anew.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/observed.txt");
const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

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
        return std::fs::write(GOLDEN, text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(text.lines().count(), golden.lines().count());
    for (ours, golden) in text.lines().zip(golden.lines()) {
        assert_eq!(ours, golden);
    }
}

#[test]
fn the_table_in_the_docs_names_everything_in_the_golden_file() {
    let docs = include_str!("../observe.rs");
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for line in golden.lines().filter(|line| line.starts_with("  ")) {
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

/// What stands between two of these marks.
fn quoted(text: &str, mark: char) -> BTreeSet<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

#[test]
fn the_values_of_each_label_in_the_docs_are_those_of_the_code_and_of_the_golden_file() {
    let (_, table) = include_str!("../observe.rs")
        .split_once("| label | values |")
        .unwrap();
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (label, key, metric, function) in [
        ("`class`", "class", "attempts", Some("class")),
        ("`why`", "why", "gave_up", Some("why")),
        ("`reason`", "reason", "rejections", Some("reason")),
        ("`from`, `to`", "from", "breaker_changes", Some("state")),
        ("`from`, `to`", "to", "breaker_changes", Some("state")),
        (
            "`outcome` of an attempt",
            "outcome",
            "saga_attempts",
            Some("attempt"),
        ),
        ("`kind`", "kind", "sagas_stuck", None),
        ("`status`", "status", "sagas_ended", None),
        ("`running`", "running", "timeouts", Some("running")),
    ] {
        let row = table
            .lines()
            .find_map(|row| row.strip_prefix(&format!("//! | {label} | ")));
        let documented = quoted(row.unwrap_or_else(|| panic!("{label} has no row")), '`');
        let (counter, key) = (
            format!("  counter seawall_{metric}_total{{"),
            format!("{key}="),
        );
        let told: BTreeSet<_> = golden
            .lines()
            .filter_map(|line| line.strip_prefix(&counter)?.split_once('}'))
            .flat_map(|(labels, _)| labels.split(','))
            .filter_map(|label| label.strip_prefix(&key))
            .collect();
        assert_eq!(documented, told, "{label}: the docs, and the golden file");
        let Some(function) = function else { continue };
        let (_, code) = include_str!("label.rs")
            .split_once(&format!("pub(super) fn {function}("))
            .unwrap();
        let (code, _) = code.split_once("\n}\n").unwrap();
        assert_eq!(
            documented,
            quoted(code, '"'),
            "{label}: the docs, and the code"
        );
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
