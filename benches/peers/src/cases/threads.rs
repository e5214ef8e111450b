//! Two threads, one guard: each makes its calls in a loop, as fast as it can.
use super::{
    breaker::circuitbreaker_rs, bulkhead::try_acquire, rate_limit as limits, stack as stacks,
};
use crate::SECOND;
use crate::case::{Case, twice};
use crate::groups::{
    TWO_BULKHEAD, TWO_CONSECUTIVE, TWO_COUNT_WINDOW, TWO_FIVE, TWO_FOUR, TWO_FULL, TWO_OPEN,
    TWO_RATE_LIMIT, TWO_RETRY, TWO_SLOW_CALLS, TWO_SPENT, TWO_TIME_WINDOW, TWO_TIMEOUT,
};
use crate::guards::{breaker, bulkhead, rate_limit, retry, stack, timeout};
use crate::operation::{Leaf, guarded, operation};
use failsafe::futures::CircuitBreaker as _;
use governor::clock::{DefaultClock, MonotonicClock};
use tower::Layer;
use tower::limit::ConcurrencyLimit;

pub fn cases() -> Vec<Case> {
    let mut cases = stateless();
    cases.extend(breakers());
    cases.extend(limits());
    cases.extend(refused());
    cases.extend(five());
    cases
}

/// Ours, by two threads.
macro_rules! ours {
    ($group:expr, $guard:expr) => {
        twice($guard, |guard| guarded!($group, guard))
    };
}

fn stateless() -> Vec<Case> {
    let group = &TWO_TIMEOUT;
    let mut cases = vec![
        ours!(group, timeout::seawall()),
        twice((), |()| {
            Case::future(group, "tokio", || {
                tokio::time::timeout(SECOND, operation!())
            })
        }),
    ];
    let group = &TWO_RETRY;
    let guard = retry::seawall().build().expect("three attempts");
    let peer = retry::tower_resilience().layer(Leaf);
    cases.extend([
        ours!(group, guard),
        Case::services(group, "tower-resilience", peer),
    ]);
    cases
}

fn breakers() -> Vec<Case> {
    let group = &TWO_CONSECUTIVE;
    let peer = breaker::tower_resilience_consecutive().layer(Leaf);
    let mut cases = vec![
        ours!(group, breaker::seawall_consecutive()),
        twice(breaker::failsafe_consecutive(), |rival| {
            Case::future(group, "failsafe", move || rival.call(operation!()))
        }),
        twice(breaker::circuitbreaker_rs(), |rival| {
            circuitbreaker_rs(group, rival)
        }),
        Case::services(group, "tower-resilience", peer),
    ];

    let group = &TWO_COUNT_WINDOW;
    let peer = breaker::tower_resilience().layer(Leaf);
    cases.extend([
        ours!(group, breaker::seawall()),
        twice(breaker::recloser(), |rival| {
            Case::future(group, "recloser", move || rival.call(operation!()))
        }),
        Case::services(group, "tower-resilience, tumbling", peer),
    ]);

    let group = &TWO_TIME_WINDOW;
    cases.extend([
        ours!(group, breaker::seawall_over(10 * SECOND)),
        twice(breaker::failsafe_over(10 * SECOND), |rival| {
            Case::future(group, "failsafe", move || rival.call(operation!()))
        }),
    ]);

    let group = &TWO_SLOW_CALLS;
    cases.push(ours!(group, breaker::seawall_slow()));
    cases
}

fn limits() -> Vec<Case> {
    let group = &TWO_BULKHEAD;
    let tower = ConcurrencyLimit::new(Leaf, 100);
    let peer = bulkhead::tower_resilience().layer(Leaf);
    let mut cases = vec![
        ours!(group, bulkhead::seawall()),
        twice(bulkhead::semaphore(100), |s| try_acquire(group, s)),
        Case::services(group, "tower", tower),
        Case::services(group, "tower-resilience", peer),
    ];

    let group = &TWO_RATE_LIMIT;
    let peer = rate_limit::tower_resilience().layer(Leaf);
    cases.extend([
        ours!(group, rate_limit::seawall()),
        twice(rate_limit::governor(MonotonicClock), |rival| {
            limits::on_system_clock(group, rival)
        }),
        twice(rate_limit::governor(DefaultClock::default()), |rival| {
            limits::on_counter(group, rival)
        }),
        Case::services(group, "tower-resilience, fixed window", peer),
    ]);
    cases
}

/// Without tower-resilience's open breaker: a call that finds its lock taken sleeps a millisecond.
fn refused() -> Vec<Case> {
    let group = &TWO_OPEN;
    let mut cases = vec![
        ours!(group, breaker::seawall_open()),
        twice(breaker::failsafe_open(), |rival| {
            Case::future(group, "failsafe", move || rival.call(operation!()))
        }),
        twice(breaker::recloser_open(), |rival| {
            Case::future(group, "recloser", move || rival.call(operation!()))
        }),
        twice(breaker::circuitbreaker_rs_open(), |rival| {
            circuitbreaker_rs(group, rival)
        }),
    ];

    let group = &TWO_FULL;
    cases.extend([
        ours!(group, bulkhead::seawall_full()),
        twice(bulkhead::semaphore(0), |s| try_acquire(group, s)),
        Case::services(
            group,
            "tower, with load shed",
            bulkhead::tower_shedding(Leaf, 0),
        ),
    ]);

    let group = &TWO_SPENT;
    cases.extend([
        ours!(group, rate_limit::seawall_spent()),
        twice(rate_limit::governor_spent(MonotonicClock), |rival| {
            limits::on_system_clock(group, rival)
        }),
    ]);
    cases
}

fn five() -> Vec<Case> {
    let group = &TWO_FIVE;
    let five = stack::five();
    let service = five.layer().layer(Leaf);
    let mut cases = vec![
        ours!(group, five),
        Case::services(group, "seawall, Layer", service),
        twice(stack::by_hand(), |parts| stacks::by_hand(group, parts)),
        Case::services(group, "tower-resilience", stack::tower_resilience()),
    ];
    let group = &TWO_FOUR;
    cases.push(ours!(group, stack::four()));
    cases
}
