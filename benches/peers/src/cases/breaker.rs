use crate::{Case, HOUR, Leaf, SECOND, guarded, operation};
use failsafe::backoff::{Constant, constant};
use failsafe::futures::CircuitBreaker as _;
use failsafe::{StateMachine, failure_policy};
use recloser::{AsyncRecloser, Recloser};
use seawall::CircuitBreaker;
use tower::Layer;
use tower_resilience::circuitbreaker::CircuitBreakerLayer;

pub fn cases() -> Vec<Case> {
    let group = "breaker, consecutive failures";
    let guard = CircuitBreaker::new("bench").consecutive_failures(5).build();
    let guard = guard.expect("five failures");
    let service = guard.layer().layer(Leaf);
    let peer = CircuitBreakerLayer::builder().consecutive_failures(5);
    let peer = peer.build().expect("five failures");
    let rival = failsafe();
    let mut cases = vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "failsafe", move || rival.call(operation!())),
        Case::service(group, "tower-resilience", peer.layer(Leaf)),
    ];

    let group = "breaker, failure rate over 100 calls";
    let guard = seawall();
    let service = guard.layer().layer(Leaf);
    let rival = recloser();
    let peer = tower_resilience();
    cases.extend([
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "recloser", move || rival.call(operation!())),
        Case::service(group, "tower-resilience", peer.layer(Leaf)),
    ]);

    let group = "breaker, failure rate over 10 s";
    let guard = CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .time_window(10 * SECOND)
        .minimum_calls(20)
        .build()
        .expect("a rate");
    let policy =
        failure_policy::success_rate_over_time_window(0.5, 20, 10 * SECOND, constant(SECOND));
    let rival = failsafe::Config::new().failure_policy(policy).build();
    cases.extend([
        guarded!(group, guard),
        Case::future(group, "failsafe", move || rival.call(operation!())),
    ]);
    cases
}

pub fn seawall() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("a rate over a hundred calls")
}

pub fn failsafe() -> StateMachine<failure_policy::ConsecutiveFailures<Constant>, ()> {
    let policy = failure_policy::consecutive_failures(5, constant(HOUR));
    failsafe::Config::new().failure_policy(policy).build()
}

pub fn recloser() -> AsyncRecloser {
    Recloser::custom()
        .error_rate(0.5)
        .closed_len(100)
        .open_wait(HOUR)
        .build()
        .into()
}

pub fn tower_resilience() -> CircuitBreakerLayer<tower_resilience::circuitbreaker::DefaultClassifier>
{
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .wait_duration_in_open(HOUR)
        .build()
        .expect("a rate over a hundred calls")
}
