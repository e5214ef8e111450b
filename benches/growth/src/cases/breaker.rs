//! Circuit breakers: windows by their size and by what is in them, probes.
use super::{Case, Error, Growth, TO_1E3, TO_1E4, TO_1E5};
use crate::mark;
use crate::poll::{Call, Gate, once, waits};
use seawall::CircuitBreaker;
use std::future::ready;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const OPS: usize = 1000;

pub fn cases() -> Vec<Case> {
    let case = |name, sizes, growth, run| Case::new("breaker", name, sizes, growth, run);
    use Growth::{Flat, Linear, Log};
    vec![
        case(
            "a call, count window of n, no failures",
            TO_1E5,
            Flat,
            |n| Ok(calls(&count_window(n)?, usize::MAX)),
        ),
        case(
            "a call, count window of n, full, every third failed",
            TO_1E5,
            Flat,
            |n| {
                let breaker = count_window(n)?;
                fill(&breaker, n);
                Ok(calls(&breaker, 3))
            },
        ),
        case("a call, time window of n buckets", TO_1E3, Flat, |n| {
            let breaker = time_window(HOUR, n)?;
            fill(&breaker, 1000);
            Ok(calls(&breaker, 3))
        }),
        case("a call, time window of n seconds", TO_1E5, Flat, |n| {
            let breaker = time_window(Duration::from_secs(n as u64), 10)?;
            Ok(calls(&breaker, 3))
        }),
        case(
            "a call, time window that holds n calls",
            TO_1E5,
            Flat,
            |n| {
                let breaker = time_window(HOUR, 10)?;
                fill(&breaker, n);
                Ok(calls(&breaker, 3))
            },
        ),
        case(
            "a call as a bucket ends, time window of n buckets",
            TO_1E3,
            Flat,
            |n| turns(&time_window(HOUR, n)?, HOUR / n as u32),
        ),
        case(
            "a call after an idle window of n buckets",
            TO_1E3,
            Linear,
            |n| turns(&time_window(HOUR, n)?, HOUR),
        ),
        case(
            "a call, metrics only, rule broken, n buckets",
            TO_1E3,
            Flat,
            |n| {
                let breaker = time_window(HOUR, n)?;
                breaker.metrics_only();
                (0..1000).for_each(|_| call(&breaker, true));
                Ok(calls(&breaker, 1))
            },
        ),
        case("snapshot, time window of n buckets", TO_1E3, Flat, |n| {
            let breaker = time_window(HOUR, n)?;
            fill(&breaker, 1000);
            Ok(mark::count(OPS, |_| breaker.snapshot()))
        }),
        case("reset of a count window of n", TO_1E5, Linear, |n| {
            let breaker = count_window(n)?;
            Ok(mark::count(OPS, |_| breaker.reset()))
        }),
        case("a call refused, n probes out", TO_1E4, Flat, |n| {
            let (breaker, _probes) = half_open(n)?;
            Ok(mark::count(OPS, |_| {
                once(breaker.run(|| ready(Ok::<_, ()>(()))))
            }))
        }),
        case("a probe ends, n out", TO_1E4, Log, |n| {
            // The last one decides; it stays.
            let (_breaker, mut probes) = half_open(n)?;
            let ops = (n / 2).min(OPS);
            let mut each = probes.iter_mut();
            mark::begin();
            for call in each.by_ref().take(ops) {
                assert!(!waits(call));
            }
            mark::end();
            Ok(ops)
        }),
    ]
}

fn count_window(n: usize) -> Result<CircuitBreaker, Error> {
    let breaker = CircuitBreaker::new("b").failure_rate(0.9);
    let breaker = breaker.count_window(n as u32).minimum_calls(10);
    Ok(breaker.build()?)
}

fn time_window(length: Duration, buckets: usize) -> Result<CircuitBreaker, Error> {
    let breaker = CircuitBreaker::new("b").failure_rate(0.9);
    let breaker = breaker.time_window(length).time_buckets(buckets as u32);
    Ok(breaker.minimum_calls(10).build()?)
}

fn call(breaker: &CircuitBreaker, fails: bool) {
    let _ = once(breaker.run(|| ready(if fails { Err(()) } else { Ok(()) })));
}

fn fill(breaker: &CircuitBreaker, calls: usize) {
    (0..calls).for_each(|n| call(breaker, n % 3 == 0));
}

/// Every so many-th fails.
fn calls(breaker: &CircuitBreaker, failing: usize) -> usize {
    mark::count(OPS, |n| call(breaker, n % failing == failing - 1))
}

/// A call each time that so much time has passed; the passing of time alone is taken off elsewhere:
/// it costs the same at each size.
fn turns(breaker: &CircuitBreaker, step: Duration) -> Result<usize, Error> {
    fill(breaker, 1000);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?
        .block_on(async {
            call(breaker, false);
            mark::begin();
            for _ in 0..100 {
                tokio::time::advance(step).await;
                call(breaker, false);
            }
            mark::end();
            Ok(100)
        })
}

/// A breaker with n probes under way, all that it lets in. They end when they are polled again.
fn half_open(n: usize) -> Result<(CircuitBreaker, Vec<Call>), Error> {
    let breaker = CircuitBreaker::new("b").consecutive_failures(1);
    let breaker = breaker.break_for(Duration::from_nanos(1));
    let breaker = breaker.half_open_probes(n as u32).build()?;
    call(&breaker, true);
    let gate = Gate::default();
    let mut probes: Vec<Call> = Vec::new();
    for _ in 0..n {
        let (breaker, gate) = (breaker.clone(), gate.clone());
        let mut probe: Call = Box::pin(async move {
            assert!(breaker.run(|| gate.pass()).await.is_ok());
        });
        assert!(waits(&mut probe));
        probes.push(probe);
    }
    gate.open();
    Ok((breaker, probes))
}
