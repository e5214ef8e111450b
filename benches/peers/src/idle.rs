//! What a policy costs that is there and does nothing: its handle and what it holds on the heap.
use crate::guards::rate_limit::PLENTY;
use crate::guards::{breaker, bulkhead, rate_limit, retry, stack, timeout};
use crate::heap;
use crate::operation::Leaf;
use crate::{HOUR, SECOND};
use governor::{Quota, RateLimiter};
use seawall::Hedge;
use std::hint::black_box;
use std::num::NonZeroU32;
use tokio::sync::Semaphore;
use tower::Layer;
use tower::limit::{ConcurrencyLimit, RateLimit as TowerRateLimit, rate::Rate};

pub struct Idle {
    pub what: &'static str,
    pub who: &'static str,
    pub handle: usize,
    pub heap: i64,
}

/// Each built once before: what is allocated for a first one only (an interned name) is not a
/// policy's.
fn idle<T>(what: &'static str, who: &'static str, make: impl Fn() -> T) -> Idle {
    drop(black_box(make()));
    let before = heap::live();
    let guard = black_box(make());
    let heap = heap::live() - before;
    Idle {
        what,
        who,
        handle: size_of_val(&guard),
        heap,
    }
}

pub fn all() -> Vec<Idle> {
    let mut all = attempts();
    all.extend(breakers());
    all.extend(limits());
    all.extend(stacks());
    all
}

fn attempts() -> Vec<Idle> {
    vec![
        idle("timeout", "seawall", timeout::seawall),
        idle("timeout", "tower", || {
            tower::timeout::Timeout::new(Leaf, SECOND)
        }),
        idle("timeout", "tower-resilience", || {
            timeout::tower_resilience().layer(Leaf)
        }),
        idle("retry", "seawall", || {
            retry::seawall().build().expect("three attempts")
        }),
        idle("retry", "backon", retry::backon),
        idle("retry", "tower", || {
            tower::retry::Retry::new(retry::tower(), Leaf)
        }),
        idle("retry", "tower-resilience", || {
            retry::tower_resilience::<crate::operation::Down>().layer(Leaf)
        }),
        idle("hedge", "seawall", || {
            Hedge::after(SECOND).build().expect("a second")
        }),
    ]
}

fn breakers() -> Vec<Idle> {
    let what = "breaker, consecutive failures";
    let mut all = vec![
        idle(what, "seawall", breaker::seawall_consecutive),
        idle(what, "failsafe", breaker::failsafe_consecutive),
        idle(what, "circuitbreaker-rs", breaker::circuitbreaker_rs),
        idle(what, "tower-resilience", || {
            breaker::tower_resilience_consecutive().layer(Leaf)
        }),
    ];
    let what = "breaker, failure rate over 100 calls";
    all.extend([
        idle(what, "seawall", breaker::seawall),
        idle(what, "recloser", breaker::recloser),
        idle(what, "tower-resilience", || {
            breaker::tower_resilience().layer(Leaf)
        }),
    ]);
    let what = "breaker, failure rate over an hour";
    all.extend([
        idle(what, "seawall", || breaker::seawall_over(HOUR)),
        idle(what, "failsafe", || breaker::failsafe_over(HOUR)),
        idle(what, "tower-resilience, without a call in it", || {
            breaker::tower_resilience_over(HOUR).layer(Leaf)
        }),
    ]);
    all
}

fn limits() -> Vec<Idle> {
    let mut all = vec![
        idle("bulkhead", "seawall", bulkhead::seawall),
        idle("bulkhead", "tokio `Semaphore`", || Semaphore::new(100)),
        idle("bulkhead", "tower", || ConcurrencyLimit::new(Leaf, 100)),
        idle("bulkhead", "tower-resilience", || {
            bulkhead::tower_resilience().layer(Leaf)
        }),
    ];
    let plenty = NonZeroU32::new(PLENTY).unwrap_or(NonZeroU32::MIN);
    all.extend([
        idle("rate limit", "seawall", rate_limit::seawall),
        idle("rate limit", "governor", || {
            RateLimiter::direct(Quota::per_second(plenty))
        }),
        idle("rate limit", "tower", || {
            TowerRateLimit::new(Leaf, Rate::new(PLENTY.into(), SECOND))
        }),
        idle("rate limit", "tower-resilience", || {
            rate_limit::tower_resilience().layer(Leaf)
        }),
    ]);
    all
}

fn stacks() -> Vec<Idle> {
    vec![
        idle("five in a stack", "seawall", stack::five),
        idle(
            "five in a stack",
            "tower-resilience",
            stack::tower_resilience,
        ),
        idle("five in a stack", "by hand", stack::by_hand),
    ]
}
