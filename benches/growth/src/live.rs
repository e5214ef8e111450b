//! Bytes on the heap that are in use.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

static LIVE: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, counted.
pub struct Counting;

// SAFETY: every call goes to `System` with the caller's own arguments, so its contract is kept by
// the caller; the count is no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        unsafe { System.alloc(layout) }
    }

    // Without this one the trait would allocate, copy and free, a vector that grows as well.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

/// What was allocated, less what was given back.
pub fn bytes() -> i64 {
    LIVE.load(Relaxed)
}
