//! Rate limits by the calls that they delay; retries by their budget, attempts and hedges.
use super::{Case, Error, Growth::Flat, Growth::Linear, TO_1E5};
use crate::mark;
use crate::poll::{Call, Gate, once, waits};
use seawall::retry::{Backoff, RetryBudget};
use seawall::{Hedge, RateLimit, Retry};
use std::future::ready;
use std::time::Duration;

const OPS: usize = 256;
const S: Duration = Duration::from_secs(1);

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case(
            "line",
            "rate limit: a call is delayed behind n",
            TO_1E5,
            Flat,
            |n| {
                let runtime = runtime()?;
                let _in = runtime.enter();
                let (limit, _line) = delayed(n)?;
                let mut calls: Vec<Call> = (0..OPS).map(|_| held(&limit)).collect();
                mark::begin();
                for call in &mut calls {
                    assert!(waits(call));
                }
                mark::end();
                Ok(OPS)
            },
        ),
        case(
            "line",
            "rate limit: one of n delayed calls goes away",
            TO_1E5,
            Flat,
            |n| {
                let runtime = runtime()?;
                let _in = runtime.enter();
                let (_limit, mut line) = delayed(n + 2 * OPS)?;
                let mut calls: Vec<Call> = line.drain(n / 2..n / 2 + OPS).collect();
                mark::begin();
                calls.clear();
                mark::end();
                Ok(OPS)
            },
        ),
        case(
            "retry",
            "a call, budget with n first attempts",
            TO_1E5,
            Flat,
            |n| {
                let retry = budgeted(n)?;
                Ok(mark::count(1000, |_| {
                    once(retry.run(|| ready(Ok::<_, ()>(()))))
                }))
            },
        ),
        case(
            "retry",
            "a retry, budget with n first attempts",
            TO_1E5,
            Flat,
            |n| {
                let retry = budgeted(n)?;
                Ok(mark::count(1000, |_| {
                    once(retry.run(|| ready(Err::<(), _>(()))))
                }))
            },
        ),
        case(
            "retry",
            "an attempt, call with n of them",
            &[2, 10, 32, 100, 316, 1000],
            Flat,
            |n| {
                let retry = Retry::attempts(n as u32).backoff(Backoff::none()).build()?;
                let mut call: Call = Box::pin(async move {
                    let _ = retry.run(|| ready(Err::<(), _>(()))).await;
                });
                mark::begin();
                // It lets others run in between.
                while waits(&mut call) {}
                mark::end();
                Ok(n)
            },
        ),
        case(
            "retry",
            "a wake-up, n hedged attempts",
            &[2, 4, 8, 16],
            Linear,
            |n| {
                let runtime = runtime()?;
                let _in = runtime.enter();
                let hedge = Hedge::after(Duration::ZERO).attempts(n as u32).build()?;
                let mut call: Call = Box::pin(async move {
                    let _ = hedge.run(|| Gate::default().pass()).await;
                });
                Ok(mark::count(OPS, |_| assert!(waits(&mut call))))
            },
        ),
    ]
}

pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime)
}

fn held(limit: &RateLimit) -> Call {
    let limit = limit.clone();
    Box::pin(async move {
        let _ = limit.run(|| Gate::default().pass()).await;
    })
}

/// A limit of a thousand a second, and so many that wait for their turn.
pub fn delayed(n: usize) -> Result<(RateLimit, Vec<Call>), Error> {
    let limit = RateLimit::new(1000, S)
        .burst(1)
        .max_wait(3600 * S)
        .build()?;
    let mut first = held(&limit);
    assert!(waits(&mut first));
    let mut line = Vec::with_capacity(n + 1);
    for _ in 0..n {
        let mut call = held(&limit);
        assert!(waits(&mut call));
        line.push(call);
    }
    line.push(first);
    Ok((limit, line))
}

/// One retry for each call, of so many calls.
fn budgeted(n: usize) -> Result<Retry, Error> {
    let budget = RetryBudget::new(1.0).over(3600 * S).build()?;
    let retry = Retry::attempts(2).backoff(Backoff::none()).budget(&budget);
    let retry = retry.build()?;
    for _ in 0..n {
        let _ = once(retry.run(|| ready(Ok::<_, ()>(()))));
    }
    Ok(retry)
}
