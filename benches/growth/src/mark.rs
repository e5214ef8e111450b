//! Where callgrind begins and ends to count: it is told the names of these two functions. All
//! threads are counted, the store's as well.
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static MARKS: AtomicUsize = AtomicUsize::new(0);

/// Counts from here on, from nothing.
#[inline(never)]
pub fn begin() {
    MARKS.fetch_add(1, SeqCst);
}

/// Writes down what was counted.
#[inline(never)]
pub fn end() {
    MARKS.fetch_add(2, SeqCst);
}

/// So many operations, counted; how many there were. Each is done once before, so that what is made
/// once is made.
pub fn count<T>(ops: usize, mut op: impl FnMut(usize) -> T) -> usize {
    black_box(op(ops));
    begin();
    for n in 0..ops {
        black_box(op(n));
    }
    end();
    ops
}
