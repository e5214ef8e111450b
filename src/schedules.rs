//! Many interleavings of whole calls: the real driver and the real policies, under the scheduler of
//! the model checker shuttle, which switches tasks at each atomic operation and lock of
//! `crate::sync` and at each await. Unlike loom's these runs are samples, and unlike the tests with
//! threads a failure prints the schedule that repeats it.
//!
//! A schedule has a [time] of its own in place of tokio's: so timeouts, backoffs, turns and longest
//! waits are in it. Memory orderings are not (everything is sequentially consistent here; the
//! modules called `models` have them), nor is what uses tokio's own primitives, the saga engine
//! above all.
mod books;
mod line;
mod stacks;
mod time;

pub(crate) use time::{Sleep, now};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Steps of one schedule that mean that somebody was not woken and time runs on.
const TOO_LONG: usize = 200_000;

/// Runs `f` under random schedules, and under as many with few switches at the worst places
/// (Burckhardt and others, *A randomized scheduler with probabilistic guarantees of finding bugs*,
/// ASPLOS 2010).
fn explore(f: fn()) {
    let long = std::env::var_os("SEAWALL_LONG").is_some();
    let schedules = if long { 100_000 } else { 1_500 };
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(TOO_LONG);
    let one = move || {
        time::begin();
        f();
    };
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(one);
    Runner::new(PctScheduler::new(3, schedules), config).run(one);
}
