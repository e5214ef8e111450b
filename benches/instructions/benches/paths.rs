//! A thousand calls on each path, counted instruction by instruction under callgrind. What is built
//! before and dropped after is not counted.
//!
//! `bash .ci/instructions` runs them and compares with `counts.txt`.
use gungraun::prelude::*;
use seawall::{Bulkhead, CircuitBreaker, Hedge, Pipeline, RateLimit, Retry, Timeout};
use seawall_instructions::*;
use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;
use tower_layer::Layer;
use tower_service::Service;

const CALLS: usize = 1000;

/// A path: what is called a thousand times is `guard.run`.
macro_rules! path {
    ($name:ident: $guard:ty = $make:expr) => {
        #[library_benchmark]
        #[bench::calls($make)]
        fn $name(guard: $guard) -> $guard {
            for _ in 0..CALLS {
                let answer = once(guard.run(|| async { Ok::<u64, Infallible>(black_box(7)) }));
                let _ = black_box(answer);
            }
            guard
        }
    };
}

path!(timeout: Timeout = Timeout::after(S).build().unwrap());
path!(retry_first: Retry = retry());
path!(hedge: Hedge = Hedge::after(S).build().unwrap());
path!(breaker_consecutive: CircuitBreaker = consecutive());
path!(breaker_count_window: CircuitBreaker = windowed());
path!(breaker_time_window: CircuitBreaker = timed());
path!(bulkhead: Bulkhead = Bulkhead::new(100).build().unwrap());
path!(rate: RateLimit = rate_limit());
path!(stack_of_four: Pipeline = four());
path!(stack_of_five: Pipeline = five());
path!(refused_by_breaker: CircuitBreaker = open());
path!(refused_by_bulkhead: Bulkhead = Bulkhead::new(0).build().unwrap());
path!(refused_by_rate: RateLimit = spent());

// Failures, counted: an operation's own error passes untouched.
#[library_benchmark]
#[bench::calls(windowed())]
fn breaker_half_failing(guard: CircuitBreaker) -> CircuitBreaker {
    for n in 0..CALLS {
        let answer = once(guard.run(|| ready(if n % 3 == 0 { Err("down") } else { Ok(n) })));
        let _ = black_box(answer);
    }
    guard
}

#[library_benchmark]
#[bench::calls(five())]
fn layer_of_five(guard: Pipeline) -> Pipeline {
    let mut service = guard.layer().layer(Leaf);
    for _ in 0..CALLS {
        let _ = black_box(once(service.call(black_box(7))));
    }
    guard
}

// A hundred sagas of three steps, in the memory store, one after the other.
#[library_benchmark]
#[bench::hundred(engine())]
fn sagas((runtime, engine, saga): Sagas) -> Sagas {
    runtime.block_on(async {
        for n in 0..100 {
            let key = format!("order-{n}");
            let mut saga = engine.start(saga, key, n).await.unwrap();
            saga.outcome().await.unwrap();
        }
    });
    (runtime, engine, saga)
}

library_benchmark_group!(
    name = pass,
    benchmarks = [
        timeout,
        retry_first,
        hedge,
        breaker_consecutive,
        breaker_count_window,
        breaker_time_window,
        breaker_half_failing,
        bulkhead,
        rate,
        stack_of_four,
        stack_of_five,
        layer_of_five
    ]
);
library_benchmark_group!(
    name = refuse,
    benchmarks = [refused_by_breaker, refused_by_bulkhead, refused_by_rate]
);
library_benchmark_group!(name = saga, benchmarks = [sagas]);

main!(library_benchmark_groups = [pass, refuse, saga]);
