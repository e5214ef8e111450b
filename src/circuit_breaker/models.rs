//! Every interleaving of a few calls through one breaker.
use super::policy::CircuitBreaker;
use super::snapshot::Counts;
use super::tagged::Generation;
use super::{CircuitBreakerConfig, State, window_count::CountWindow, window_time::TimeWindow};
use crate::Reason;
use crate::clock;
use crate::policy::{Call, Enter, Outcome, Policy, Ticket};
use loom::{sync::Arc, thread};
use std::time::Duration;

const FIRST: Generation = Generation::of(0);

fn breaker(config: CircuitBreakerConfig) -> CircuitBreaker {
    config.build().unwrap()
}

fn enter(breaker: &CircuitBreaker, call: &Call<'_>) -> Option<Ticket> {
    match breaker.enter(call) {
        Enter::Proceed(ticket) => Some(ticket),
        _ => None,
    }
}

#[test]
fn failures_in_a_row_on_two_threads_trip_once() {
    loom::model(|| {
        let breaker = breaker(CircuitBreaker::new("b").consecutive_failures(2));
        let fail = |breaker: &CircuitBreaker| {
            let call = Call::at(clock::now());
            let ticket = enter(breaker, &call).unwrap();
            breaker.exit(ticket, &Outcome::TimedOut, &call);
        };
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || fail(&breaker))
        };
        fail(&breaker);
        other.join().unwrap();
        let after = breaker.snapshot();
        assert_eq!(
            (after.state, after.sequence, after.trips),
            (State::Open, 1, 1)
        );
        assert_eq!(after.consecutive_failures, Some(2));
    });
}

#[test]
fn of_two_calls_after_the_break_one_is_the_probe() {
    loom::model(|| {
        let breaker = breaker(
            CircuitBreaker::new("b")
                .consecutive_failures(1)
                .break_for(Duration::from_secs(1))
                .half_open_probes(1),
        );
        let now = clock::now();
        let call = Call::at(now);
        let ticket = enter(&breaker, &call).unwrap();
        breaker.exit(ticket, &Outcome::TimedOut, &call);
        let later = now + Duration::from_secs(2);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || enter(&breaker, &Call::at(later)).is_some())
        };
        let mine = enter(&breaker, &Call::at(later)).is_some();
        assert!(mine ^ other.join().unwrap());
        assert_eq!(
            (breaker.state(), breaker.snapshot().sequence),
            (State::HalfOpen, 2)
        );
    });
}

#[test]
fn a_failure_from_before_a_reset_counts_nowhere_after_it() {
    loom::model(|| {
        let breaker = breaker(
            CircuitBreaker::new("b")
                .consecutive_failures(9)
                .count_window(4)
                .failure_rate(1.0),
        );
        let call = Call::at(clock::now());
        let ticket = enter(&breaker, &call).unwrap();
        let late = {
            let breaker = breaker.clone();
            thread::spawn(move || {
                breaker.exit(ticket, &Outcome::TimedOut, &Call::at(clock::now()));
            })
        };
        breaker.reset();
        late.join().unwrap();
        let after = breaker.snapshot();
        assert_eq!(after.state, State::Closed);
        assert_eq!(after.consecutive_failures, Some(0));
        assert_eq!(after.count_window, Some(Counts::default()));
    });
}

#[test]
fn the_count_window_agrees_with_its_bits() {
    loom::model(|| {
        // One place, that both want.
        let window = Arc::new(CountWindow::new(1, false));
        let other = {
            let window = window.clone();
            thread::spawn(move || window.record(FIRST, false, false))
        };
        window.record(FIRST, true, false);
        other.join().unwrap();
        let counts = window.counts();
        assert_eq!(counts.calls, 1);
        assert_eq!(counts.failures, window.failures_marked());
    });
}

#[test]
fn of_a_call_that_counts_and_one_that_seals_neither_is_lost() {
    // Without a bound this does not end: three switches where nothing waits, and any where it does.
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(|| {
        let window = Arc::new(TimeWindow::new(100, 10, 0));
        let other = {
            let window = window.clone();
            thread::spawn(move || window.record(FIRST, true, false, 25))
        };
        window.record(FIRST, false, false, 15);
        other.join().unwrap();
        let counts = window.counts(25);
        assert_eq!((counts.calls, counts.failures), (2, 1));
    });
}

#[test]
fn who_comes_while_it_trips_is_let_in_or_told_the_whole_break() {
    loom::model(|| {
        let config = CircuitBreaker::new("b").consecutive_failures(1);
        let breaker = breaker(config.break_for(Duration::from_secs(9)));
        let now = clock::now();
        let call = Call::at(now);
        let ticket = enter(&breaker, &call).unwrap();
        let comes = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.enter(&Call::at(now)))
        };
        breaker.exit(ticket, &Outcome::TimedOut, &call);
        let retry_after = Some(Duration::from_secs(9));
        match comes.join().unwrap() {
            Enter::Proceed(_) => {}
            other => assert_eq!(other, Enter::Reject(Reason::CircuitOpen { retry_after })),
        }
        assert!(enter(&breaker, &call).is_none());
    });
}

#[test]
fn two_probes_that_answer_at_once_close_it_once() {
    loom::model(|| {
        let config = CircuitBreaker::new("b").consecutive_failures(1);
        let config = config.break_for(Duration::from_secs(1)).half_open_probes(2);
        let breaker = breaker(config);
        let now = clock::now();
        let call = Call::at(now);
        let ticket = enter(&breaker, &call).unwrap();
        breaker.exit(ticket, &Outcome::TimedOut, &call);
        let later = now + Duration::from_secs(2);
        let answer = move |breaker: &CircuitBreaker, ticket| {
            let answered = Outcome::Answered(crate::Class::Success);
            breaker.exit(ticket, &answered, &Call::at(later));
        };
        let probes = [(); 2].map(|()| enter(&breaker, &Call::at(later)).unwrap());
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || answer(&breaker, probes[0]))
        };
        answer(&breaker, probes[1]);
        other.join().unwrap();
        let after = breaker.snapshot();
        assert_eq!((after.state, after.sequence), (State::Closed, 3));
        assert_eq!(after.consecutive_failures, Some(0));
    });
}

#[test]
fn what_a_window_holds_at_the_trip_stays() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(4, true));
        window.record(FIRST, true, true);
        let late = {
            let window = window.clone();
            thread::spawn(move || window.record(FIRST, false, true))
        };
        window.freeze(FIRST.next());
        let at_the_trip = window.counts();
        late.join().unwrap();
        // A call that had its place already may end its marks; nobody gets one any more.
        let after = window.counts();
        assert_eq!(after.calls, at_the_trip.calls);
        assert_eq!(after.failures, 1);
        assert_eq!(window.record(FIRST, true, true), None);
        assert_eq!(window.counts(), after);
    });
}

#[test]
fn a_window_of_time_forgets_what_comes_late_to_its_reset() {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(|| {
        let window = Arc::new(TimeWindow::new(100, 10, 0));
        let late = {
            let window = window.clone();
            thread::spawn(move || window.record(FIRST, true, false, 25))
        };
        window.reset(FIRST.next());
        late.join().unwrap();
        assert_eq!(window.counts(25), Counts::default());
        window.record(FIRST.next(), true, false, 25);
        assert_eq!(window.counts(25).failures, 1);
    });
}
