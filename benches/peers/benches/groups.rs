//! The cases of `table` that one thread makes, through criterion: its spread, its comparison with
//! the run before.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench groups [-- FILTER]`
use criterion::Criterion;
use seawall_peers::cases;
use std::time::{Duration, Instant};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for mut case in cases::all() {
        let [caller] = &mut case.callers[..] else {
            continue;
        };
        criterion
            .benchmark_group(case.group.title)
            .bench_function(case.who, |bencher| {
                bencher.iter_custom(|calls| {
                    let start = Instant::now();
                    caller(u32::try_from(calls).unwrap_or(u32::MAX));
                    start.elapsed()
                });
            });
    }
    criterion.final_summary();
}
