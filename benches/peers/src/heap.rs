//! An allocator that counts, by thread: a counter that two threads write would cost more than what
//! it counts.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // `const` and without a destructor: reading it allocates nothing and works at any time.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator.
pub struct Counting;

// SAFETY: every call goes to `System` with the caller's own arguments, so its contract is kept by
// the caller; the counts are no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        unsafe { System.dealloc(at, layout) }
    }
}

/// How many allocations this thread has made.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// The bytes that this thread has allocated, less those that it gave back.
pub fn live() -> i64 {
    LIVE.get()
}
