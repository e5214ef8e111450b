//! Nothing is allocated where nothing goes wrong, and futures keep their size.
//!
//! A binary of its own, for the global allocator that counts. It counts by thread, so that tests
//! beside each other do not see one another.
#![allow(unsafe_code)] // the allocator; see there
#![allow(clippy::unwrap_used)] // settings that are right

use seawall::pipeline::Builder;
use seawall::retry::Backoff;
use seawall::{Bulkhead, CircuitBreaker, Hedge, Pipeline, RateLimit, Retry, Timeout};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{Layer as _, Service};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

struct Counting;

thread_local! {
    // `const` and without a destructor: reading it allocates nothing and works at any time.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to `System` with the caller's own arguments, so what the caller
// owes `GlobalAlloc` is what `System` is owed, and what `System` gives is what the caller gets. The
// counter is no memory that is handed out, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Polls to the end, at once after each `Pending`.
fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = future.as_mut().poll(&mut cx) {
            return answer;
        }
    }
}

/// The operation: ready at its first poll, or at its second.
struct Answer {
    pends: bool,
}

impl Future for Answer {
    type Output = Result<u64, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.pends) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(7))
        }
    }
}

fn ready() -> Answer {
    Answer { pends: false }
}

/// The call has to wait, and sets its timer.
fn pends_once() -> Answer {
    Answer { pends: true }
}

/// The operation as a service; the request says whether its answer pends.
#[derive(Clone)]
struct Leaf;

impl Service<bool> for Leaf {
    type Response = u64;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, pends: bool) -> Answer {
        Answer { pends }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new("test")
        .failure_rate(0.5)
        .count_window(100)
        .build()
        .unwrap()
}

fn retry() -> Retry {
    let backoff = Backoff::exponential(S).jitter();
    Retry::attempts(3).backoff(backoff).build().unwrap()
}

fn rate_limit() -> RateLimit {
    RateLimit::new(1_000, S).burst(1_000).build().unwrap()
}

fn five() -> Builder {
    Pipeline::builder("five")
        .with(Timeout::after(S))
        .with(retry())
        .with(breaker())
        .with(Bulkhead::new(10).queue(10))
        .with(rate_limit())
}

/// Both forms of the guard, with an operation that is ready at once and one that is not, allocate
/// nothing; and neither future is larger than this, in bytes. Larger ones are slower to move, and every
/// task that awaits one grows by it.
macro_rules! costs {
    ($guard:expr, at_most: $bytes:expr) => {
        let runtime = runtime();
        let _entered = runtime.enter();
        let guard = $guard;
        let mut service = guard.layer().layer(Leaf);
        // The first call of a thread may set up what all later ones share.
        drive(guard.run(pends_once)).unwrap();
        let made = [
            allocations(|| _ = drive(guard.run(ready)).unwrap()),
            allocations(|| _ = drive(guard.run(pends_once)).unwrap()),
            allocations(|| _ = drive(service.call(false)).unwrap()),
            allocations(|| _ = drive(service.call(true)).unwrap()),
        ];
        assert_eq!(made, [0; 4], "run, run that waits, Layer, Layer that waits");
        let sizes = (
            size_of_val(&guard.run(pends_once)),
            size_of_val(&service.call(true)),
        );
        assert!(
            sizes.0 <= $bytes && sizes.1 <= $bytes,
            "run, Layer: {sizes:?} bytes"
        );
    };
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(Box::new(7))), 1);
    assert_eq!(allocations(|| ()), 0);
}

#[test]
fn a_timeout_costs_no_allocation() {
    costs!(Timeout::after(S).build().unwrap(), at_most: 240);
}

#[test]
fn a_retry_costs_no_allocation() {
    costs!(retry(), at_most: 240);
}

#[test]
fn a_breaker_that_counts_failures_in_a_row_costs_no_allocation() {
    let breaker = CircuitBreaker::new("test").consecutive_failures(5);
    costs!(breaker.build().unwrap(), at_most: 240);
}

#[test]
fn a_breaker_with_a_count_window_costs_no_allocation() {
    costs!(breaker(), at_most: 240);
}

#[test]
fn a_breaker_with_a_time_window_costs_no_allocation() {
    let breaker = CircuitBreaker::new("test").failure_rate(0.5).time_window(S);
    costs!(breaker.build().unwrap(), at_most: 240);
}

#[test]
fn a_bulkhead_costs_no_allocation() {
    costs!(Bulkhead::new(10).queue(10).build().unwrap(), at_most: 240);
}

#[test]
fn a_rate_limit_costs_no_allocation() {
    costs!(rate_limit(), at_most: 240);
}

#[test]
fn a_hedge_that_does_not_fire_costs_no_allocation() {
    costs!(Hedge::after(S).build().unwrap(), at_most: 240);
}

#[test]
fn five_policies_cost_no_allocation() {
    costs!(five().build().unwrap(), at_most: 320);
}

#[test]
fn five_policies_and_an_observer_cost_no_allocation() {
    let observed = five().observer(|_: seawall::Name, _: &seawall::Event<'_>| {});
    costs!(observed.build().unwrap(), at_most: 320);
}

#[test]
fn a_refusal_costs_no_allocation() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let open = CircuitBreaker::new("test")
        .consecutive_failures(1)
        .break_for(HOUR)
        .build()
        .unwrap();
    drive(open.run(|| async { Err::<u64, _>("down") })).unwrap_err();
    let full = Bulkhead::new(0).build().unwrap();
    let spent = RateLimit::new(1, HOUR).build().unwrap();
    drive(spent.run(ready)).unwrap();
    let refused = allocations(|| {
        assert!(drive(open.run(ready)).is_err());
        assert!(drive(full.run(ready)).is_err());
        assert!(drive(spent.run(ready)).is_err());
    });
    assert_eq!(refused, 0);
}

#[test]
fn a_further_attempt_costs_no_allocation() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let retry = Retry::attempts(3).backoff(Backoff::none()).build().unwrap();
    let made = allocations(|| {
        assert!(drive(retry.run(|| async { Err::<u64, _>("down") })).is_err());
    });
    assert_eq!(made, 0);
}
