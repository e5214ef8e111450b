//! The call has to wait: for a timer, its turn, a permit. The clock is paused, so it jumps to the next
//! timer as soon as all have to wait; what is left is the work.
#![allow(clippy::disallowed_methods)] // `sleep`, under a paused clock

use crate::guards::S;
use criterion::Criterion;
use seawall::retry::Backoff;
use seawall::{Bulkhead, CircuitBreaker, Hedge, RateLimit, Retry, Timeout};
use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{advance, sleep};

const MS: Duration = Duration::from_millis(1);

fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

async fn late() -> Result<u64, Infallible> {
    sleep(MS).await;
    Ok(7)
}

pub(crate) fn each(c: &mut Criterion) {
    let runtime = paused();
    let mut group = c.benchmark_group("wait");

    group.bench_function("nothing: the operation alone sleeps", |b| {
        b.iter(|| runtime.block_on(late()));
    });

    let timeout = Timeout::after(S).build().expect("a second");
    group.bench_function("timeout, not reached", |b| {
        b.iter(|| runtime.block_on(timeout.run(late)));
    });
    let timeout = Timeout::after(MS).build().expect("a millisecond");
    group.bench_function("timeout, reached", |b| {
        b.iter(|| {
            runtime.block_on(timeout.run(|| async {
                std::future::pending::<()>().await;
                Ok::<u64, Infallible>(7)
            }))
        });
    });

    let retry = Retry::attempts(2).backoff(Backoff::constant(MS)).build();
    let retry = retry.expect("two attempts");
    group.bench_function("retry, one backoff", |b| {
        b.iter(|| {
            let tries = Cell::new(0);
            runtime.block_on(retry.run(|| async {
                tries.set(tries.get() + 1);
                if tries.get() == 1 { Err("down") } else { Ok(7) }
            }))
        });
    });

    let breaker = CircuitBreaker::new("bench").consecutive_failures(1);
    let breaker = breaker.break_for(S).half_open_probes(1).build();
    let breaker = breaker.expect("one failure");
    group.bench_function("breaker, opened, and closed by a probe", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let failed = breaker.run(|| async { Err::<u64, &str>("down") }).await;
                advance(S).await;
                (failed, breaker.run(|| async { Ok::<u64, &str>(7) }).await)
            })
        });
    });

    let bulkhead = Bulkhead::new(1).queue(1).build().expect("one");
    group.bench_function("bulkhead, one in line behind one", |b| {
        b.iter(|| runtime.block_on(async { tokio::join!(bulkhead.run(late), bulkhead.run(late)) }));
    });

    let limit = RateLimit::new(1, MS).max_wait(S).build().expect("a rate");
    group.bench_function("rate limit, each waits its turn", |b| {
        b.iter(|| runtime.block_on(limit.run(|| async { Ok::<u64, Infallible>(7) })));
    });

    let hedge = Hedge::after(MS).build().expect("a millisecond");
    group.bench_function("hedge, the second attempt answers", |b| {
        b.iter(|| {
            let tries = Cell::new(0);
            runtime.block_on(hedge.run(|| {
                tries.set(tries.get() + 1);
                let first = tries.get() == 1;
                async move {
                    if first {
                        std::future::pending::<()>().await;
                    }
                    Ok::<u64, Infallible>(7)
                }
            }))
        });
    });
    group.finish();
}
