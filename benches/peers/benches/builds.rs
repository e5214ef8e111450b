//! Seconds and crates that each crate takes to compile, alone and from nothing, as markdown. It
//! takes minutes.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench builds [-- [--write] [WORD]]`: with a
//! word, only those whose name holds it. `--write` puts the table into `docs/benchmarks.md`.
use seawall_peers::builds::{Built, DUROXIDE, TAKEN};
use seawall_peers::sagas::Error;
use seawall_peers::{document, machine};

const COMMAND: &str = "cargo bench --manifest-path benches/peers/Cargo.toml --bench builds";

fn main() -> Result<(), Error> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let write = given.iter().any(|a| a == "--write");
    // Without the arguments that cargo adds.
    let word = given.iter().find(|a| !a.starts_with('-'));
    let mut text = format!(
        "{}\n\n```sh\n{COMMAND}\n```\n\n| | crates | seconds |\n|---|---|---|\n",
        machine::line()
    );
    for taken in TAKEN.iter().chain([&DUROXIDE]) {
        if word.is_some_and(|w| !taken.who.contains(w)) {
            continue;
        }
        // Gone before the next: a target of its own is a gigabyte for some.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let line = match taken.build(folder.path()) {
            Ok(Built { crates, seconds }) => format!("| {} | {crates} | {seconds:.1} |", taken.who),
            Err(e) => {
                eprintln!("{}: {e}", taken.who);
                format!("| {} | does not build here | |", taken.who)
            }
        };
        eprintln!("{line}");
        text += &line;
        text.push('\n');
    }
    println!("{text}");
    if write && word.is_none() {
        document::write(document::BENCHMARKS, "builds", &text)?;
    }
    Ok(())
}
