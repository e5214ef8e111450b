use crate::case::Case;
use crate::groups::{CONSECUTIVE, CONTENTS, COUNT_WINDOW, Group, SLOW_CALLS, TIME_WINDOW};
use crate::guards::breaker;
use crate::operation::{Down, Leaf, guarded, once, operation};
use crate::{HOUR, SECOND};
use circuitbreaker_rs::{CircuitBreaker as BreakerRs, DefaultPolicy};
use failsafe::futures::CircuitBreaker as _;
use seawall::CircuitBreaker;
use std::time::Duration;
use tower::Layer;

pub fn cases() -> Vec<Case> {
    let mut cases = consecutive();
    cases.extend(count_window());
    cases.extend(time_window());
    cases.extend(contents());
    cases.extend(slow_calls());
    cases
}

fn consecutive() -> Vec<Case> {
    let group = &CONSECUTIVE;
    let guard = breaker::seawall_consecutive();
    let service = guard.layer().layer(Leaf);
    let rival = breaker::failsafe_consecutive();
    let peer = breaker::tower_resilience_consecutive().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "failsafe", move || rival.call(operation!())),
        circuitbreaker_rs(group, breaker::circuitbreaker_rs()),
        Case::service(group, "tower-resilience", peer),
    ]
}

pub fn circuitbreaker_rs(group: &'static Group, guard: BreakerRs<DefaultPolicy, Down>) -> Case {
    Case::future(group, "circuitbreaker-rs", move || {
        let guard = guard.clone();
        async move { guard.call_async(|| operation!()).await }
    })
}

fn count_window() -> Vec<Case> {
    let group = &COUNT_WINDOW;
    let guard = breaker::seawall();
    let service = guard.layer().layer(Leaf);
    let rival = breaker::recloser();
    let peer = breaker::tower_resilience().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "recloser", move || rival.call(operation!())),
        Case::service(group, "tower-resilience, tumbling", peer),
    ]
}

fn time_window() -> Vec<Case> {
    let group = &TIME_WINDOW;
    let guard = breaker::seawall_over(10 * SECOND);
    let service = guard.layer().layer(Leaf);
    let rival = breaker::failsafe_over(10 * SECOND);
    // Each call looks at each one in the window.
    let peer = breaker::tower_resilience_over(Duration::from_millis(10)).layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "failsafe", move || rival.call(operation!())),
        Case::service(group, "tower-resilience, over 10 ms", peer),
    ]
}

/// Calls that a window of an hour holds.
fn contents() -> Vec<Case> {
    let group = &CONTENTS;
    let nearly_empty = breaker::seawall_over(HOUR);
    vec![
        guarded!(group, "seawall, all calls since the start in it", {
            let guard = breaker::seawall_over(HOUR);
            (0..1_000_000).for_each(|_| _ = once(guard.run(|| operation!())));
            guard
        }),
        emptied(group, nearly_empty),
    ]
}

fn emptied(group: &'static Group, guard: CircuitBreaker) -> Case {
    let mut calls = 0;
    let bytes = size_of_val(&guard.run(|| operation!()));
    Case::new(
        group,
        "seawall, at most 1000 calls in it",
        bytes,
        move || {
            calls += 1;
            if calls == 1000 {
                calls = 0;
                guard.reset();
            }
            crate::operation::consume(once(guard.run(|| operation!())));
        },
    )
}

fn slow_calls() -> Vec<Case> {
    let group = &SLOW_CALLS;
    let guard = breaker::seawall_slow();
    let service = guard.layer().layer(Leaf);
    let peer = breaker::tower_resilience_slow().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::service(group, "tower-resilience, tumbling", peer),
    ]
}
