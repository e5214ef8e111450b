//! The circuit breaker, through its handle: states, events, threads, both surfaces.
// The lints exempt `#[test]` functions, not what they share.
mod model;
mod threads;

use crate::support::{Heard, MS, S, io};
use seawall::circuit_breaker::{Cause, CircuitBreakerConfig, State, Window};
use seawall::clock::Instant;
use seawall::policy::{Call, Enter, Outcome, Policy, Ticket};
use seawall::{CircuitBreaker, Class, Pipeline, Reason, Rejected};
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

#[allow(clippy::disallowed_methods)] // where the paused clock stands
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn admitted(breaker: &CircuitBreaker, at: Instant) -> Ticket {
    match breaker.enter(&Call::at(at)) {
        Enter::Proceed(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn refused(breaker: &CircuitBreaker, at: Instant) -> Reason {
    match breaker.enter(&Call::at(at)) {
        Enter::Reject(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn end(breaker: &CircuitBreaker, ticket: Ticket, outcome: Outcome<'_>, at: Instant) {
    breaker.exit(ticket, &outcome, &Call::at(at));
}

pub(crate) const OK: Outcome<'static> = Outcome::Answered(Class::Success);
pub(crate) const FAILED: Outcome<'static> = Outcome::Answered(Class::Transient);

fn call(breaker: &CircuitBreaker, outcome: Outcome<'_>, at: Instant) {
    end(breaker, admitted(breaker, at), outcome, at);
}

fn three() -> CircuitBreakerConfig {
    CircuitBreaker::new("b")
        .consecutive_failures(3)
        .break_for(S)
        .half_open_probes(2)
}

fn tripped(config: CircuitBreakerConfig) -> (CircuitBreaker, Instant) {
    let (breaker, t) = (config.build().unwrap(), now());
    for _ in 0..3 {
        call(&breaker, FAILED, t);
    }
    assert_eq!(breaker.state(), State::Open);
    (breaker, t)
}

#[tokio::test(start_paused = true)]
async fn every_outcome_counts_as_its_row_of_the_table_says() {
    let rejected = Rejected::new("inner".into(), Reason::BulkheadFull);
    let answered = Outcome::Answered;
    // What a call says while closed, and as a probe: a failure, a success, or nothing.
    let table = [
        (answered(Class::Success), Some(false), Some(false)),
        (answered(Class::Transient), Some(true), Some(true)),
        (answered(Class::Throttled(Some(S))), None, Some(true)),
        (answered(Class::Failed), Some(true), Some(true)),
        (answered(Class::Permanent), Some(false), Some(false)),
        (answered(Class::Ignored), None, None),
        (Outcome::TimedOut, Some(true), Some(true)),
        (Outcome::Rejected(&rejected), None, None),
        (Outcome::Cancelled, None, None),
        (Outcome::Unused, None, None),
        (Outcome::Panicked, Some(true), Some(true)),
    ];
    for (outcome, closed, probe) in table {
        let breaker = three().count_window(10).minimum_calls(10).build().unwrap();
        call(&breaker, outcome, now());
        let counts = breaker.snapshot().count_window.unwrap();
        let expected = (closed.is_some() as u64, (closed == Some(true)) as u64);
        assert_eq!((counts.calls, counts.failures), expected, "{outcome:?}");

        let (breaker, t) = tripped(three());
        call(&breaker, outcome, t + S);
        let probes = breaker.snapshot().probes.unwrap();
        let expected = (probe.is_some() as u64, (probe == Some(true)) as u64);
        let answered = probes.answered;
        assert_eq!(
            (answered.calls, answered.failures, probes.out),
            (expected.0, expected.1, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn reading_moves_nothing_and_the_first_call_after_the_break_does() {
    let (breaker, t) = tripped(three());
    assert_eq!(breaker.snapshot().next_attempt_at, Some(t + S));
    assert_eq!(
        refused(&breaker, t),
        Reason::CircuitOpen {
            retry_after: Some(S)
        }
    );
    tokio::time::advance(5 * S).await;
    for _ in 0..2 {
        let seen = breaker.snapshot();
        assert_eq!((seen.state, breaker.state()), (State::Open, State::Open));
        assert_eq!(seen.next_attempt_at, Some(now()), "due");
        assert_eq!(seen, breaker.snapshot());
    }
    admitted(&breaker, now());
    let seen = breaker.snapshot();
    assert_eq!(
        (seen.state, seen.cause),
        (State::HalfOpen, Some(Cause::BreakOver))
    );
    assert_eq!((seen.next_attempt_at, seen.probes.unwrap().out), (None, 1));
    admitted(&breaker, now());
    assert_eq!(
        refused(&breaker, now()),
        Reason::CircuitOpen { retry_after: None }
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_counts_nowhere() {
    let breaker = three().build().unwrap();
    let t = now();
    let late: Vec<_> = (0..9).map(|_| admitted(&breaker, t)).collect();
    for ticket in &late[..4] {
        end(&breaker, *ticket, FAILED, t);
    }
    assert_eq!(
        breaker.snapshot().consecutive_failures,
        Some(3),
        "the fourth was late"
    );
    end(&breaker, late[4], FAILED, t + S);
    let probes = [(); 2].map(|()| admitted(&breaker, t + S));
    end(&breaker, late[5], FAILED, t + S);
    assert_eq!(breaker.snapshot().probes.unwrap().out, 2);
    for probe in probes {
        end(&breaker, probe, OK, t + S);
    }
    assert_eq!(breaker.state(), State::Closed);
    for ticket in &late[6..] {
        end(&breaker, *ticket, FAILED, t + S);
    }
    assert_eq!(breaker.snapshot().consecutive_failures, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_never_ends_gives_its_slot_up() {
    let (breaker, t) = tripped(three().half_open_probes(1).probe_lease(9 * S));
    let hung = admitted(&breaker, t + S);
    assert_eq!(
        refused(&breaker, t + 10 * S - MS),
        Reason::CircuitOpen { retry_after: None }
    );
    let heir = admitted(&breaker, t + 10 * S);
    end(&breaker, hung, FAILED, t + 10 * S);
    assert_eq!(breaker.state(), State::HalfOpen);
    end(&breaker, heir, OK, t + 10 * S);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn time_that_stands_still_or_runs_backwards_does_no_harm() {
    tokio::time::advance(100 * S).await;
    let config = three()
        .slow_call_rate(0.5, MS)
        .time_window(S)
        .minimum_calls(2);
    let breaker = config.build().unwrap();
    let (t, before) = (now(), now() - 50 * S);
    for _ in 0..5 {
        end(&breaker, admitted(&breaker, t), OK, before);
        end(&breaker, admitted(&breaker, before), OK, before);
    }
    let counts = breaker.snapshot().time_window.unwrap();
    assert_eq!((counts.calls, counts.slow_calls), (10, 0));
    for _ in 0..3 {
        call(&breaker, FAILED, before);
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(matches!(
        refused(&breaker, before),
        Reason::CircuitOpen {
            retry_after: Some(_)
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn slow_calls_trip_strictly_above_the_limit() {
    let config = CircuitBreaker::new("b")
        .slow_call_rate(1.0, 10 * MS)
        .count_window(4);
    let (breaker, t) = (config.build().unwrap(), now());
    let took = |time| end(&breaker, admitted(&breaker, t), OK, t + time);
    took(10 * MS);
    for _ in 0..3 {
        took(11 * MS);
    }
    assert_eq!(breaker.state(), State::Closed);
    took(11 * MS);
    let window = Window::Calls(4);
    let cause = Cause::SlowCallRate {
        slow: 4,
        calls: 4,
        window,
    };
    assert_eq!(breaker.snapshot().cause, Some(cause));
}

#[tokio::test(start_paused = true)]
async fn a_success_that_meets_the_minimum_trips() {
    let config = CircuitBreaker::new("b")
        .failure_rate(0.5)
        .time_window(S)
        .minimum_calls(4);
    let (breaker, t) = (config.build().unwrap(), now());
    for outcome in [FAILED, FAILED, OK, OK] {
        assert_eq!(breaker.state(), State::Closed);
        call(&breaker, outcome, t);
    }
    let window = Window::Time(S);
    let cause = Cause::FailureRate {
        failures: 2,
        calls: 4,
        window,
    };
    assert_eq!(breaker.snapshot().cause, Some(cause));
}

#[tokio::test(start_paused = true)]
async fn a_hint_opens_it_only_where_asked_for() {
    let throttled = Outcome::Answered(Class::Throttled(Some(7 * S)));
    let (asked, t) = (three().open_on_retry_after(5 * S).build().unwrap(), now());
    call(&asked, throttled, t);
    assert_eq!(
        refused(&asked, t),
        Reason::CircuitOpen {
            retry_after: Some(5 * S)
        }
    );
    let not = three().build().unwrap();
    call(&not, throttled, t);
    assert_eq!(not.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_does_what_it_is_told_and_tells_its_own_observer() {
    let heard = Heard::default();
    let breaker = three().observer(heard.observer()).build().unwrap();
    let t = now();
    breaker.close();
    breaker.isolate();
    breaker.isolate();
    assert_eq!(refused(&breaker, t + 900 * S), Reason::CircuitIsolated);
    breaker.disable();
    for _ in 0..9 {
        call(&breaker, FAILED, t);
    }
    assert_eq!(breaker.snapshot().consecutive_failures, Some(0));
    breaker.metrics_only();
    for _ in 0..9 {
        call(&breaker, FAILED, t);
    }
    let seen = breaker.snapshot();
    assert_eq!(
        (seen.state, seen.consecutive_failures),
        (State::MetricsOnly, Some(9))
    );
    breaker.close();
    assert_eq!(breaker.snapshot().consecutive_failures, Some(0));
    call(&breaker, FAILED, t);
    breaker.close();
    assert_eq!(
        breaker.snapshot().consecutive_failures,
        Some(1),
        "it was closed already"
    );
    breaker.reset();
    let seen = breaker.snapshot();
    assert_eq!((seen.consecutive_failures, seen.cause), (Some(0), None));
    let changes = ["Isolated", "Disabled", "MetricsOnly", "Closed"];
    let told = heard.all();
    assert_eq!(told.len(), changes.len(), "{told:?}");
    for (i, (to, event)) in changes.iter().zip(told).enumerate() {
        let end = format!("to: {to}, cause: ByHand, sequence: {} }}", i + 1);
        assert!(event.ends_with(&end), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_hears_of_the_changes_its_calls_made_in_sequence() {
    let (own, heard) = (Heard::default(), Heard::default());
    let config = three().half_open_probes(1).observer(own.observer());
    let breaker = config.build().unwrap();
    let pipeline = Pipeline::builder("p")
        .with(&breaker)
        .observer(heard.observer())
        .build()
        .unwrap();
    for _ in 0..3 {
        pipeline
            .run(|| async { Err::<(), _>(io()) })
            .await
            .unwrap_err();
    }
    tokio::time::advance(S).await;
    pipeline
        .run(|| async { Ok::<_, std::io::Error>(()) })
        .await
        .unwrap();
    breaker.isolate();
    let mut changes = heard.all();
    changes.retain(|event| event.starts_with("StateChanged"));
    let expected = [
        "from: Closed, to: Open, cause: ConsecutiveFailures { failures: 3 }, sequence: 1",
        "from: Open, to: HalfOpen, cause: BreakOver, sequence: 2",
        "from: HalfOpen, to: Closed, cause: Probes { probes: 1, failures: 0, slow: 0 }, sequence: 3",
    ];
    assert_eq!(changes.len(), expected.len(), "{changes:?}");
    for (event, expected) in changes.iter().zip(expected) {
        assert!(event.contains(expected), "{event}");
    }
    assert_eq!(own.all().len(), 1, "only what was done by hand");
    assert!(own.all()[0].contains("sequence: 4"));
}

#[tokio::test(start_paused = true)]
async fn a_break_keeps_within_growth_jitter_and_cap_and_repeats_by_its_seed() {
    let lengths = |seed| {
        let config = three().half_open_probes(1).seed(seed).break_jitter(0.2);
        let (breaker, mut t) = tripped(config.break_growth(2.0, 5 * S));
        let mut lengths = Vec::new();
        for _ in 0..6 {
            let length = breaker.snapshot().next_attempt_at.unwrap() - t;
            lengths.push(length);
            t += length;
            call(&breaker, FAILED, t);
        }
        lengths
    };
    let drawn = lengths(3);
    for (length, plain) in drawn.iter().zip([1, 2, 4, 8, 16, 32]) {
        let plain = S * plain;
        let bounds = plain.mul_f64(0.8).min(5 * S)..=plain.mul_f64(1.2).min(5 * S);
        assert!(bounds.contains(length), "{length:?} in {bounds:?}");
    }
    assert_eq!(drawn[5], 5 * S);
    assert_eq!(drawn, lengths(3));
    assert_ne!(drawn, lengths(4));
}

#[tokio::test(start_paused = true)]
async fn run_and_layer_guard_with_the_same_state() {
    let breaker = three().half_open_probes(1).build().unwrap();
    let service = breaker.layer().layer(service_fn(
        async |fail: bool| {
            if fail { Err(io()) } else { Ok("answer") }
        },
    ));
    for _ in 0..2 {
        service.clone().oneshot(true).await.unwrap_err();
    }
    breaker
        .run(|| async { Err::<(), _>(io()) })
        .await
        .unwrap_err();
    let error = service.clone().oneshot(false).await.unwrap_err();
    let refused = error.rejected().unwrap();
    assert_eq!((refused.retry_after(), refused.started), (Some(S), 0));
    tokio::time::advance(S).await;
    assert_eq!(service.oneshot(false).await.unwrap(), "answer");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_slot_back_and_a_dropped_call_counts_nowhere() {
    let breaker = three().half_open_probes(1).build().unwrap();
    let pending = || std::future::pending::<Result<(), std::io::Error>>();
    let mut dropped = tokio_test::task::spawn(breaker.run(pending));
    assert!(dropped.poll().is_pending());
    drop(dropped);
    assert_eq!(breaker.snapshot().consecutive_failures, Some(0));
    for _ in 0..3 {
        breaker
            .run(|| async { Err::<(), _>(io()) })
            .await
            .unwrap_err();
    }
    tokio::time::advance(S).await;
    let mut probe = tokio_test::task::spawn(breaker.run(pending));
    assert!(probe.poll().is_pending());
    assert_eq!(breaker.snapshot().probes.unwrap().out, 1);
    drop(probe);
    assert_eq!(breaker.snapshot().probes.unwrap().out, 0);
    breaker
        .run(|| async { Ok::<_, std::io::Error>(()) })
        .await
        .unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn it_works_without_a_runtime() {
    let breaker = three().time_window(Duration::from_secs(5)).build().unwrap();
    let run = breaker.run(|| async { Ok::<_, std::io::Error>(7) });
    let mut run = tokio_test::task::spawn(run);
    assert!(matches!(run.poll(), std::task::Poll::Ready(Ok(7))));
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 1);
}
