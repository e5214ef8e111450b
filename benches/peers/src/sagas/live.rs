//! Bytes on the heap that are in use, and resident memory.
use super::Error;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, which counts from [`count`] on: a counter that two threads write costs
/// more than the allocation.
pub struct Counting;

// SAFETY: every call goes to `System` with the caller's own arguments, so its contract is kept by
// the caller; the count is no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    // Without these two the trait would allocate, copy and fill by itself.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as i64 - layout.size() as i64);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as i64));
        unsafe { System.dealloc(at, layout) }
    }
}

fn add(bytes: i64) {
    if COUNTS.load(Relaxed) {
        LIVE.fetch_add(bytes, Relaxed);
    }
}

/// Begins to count.
pub fn count() {
    COUNTS.store(true, Relaxed);
}

/// What was allocated since, less what was given back. Without what SQLite takes, which is C.
pub fn bytes() -> i64 {
    LIVE.load(Relaxed)
}

/// Resident memory, with SQLite's and with what the allocator keeps for later.
pub fn resident() -> Result<i64, Error> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split(' ').nth(1).ok_or("no resident pages")?;
    Ok(pages.parse::<i64>()? * 4096)
}
