use super::breaker::circuitbreaker_rs;
use super::{bulkhead::try_acquire, rate_limit as limits};
use crate::case::Case;
use crate::groups::{FULL, OPEN, SPENT, SPENT_COUNTER};
use crate::guards::{breaker, bulkhead, rate_limit};
use crate::operation::{Down, Leaf, guarded, operation};
use governor::clock::{DefaultClock, MonotonicClock};
use tower::Layer;

pub fn cases() -> Vec<Case> {
    let mut cases = open_breaker();
    cases.extend(full_bulkhead());
    cases.extend(spent_rate_limit());
    cases
}

fn open_breaker() -> Vec<Case> {
    let group = &OPEN;
    let guard = breaker::seawall_open();
    let service = guard.layer().layer(Leaf);
    let (failsafe, recloser) = (breaker::failsafe_open(), breaker::recloser_open());
    let asked = failsafe.clone();
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "failsafe", move || {
            failsafe::futures::CircuitBreaker::call(&failsafe, operation!())
        }),
        Case::future(group, "failsafe, `is_call_permitted`", move || {
            let permitted = asked.is_call_permitted();
            async move {
                if permitted {
                    operation!().await
                } else {
                    Err(Down)
                }
            }
        }),
        Case::future(group, "recloser", move || recloser.call(operation!())),
        circuitbreaker_rs(group, breaker::circuitbreaker_rs_open()),
        Case::service(group, "tower-resilience", breaker::tower_resilience_open()),
    ]
}

fn full_bulkhead() -> Vec<Case> {
    let group = &FULL;
    let guard = bulkhead::seawall_full();
    let service = guard.layer().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        try_acquire(group, bulkhead::semaphore(0)),
        Case::service(
            group,
            "tower, with load shed",
            bulkhead::tower_shedding(Leaf, 0),
        ),
    ]
}

fn spent_rate_limit() -> Vec<Case> {
    let group = &SPENT;
    let peer = rate_limit::tower_resilience_spent();
    let mut cases = vec![
        guarded!(group, rate_limit::seawall_spent()),
        limits::on_system_clock(group, rate_limit::governor_spent(MonotonicClock)),
        Case::service(group, "tower-resilience", peer),
    ];
    let group = &SPENT_COUNTER;
    cases.extend([
        limits::by_hand(group, rate_limit::seawall_spent()),
        limits::on_counter(group, rate_limit::governor_spent(DefaultClock::default())),
    ]);
    cases
}
