//! Nanoseconds and allocations per call and bytes per future, as a markdown table. All cases take
//! turns in one process, so that whatever slows the machine slows all of them; of the rounds the
//! best counts.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench table [-- WORD]`: only the cases
//! whose group or crate holds the word.
use seawall_peers::{Case, cases};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to `System` with the caller's own arguments, so its contract is kept by
// the caller; the count is no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const CALLS: u32 = 100_000;
const ROUNDS: usize = 25;

struct Row {
    case: Case,
    best: f64,
    /// The middle of the rounds, for the spread.
    rounds: Vec<f64>,
    allocations: f64,
}

fn main() {
    // Without the arguments that cargo adds.
    let word = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let wanted = |case: &Case| {
        word.as_ref()
            .is_none_or(|w| case.group.contains(w) || case.who.contains(w))
    };
    let mut rows: Vec<Row> = cases::all()
        .into_iter()
        .filter(wanted)
        .map(|case| Row {
            case,
            best: f64::MAX,
            rounds: Vec::new(),
            allocations: 0.0,
        })
        .collect();
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let (before, start) = (ALLOCATIONS.load(Relaxed), Instant::now());
            (row.case.run)(CALLS);
            let ns = start.elapsed().as_nanos() as f64 / f64::from(CALLS);
            // The first warms up.
            if round > 0 {
                row.best = row.best.min(ns);
                row.rounds.push(ns);
                row.allocations = (ALLOCATIONS.load(Relaxed) - before) as f64 / f64::from(CALLS);
            }
        }
    }
    print(&mut rows);
}

fn print(rows: &mut [Row]) {
    println!(
        "Best of {ROUNDS} rounds of {CALLS} calls, all cases in turn; the median in brackets."
    );
    let mut ours = (rows.first().map_or("", |row| row.case.group), f64::NAN);
    let mut group = "";
    for row in rows {
        row.rounds.sort_by(f64::total_cmp);
        let median = row.rounds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
        let Case {
            group: of,
            who,
            bytes,
            ..
        } = row.case;
        if of != group {
            group = of;
            ours = (of, row.best);
            println!("\n| {of} | ns | ratio | allocations | future, bytes |");
            println!("|---|---|---|---|---|");
        }
        let (best, ratio, allocations) = (row.best, row.best / ours.1, row.allocations);
        println!("| {who} | {best:.1} ({median:.1}) | {ratio:.1} | {allocations:.0} | {bytes} |");
    }
}
