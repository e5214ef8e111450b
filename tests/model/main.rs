//! Random stacks of the crate's own policies, random operations, random interleavings of several
//! calls with drops and panics at any poll: against a naive model of all of it.
//!
//! Calls go through one of two pipelines that share some policies, or through one of these by itself,
//! as a closure or as a request to a guarded service, which may not be ready for a while or at all; and
//! they may be closed by a value, a function, another guarded call or service, or the last good answer.
//!
//! For each poll the model says what the call comes to, which events are told in which order and to
//! whose observer, what every policy holds then, how many attempts and clones of the service there
//! are, and whether somebody had to wake the call. A disagreement is printed as the smallest case
//! that shows it.
//!
//! A binary of its own, because it is also run for long, and under other flags.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::disallowed_methods, missing_docs, unreachable_pub)]
mod case;
mod naive;
mod real;
mod side_by_side;
mod told;

use proptest::test_runner::{Config, TestRunner};
use std::thread;

/// Cases in all: a million where `SEAWALL_LONG` is set.
fn wanted() -> u32 {
    match std::env::var("SEAWALL_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) if std::env::var_os("SEAWALL_LONG").is_some() => 1_000_000,
        Err(_) => 100_000,
    }
}

fn run(cases: u32) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    });
    let done = runner.run(&case::cases(), |case| {
        runtime.block_on(side_by_side::compare(&case))
    });
    done.map_err(|e| e.to_string())
}

#[test]
fn every_stack_does_what_the_model_says() {
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u32);
    // The panics are scripted: no backtraces of them.
    std::panic::set_hook(Box::new(|_| {}));
    let runs: Vec<_> = (0..threads)
        .map(|_| thread::spawn(move || run(wanted().div_ceil(threads))))
        .collect();
    let ends: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
    let _ = std::panic::take_hook();
    for end in ends {
        end.unwrap();
    }
}
