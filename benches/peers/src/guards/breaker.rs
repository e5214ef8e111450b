use crate::operation::{Broken, Down, consume, down, drive, operation};
use crate::{HOUR, SECOND};
use circuitbreaker_rs::{CircuitBreaker as BreakerRs, DefaultPolicy};
use failsafe::backoff::{Constant, constant};
use failsafe::failure_policy::{self, ConsecutiveFailures, SuccessRateOverTimeWindow};
use failsafe::futures::CircuitBreaker as _;
use recloser::{AsyncRecloser, Recloser};
use seawall::CircuitBreaker;
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{Layer, Service};
use tower_resilience::circuitbreaker::{CircuitBreakerLayer, DefaultClassifier, SlidingWindowType};

pub fn seawall_consecutive() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("bench").consecutive_failures(5);
    breaker.break_for(HOUR).build().expect("five failures")
}

pub fn seawall() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("a rate over a hundred calls")
}

pub fn seawall_over(window: Duration) -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .time_window(window)
        .minimum_calls(20)
        .build()
        .expect("a rate over time")
}

pub fn seawall_slow() -> CircuitBreaker {
    CircuitBreaker::new("bench")
        .failure_rate(0.5)
        .slow_call_rate(0.5, SECOND)
        .count_window(100)
        .minimum_calls(20)
        .build()
        .expect("rates over a hundred calls")
}

pub fn seawall_open() -> CircuitBreaker {
    let breaker = seawall_consecutive();
    (0..5).for_each(|_| consume(drive(breaker.run(down))));
    let refused = drive(breaker.run(|| operation!())).expect_err("the breaker is open");
    assert!(refused.rejected().is_some());
    breaker
}

pub type Failsafe<P> = failsafe::StateMachine<P, ()>;

pub fn failsafe_consecutive() -> Failsafe<ConsecutiveFailures<Constant>> {
    let policy = failure_policy::consecutive_failures(5, constant(HOUR));
    failsafe::Config::new().failure_policy(policy).build()
}

pub fn failsafe_over(window: Duration) -> Failsafe<SuccessRateOverTimeWindow<Constant>> {
    let policy = failure_policy::success_rate_over_time_window(0.5, 20, window, constant(HOUR));
    failsafe::Config::new().failure_policy(policy).build()
}

pub fn failsafe_open() -> Failsafe<ConsecutiveFailures<Constant>> {
    let breaker = failsafe_consecutive();
    (0..5).for_each(|_| consume(drive(breaker.call(down()))));
    let refused = drive(breaker.call(operation!())).expect_err("the breaker is open");
    assert!(matches!(refused, failsafe::Error::Rejected));
    breaker
}

pub fn recloser() -> AsyncRecloser {
    Recloser::custom()
        .error_rate(0.5)
        .closed_len(100)
        .open_wait(HOUR)
        .build()
        .into()
}

pub fn recloser_open() -> AsyncRecloser {
    let breaker = recloser();
    (0..200).for_each(|_| consume(drive(breaker.call(down()))));
    let refused = drive(breaker.call(operation!())).expect_err("the breaker is open");
    assert!(matches!(refused, recloser::Error::Rejected));
    breaker
}

/// It has no window: its rate is one over all calls since it was built, and the windows of its
/// `TimeBasedPolicy` and `ThroughputAwarePolicy` are never told of a call. So it is compared where
/// failures in a row count; the rate is set so that it never trips.
pub fn circuitbreaker_rs() -> BreakerRs<DefaultPolicy, Down> {
    BreakerRs::<DefaultPolicy, Down>::builder()
        .consecutive_failures(5)
        .failure_threshold(2.0)
        .cooldown(HOUR)
        .build()
}

pub fn circuitbreaker_rs_open() -> BreakerRs<DefaultPolicy, Down> {
    let breaker = circuitbreaker_rs();
    (0..5).for_each(|_| consume(drive(breaker.call_async(down))));
    let refused = drive(breaker.call_async(|| operation!())).expect_err("the breaker is open");
    assert!(matches!(refused, circuitbreaker_rs::BreakerError::Open));
    breaker
}

pub type Resilient = CircuitBreakerLayer<DefaultClassifier>;

pub fn tower_resilience_consecutive() -> Resilient {
    let breaker = CircuitBreakerLayer::builder().consecutive_failures(5);
    breaker.build().expect("five failures")
}

/// Its count window is not a sliding one: it is full, looked at, and begun anew.
pub fn tower_resilience() -> Resilient {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .wait_duration_in_open(HOUR)
        .build()
        .expect("a rate over a hundred calls")
}

pub fn tower_resilience_over(window: Duration) -> Resilient {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(window)
        .minimum_number_of_calls(20)
        .build()
        .expect("a rate over time")
}

pub fn tower_resilience_slow() -> Resilient {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .slow_call_rate_threshold(0.5)
        .slow_call_duration_threshold(SECOND)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .build()
        .expect("rates over a hundred calls")
}

/// Around a dependency that is down: an open one never asks it.
pub fn tower_resilience_open() -> impl Service<u64, Response = u64> + Clone + Send + 'static {
    let mut service = tower_resilience().layer(Broken);
    for _ in 0..100 {
        let mut cx = Context::from_waker(Waker::noop());
        if service.poll_ready(&mut cx).is_ready() {
            consume(drive(service.call(7)));
        }
    }
    assert!(service.is_open());
    service
}
