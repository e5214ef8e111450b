//! What each policy, each length of stack and each store of sagas costs: for comparing one commit
//! with another.
//!
//! `cargo bench [-- FILTER]`, where FILTER is part of a name such as `refuse/breaker`.
//!
//! | group | what a call meets |
//! |---|---|
//! | `pass`, `pass, Layer` | nothing: the operation is ready at once, as a closure and as a service |
//! | `refuse` | a refusal, or an operation that fails for good |
//! | `wait` | a timer, under a clock that is paused and so jumps there |
//! | `two threads` | another thread, which makes the same calls through the same guard |
//! | `stack`, `stack, Layer` | 1, 3, 5 and 8 policies |
//! | `sagas` | three steps, in memory and on SQLite, 1 and 64 at a time |
//!
//! Here tokio comes with `test-util`, whose clock is slower; what a service pays, and what peers
//! cost, is measured in `benches/peers`, which has none of these waits and no store but SQLite's.
#![allow(clippy::expect_used)] // settings that are right

mod guards;
mod pass;
mod refuse;
mod sagas;
mod threads;
mod wait;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    pass::each,
    pass::stacks,
    refuse::each,
    wait::each,
    threads::each,
    sagas::each
);
criterion_main!(benches);
