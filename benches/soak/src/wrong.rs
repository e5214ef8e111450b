//! What should not have been, gathered from all threads.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static COUNT: AtomicU64 = AtomicU64::new(0);
static FIRST: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// As many as one reads.
const SHOWN: usize = 30;

pub fn wrong(what: String) {
    COUNT.fetch_add(1, Relaxed);
    let mut first = FIRST.lock().unwrap();
    if first.len() < SHOWN {
        eprintln!("WRONG: {what}");
        first.push(what);
    }
}

pub fn count() -> u64 {
    COUNT.load(Relaxed)
}
