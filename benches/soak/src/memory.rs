//! What is allocated, counted; and what the process has of the machine.
#![allow(unsafe_code)] // the allocator; see there
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

struct Counting;

/// A counter for each thread, as long as there are no more threads than this: on a cache line of its
/// own, so that counting costs no contention.
#[repr(align(128))]
struct Shard(AtomicI64);

static LIVE: [Shard; 16] = [const { Shard(AtomicI64::new(0)) }; 16];
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // `const` and without a destructor: reading it allocates nothing and works at any time.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn add(bytes: i64) {
    let mut shard = SHARD.get();
    if shard == usize::MAX {
        shard = THREADS.fetch_add(1, Relaxed) % LIVE.len();
        SHARD.set(shard);
    }
    LIVE[shard].0.fetch_add(bytes, Relaxed);
}

/// A layout is at most `isize::MAX` bytes.
fn bytes(layout: Layout) -> i64 {
    layout.size() as i64
}

// SAFETY: every call is passed on to `System` with the caller's own arguments, so what the caller
// owes `GlobalAlloc` is what `System` is owed, and what `System` gives is what the caller gets. The
// counters are no memory that is handed out, and counting neither allocates nor unwinds. `realloc`
// and `alloc_zeroed` are the trait's own, which come here.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(bytes(layout));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-bytes(layout));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Bytes that are allocated now.
pub fn live() -> i64 {
    LIVE.iter().map(|shard| shard.0.load(Relaxed)).sum()
}

/// Bytes of the process that are in memory now; 0 where nobody can tell.
pub fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or(0) * 1024
}
