//! Durable sagas of three steps, as markdown: how many a second, their bytes, and a restart.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench sagas [-- [--quick] [--write] [PART]]`,
//! where PART is `table`, `bytes` or `restart`; without one, all three. `ours` is the table without
//! the peers. `--quick` is for a check that it runs: short rounds, few sagas, no peers. `--write`
//! puts all three into `docs/benchmarks.md`, and the table into `README.md`.
use seawall_peers::sagas::ours::Ours;
use seawall_peers::sagas::peer::{self, Peer};
use seawall_peers::sagas::table::{self, Row};
use seawall_peers::sagas::{Error, disk, footprint, live, raw, restart, rows::Rows, store};
use seawall_peers::{document, machine};
use std::process::{Command, Stdio};
use std::time::Duration;

#[global_allocator]
static GLOBAL: live::Counting = live::Counting;

fn main() -> Result<(), Error> {
    // Without the arguments that cargo adds.
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let quick = given.iter().any(|a| a == "--quick");
    let write = given.iter().any(|a| a == "--write");
    let words: Vec<&str> = given
        .iter()
        .map(String::as_str)
        .filter(|a| !a.starts_with("--"))
        .collect();
    match words[..] {
        ["table"] => rates(quick, !quick),
        ["ours"] => rates(quick, false),
        ["bytes"] => bytes(quick),
        ["restart"] => restarts(quick),
        // A process that is left in the middle of its sagas, and the one after it.
        ["leave", path, kind, sagas] => {
            restart::leave(path.as_ref(), kind.parse()?, sagas.parse()?)
        }
        ["resume", path, kind, sagas] => {
            restart::resume(path.as_ref(), kind.parse()?, sagas.parse()?)
        }
        [] => all(quick, write),
        _ => {
            Err("give nothing, or one of: table, ours, bytes, restart; and --quick, --write".into())
        }
    }
}

const COMMAND: &str = "cargo bench --manifest-path benches/peers/Cargo.toml --bench sagas";

/// The three parts, a process each, so that none begins with another's memory.
fn all(quick: bool, write: bool) -> Result<(), Error> {
    if quick && write {
        return Err("a document holds whole rounds and all peers: not --quick with --write".into());
    }
    let versions = format!(
        "{}; {}",
        machine::versions("peers", &["seawall", "rusqlite", "libsqlite3-sys"]),
        machine::versions("saga_peers", &["cano", "duroxide", "steno"])
    );
    let machine = machine::line();
    for (part, place) in [
        ("table", "sagas"),
        ("bytes", "saga-bytes"),
        ("restart", "saga-restart"),
    ] {
        let mut words = vec![part];
        words.extend(quick.then_some("--quick"));
        let said = Command::new(std::env::current_exe()?)
            .args(&words)
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(said.stdout)?;
        print!("{text}");
        if !said.status.success() {
            return Err(format!("{words:?} ended with {}", said.status).into());
        }
        if write {
            let measured = format!("{machine}\n{versions}.\n\n```sh\n{COMMAND}\n```\n");
            document::write(document::BENCHMARKS, place, &format!("{measured}\n{text}"))?;
            if part == "table" {
                let short = format!("{}\n{measured}", without_spread(&text));
                document::write(document::README, place, &short)?;
            }
        }
    }
    Ok(())
}

/// The table of rates for a reader in a hurry: the medians alone.
fn without_spread(text: &str) -> String {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let rows = rows.map(|line| {
        let cells = line.trim_matches('|').split('|');
        // Every other cell after the name is a ratio.
        let kept = cells.enumerate().filter(|(at, _)| *at == 0 || at % 2 == 1);
        let kept = kept.map(|(_, cell)| cell.split(" (").next().unwrap_or_default().trim());
        format!("| {} |\n", kept.collect::<Vec<_>>().join(" | "))
    });
    rows.collect()
}

/// This program with these words, to its end.
fn again(words: &[&str]) -> Result<(), Error> {
    let status = Command::new(std::env::current_exe()?)
        .args(words)
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{words:?} ended with {status}").into()),
    }
}

/// A folder on the disk that the build is on: what is in memory alone would be no measure.
fn folder() -> Result<tempfile::TempDir, Error> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn rates(quick: bool, peers: bool) -> Result<(), Error> {
    let folder = folder()?;
    let folder = folder.path();
    let sample = folder.join("sample.db");
    let one = Ours::open(&sample)?;
    one.run("run", 1)?;
    one.close()?;
    let rows = Rows::read(&sample)?;
    let mut table = vec![
        Row::new("seawall", Ours::open(&folder.join("ours.db"))?),
        Row::new("seawall, in memory", Ours::in_memory()?),
        Row::new(
            "its store alone",
            store::Alone::open(&folder.join("store.db"), &sample)?,
        ),
        Row::new(
            "raw writer",
            raw::Writer::create(&folder.join("writer.db"), &rows)?,
        ),
        Row::new(
            "raw loop",
            raw::Loop::create(&folder.join("loop.db"), &rows)?,
        ),
    ];
    if peers {
        let program = peer::build()?;
        for who in ["cano", "duroxide", "steno"] {
            table.push(Row::new(who, Peer::start(&program, who, folder)?));
        }
    }
    let (rounds, span) = if quick { (1, 200) } else { (5, 1000) };
    let before = disk::sync_times(folder)?;
    table::run(&mut table, rounds, Duration::from_millis(span))?;
    let after = disk::sync_times(folder)?;
    println!(
        "\nRounds of {span} ms, in turn, after one to warm up: median (least..most) of {rounds}."
    );
    println!(
        "A saga of ours is {} rows and a line in as many commits.",
        rows.turns()
    );
    for (when, (appended, over)) in [("before", before), ("after", after)] {
        println!("fdatasync {when}: {appended:.0?} (a page appended), {over:.0?} (written over).");
    }
    println!("{}", if peers { NOTES } else { "" });
    Ok(())
}

/// How the peers keep what they are told.
const NOTES: &str = "
- seawall, in memory: on its `MemoryStore`, which lasts as long as the process.
- its store alone: the same requests to the store, with their rows ready, and no engine.
- raw writer: the same rows by prepared statements, clients as tasks, a thread that commits groups.
- raw loop: the same, clients as numbers in that thread: no queue and no wake-up.
- cano: redb as it ships, each commit synced; the log of a run is deleted at its end.
- duroxide: its SQLite provider and its runtime (polling, two workers) as they ship. It asks for
  `synchronous=WAL`, which SQLite takes for NORMAL: commits are not synced.
- steno: the store that it ships, which keeps nothing.
- One round: it took so much longer than its span that once is enough.";

fn bytes(quick: bool) -> Result<(), Error> {
    live::count();
    let (folder, sagas) = (folder()?, if quick { 500 } else { 10_000 });
    println!("\n| bytes of each of {sagas} sagas | file | heap | resident |\n|---|---|---|---|");
    footprint::finished(folder.path(), sagas)?;
    footprint::waiting(folder.path(), sagas)?;
    println!(
        "\nFile: after it was closed. Heap: Rust's. Resident: all of the process, SQLite's too."
    );
    Ok(())
}

fn restarts(quick: bool) -> Result<(), Error> {
    let (folder, sagas) = (folder()?, if quick { "1000" } else { "100000" });
    println!("\n| restart with {sagas} sagas, seconds | built | first goes on | all claimed |");
    println!("|---|---|---|---|");
    for kind in ["in-step", "for-signal"] {
        let path = folder.path().join(kind);
        let path = path.to_str().ok_or("a path that is no text")?;
        again(&["leave", path, kind, sagas])?;
        again(&["resume", path, kind, sagas])?;
    }
    Ok(())
}
