//! The cases, group by group; the first of a group is ours and the others are set against it.
mod breaker;
mod bulkhead;
mod lengths;
mod rate_limit;
mod refused;
mod retry;
mod stack;
mod threads;
mod timeout;

pub use lengths::LENGTHS_OF;

use crate::case::Case;
use crate::groups::NOTHING;
use crate::operation::{Leaf, operation};
use std::hint::black_box;

/// Every case. Needs a runtime with a time driver to be entered: some peers make a timer for each
/// call.
pub fn all() -> Vec<Case> {
    let mut cases = floor();
    cases.extend(timeout::cases());
    cases.extend(retry::cases());
    cases.extend(breaker::cases());
    cases.extend(bulkhead::cases());
    cases.extend(rate_limit::cases());
    cases.extend(refused::cases());
    cases.extend(stack::cases());
    cases.extend(lengths::cases());
    cases.extend(threads::cases());
    cases
}

fn floor() -> Vec<Case> {
    let group = &NOTHING;
    vec![
        Case::future(group, "the bare operation", || operation!()),
        Case::service(group, "the bare service", Leaf),
        Case::new(group, "one clock reading", 0, || {
            _ = black_box(std::time::Instant::now());
        }),
    ]
}
