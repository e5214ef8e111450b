//! Real threads on one breaker.
use super::{FAILED, OK, now};
use crate::support::{MS, S};
use seawall::circuit_breaker::State;
use seawall::policy::{Call, Enter, Policy};
use seawall::{CircuitBreaker, Event, Name};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};

#[test]
fn exactly_the_probes_are_admitted_however_many_ask() {
    const PROBES: u32 = 5;
    for round in 0..50 {
        let breaker = CircuitBreaker::new("b")
            .consecutive_failures(1)
            .break_for(S)
            .half_open_probes(PROBES)
            .build()
            .unwrap();
        let t = now();
        let Enter::Proceed(ticket) = breaker.enter(&Call::at(t)) else {
            panic!("closed");
        };
        breaker.exit(ticket, &FAILED, &Call::at(t));
        let (start, admitted) = (Barrier::new(4), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        if let Enter::Proceed(ticket) = breaker.enter(&Call::at(t + S)) {
                            admitted.lock().unwrap().push(ticket);
                        }
                    }
                });
            }
        });
        let tickets = admitted.into_inner().unwrap();
        assert_eq!(tickets.len() as u32, PROBES, "round {round}");
        // They all answer at once, and decide once.
        std::thread::scope(|scope| {
            for ticket in tickets {
                let breaker = &breaker;
                scope.spawn(move || breaker.exit(ticket, &OK, &Call::at(t + S)));
            }
        });
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().sequence, 3);
    }
}

#[test]
fn a_trip_that_many_threads_cause_happens_once() {
    for _ in 0..50 {
        let breaker = CircuitBreaker::new("b")
            .consecutive_failures(3)
            .failure_rate(0.5)
            .count_window(10)
            .minimum_calls(3)
            .build()
            .unwrap();
        let (t, start) = (now(), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..10 {
                        if let Enter::Proceed(ticket) = breaker.enter(&Call::at(t)) {
                            breaker.exit(ticket, &FAILED, &Call::at(t));
                        }
                    }
                });
            }
        });
        let seen = breaker.snapshot();
        assert_eq!((seen.state, seen.sequence, seen.trips), (State::Open, 1, 1));
    }
}

#[test]
fn answers_that_race_with_a_reset_never_reach_the_new_windows() {
    let breaker = CircuitBreaker::new("b")
        .consecutive_failures(1_000)
        .slow_call_rate(1.0, S)
        .failure_rate(1.0)
        .count_window(1_000)
        .time_window(S)
        .minimum_calls(1_000)
        .build()
        .unwrap();
    for round in 0..200u32 {
        // Each round in a bucket of its own, so that sealing races too.
        let t = now() + S * round / 7;
        let start = Barrier::new(4);
        let tickets: Vec<_> = (0..150)
            .map(|_| match breaker.enter(&Call::at(t)) {
                Enter::Proceed(ticket) => ticket,
                other => panic!("{other:?}"),
            })
            .collect();
        std::thread::scope(|scope| {
            for late in tickets.chunks(50) {
                let (breaker, start) = (&breaker, &start);
                scope.spawn(move || {
                    start.wait();
                    for ticket in late {
                        breaker.exit(*ticket, &FAILED, &Call::at(t + 2 * S));
                    }
                });
            }
            start.wait();
            breaker.reset();
        });
        let seen = breaker.snapshot();
        assert_eq!(seen.consecutive_failures, Some(0), "round {round}");
        assert_eq!(seen.count_window, Some(Default::default()));
        assert_eq!(seen.time_window, Some(Default::default()));
    }
}

#[test]
fn under_a_storm_of_changes_each_is_told_once_and_nothing_is_left_over() {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let twice = Arc::new(AtomicU32::new(0));
    let observer = {
        let (told, twice) = (told.clone(), twice.clone());
        move |_: Name, event: &Event<'_>| {
            if let Event::StateChanged { sequence, .. } = event
                && !told.lock().unwrap().insert(*sequence)
            {
                twice.fetch_add(1, Relaxed);
            }
        }
    };
    let breaker = CircuitBreaker::new("b")
        .consecutive_failures(2)
        .slow_call_rate(0.9, S)
        .count_window(7)
        .minimum_calls(3)
        .time_window(S)
        .break_for(MS)
        .half_open_probes(2)
        .probe_lease(5 * MS)
        .observer(observer)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let breaker = &breaker;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(u64::from(thread));
                for i in 0..3_000u32 {
                    let fails = random.u32(..4) == 0;
                    let mut run = tokio_test::task::spawn(
                        breaker.run(|| async { if fails { Err(()) } else { Ok(()) } }),
                    );
                    assert!(run.poll().is_ready());
                    match (thread, i % 97) {
                        (0, 0) => breaker.isolate(),
                        (0, 1..=3) => breaker.reset(),
                        (1, 50) => breaker.metrics_only(),
                        (1, 51) => breaker.close(),
                        _ => {}
                    }
                }
            });
        }
    });
    let sequence = breaker.snapshot().sequence;
    assert_eq!(twice.load(Relaxed), 0);
    assert_eq!(told.lock().unwrap().len() as u64, sequence);
    assert_eq!(told.lock().unwrap().last(), Some(&sequence));
    breaker.reset();
    let seen = breaker.snapshot();
    assert_eq!(
        (seen.state, seen.consecutive_failures),
        (State::Closed, Some(0))
    );
    assert_eq!(seen.count_window, Some(Default::default()));
    assert_eq!(seen.time_window, Some(Default::default()));
}
