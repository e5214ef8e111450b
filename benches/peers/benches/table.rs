//! Nanoseconds and allocations per call, bytes per future and per idle policy, and whether the
//! targets are met, as markdown.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench table [-- [--write] [WORD]]`: with a
//! word, only the cases whose group or crate holds it, and no targets. `--write` puts it all into
//! `docs/benchmarks.md`, and the short form into `README.md`.
use seawall_peers::case::Case;
use seawall_peers::measure::rounds;
use seawall_peers::sagas::Error;
use seawall_peers::{cases, document, heap, idle, machine, table, targets};

#[global_allocator]
static GLOBAL: heap::Counting = heap::Counting;

const COMMAND: &str = "cargo bench --manifest-path benches/peers/Cargo.toml --bench table";

const CRATES: [&str; 10] = [
    "seawall",
    "backon",
    "circuitbreaker-rs",
    "failsafe",
    "governor",
    "quanta",
    "recloser",
    "tokio",
    "tower",
    "tower-resilience",
];

fn main() -> Result<(), Error> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let write = given.iter().any(|a| a == "--write");
    // Without the arguments that cargo adds.
    let word = given.iter().find(|a| !a.starts_with('-'));
    if write && word.is_some() {
        return Err("a document holds all cases: give --write or a word, not both".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _entered = runtime.enter();
    let wanted =
        |case: &Case| word.is_none_or(|w| case.group.title.contains(w) || case.who.contains(w));
    // Before the run, whose own load would be in it.
    let machine = machine::line();
    let idle = table::idle(&idle::all());
    let rows = rounds(cases::all().into_iter().filter(wanted).collect());
    let measured = format!(
        "{machine}\n{}.\n\n```sh\n{COMMAND}\n```\n",
        machine::versions("peers", &CRATES)
    );
    let calls = format!("{measured}\n{}", table::calls(&rows));
    println!("{calls}");
    if word.is_some() {
        return Ok(());
    }
    let idle = format!("{measured}\n{idle}");
    let targets = targets::targets(&rows).ok_or("a case that a target needs was not measured")?;
    let targets = format!("{measured}\n{}", table::targets(&targets));
    println!("{idle}\n{targets}");
    if write {
        document::write(document::BENCHMARKS, "calls", &calls)?;
        document::write(document::BENCHMARKS, "idle", &idle)?;
        document::write(document::BENCHMARKS, "targets", &targets)?;
        let short = format!("{}\n{measured}", table::short(&rows));
        document::write(document::README, "calls", &short)?;
    }
    Ok(())
}
