//! Rounds of all cases in turn, so that whatever slows the machine slows all of them.
use crate::case::{Caller, Case};
use crate::heap;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::ScopedJoinHandle;
use std::time::Instant;
use tokio::runtime::Handle;

/// Calls of a round, by each thread: few enough that some rounds are not interrupted.
pub const CALLS: u32 = 25_000;
/// Rounds that count.
pub const ROUNDS: usize = 100;

/// A case, and how it did.
pub struct Row {
    pub case: Case,
    /// Nanoseconds a call, a round each, the least first.
    pub rounds: Vec<f64>,
    /// Allocations a call.
    pub allocations: f64,
}

impl Row {
    pub fn best(&self) -> f64 {
        self.rounds.first().copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        let middle = self.rounds.get(self.rounds.len() / 2);
        middle.copied().unwrap_or(f64::NAN)
    }

    pub fn worst(&self) -> f64 {
        self.rounds.last().copied().unwrap_or(f64::NAN)
    }

    /// Whether threads contend.
    pub fn contends(&self) -> bool {
        self.case.callers.len() > 1
    }

    /// The figure that counts. Alone that is the best, since whatever disturbs a loop only slows it.
    /// Of threads that contend it is the median: the best of them is the round in which the other
    /// thread was not there.
    pub fn ns(&self) -> f64 {
        if self.contends() {
            self.median()
        } else {
            self.best()
        }
    }
}

/// Measures these cases. Needs a runtime to be entered.
pub fn rounds(cases: Vec<Case>) -> Vec<Row> {
    let mut rows: Vec<Row> = cases
        .into_iter()
        .map(|case| Row {
            case,
            rounds: Vec::new(),
            allocations: 0.0,
        })
        .collect();
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let (ns, allocations) = match &mut row.case.callers[..] {
                [caller] => alone(caller),
                callers => together(callers),
            };
            // The first warms up.
            if round > 0 {
                row.rounds.push(ns);
                row.allocations = allocations;
            }
        }
    }
    for row in &mut rows {
        row.rounds.sort_by(f64::total_cmp);
    }
    rows
}

/// Nanoseconds and allocations of each of [`CALLS`] calls.
fn alone(caller: &mut Caller) -> (f64, f64) {
    let (before, start) = (heap::allocations(), Instant::now());
    caller(CALLS);
    let ns = start.elapsed().as_nanos() as f64;
    let allocations = (heap::allocations() - before) as f64;
    (ns / f64::from(CALLS), allocations / f64::from(CALLS))
}

/// A thread for each caller, all at once; the mean of what they saw. Each goes on calling until the
/// last one has made the calls that count, so that none of those is made alone.
fn together(callers: &mut [Caller]) -> (f64, f64) {
    let (all, runtime) = (callers.len(), Handle::current());
    let (start, done) = (Barrier::new(all), AtomicUsize::new(0));
    let seen: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = callers
            .iter_mut()
            .map(|caller| {
                scope.spawn(|| {
                    let _entered = runtime.enter();
                    start.wait();
                    let arrives = Arrives(&done);
                    // A new thread finds nothing in its caches.
                    caller(CALLS / 4);
                    let seen = alone(caller);
                    drop(arrives);
                    while done.load(Relaxed) < all {
                        caller(CALLS / 1000);
                    }
                    seen
                })
            })
            .collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let seen: Result<Vec<(f64, f64)>, _> = seen.into_iter().collect();
    let seen = seen.unwrap_or_else(|panic| resume_unwind(panic));
    let mean = |of: fn(&(f64, f64)) -> f64| seen.iter().map(of).sum::<f64>() / all as f64;
    (mean(|s| s.0), mean(|s| s.1))
}

/// Also when a call panics: the other thread would go on for ever.
struct Arrives<'a>(&'a AtomicUsize);

impl Drop for Arrives<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}
