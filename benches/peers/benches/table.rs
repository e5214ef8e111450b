//! Nanoseconds and allocations per call and bytes per future, as markdown tables.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench table [-- WORD]`: only the cases
//! whose group or crate holds the word.
use seawall_peers::case::Case;
use seawall_peers::measure::{CALLS, ROUNDS, Row, rounds};
use seawall_peers::{cases, heap};

#[global_allocator]
static GLOBAL: heap::Counting = heap::Counting;

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
    print(&rounds(cases::all().into_iter().filter(wanted).collect()));
}

fn print(rows: &[Row]) {
    println!(
        "Best of {ROUNDS} rounds of {CALLS} calls, all cases in turn; the median in brackets. Of two \
         threads: the median, and the least and the most."
    );
    for group in rows.chunk_by(|a, b| a.case.group == b.case.group) {
        let Some(first) = group.first() else { continue };
        println!(
            "\n| {} | ns | ratio | allocations | future, bytes |",
            first.case.group
        );
        println!("|---|---|---|---|---|");
        for row in group {
            let (ns, ratio) = (row.ns(), row.ns() / first.ns());
            let spread = if row.contends() {
                format!("{:.0}..{:.0}", row.best(), row.worst())
            } else {
                format!("{:.1}", row.median())
            };
            let (who, bytes, allocations) = (row.case.who, row.case.bytes, row.allocations);
            println!("| {who} | {ns:.1} ({spread}) | {ratio:.1} | {allocations:.0} | {bytes} |");
        }
    }
}
