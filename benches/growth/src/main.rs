//! What an operation costs, against how much there is already: instructions, counted under callgrind,
//! so that neither the machine nor its load is in them; and bytes.
//!
//! ```text
//! cargo run --release                                       all: docs/growth/*.svg, docs/growth.md
//! cargo run --release -- show WORD                          the cases with that word, printed
//! cargo run --release --no-default-features -- check        what has to be flat: `.ci/run`
//! ```
mod callgrind;
mod cases;
#[cfg(feature = "plot")]
mod chart;
mod live;
mod mark;
mod poll;
#[cfg(feature = "plot")]
mod report;

use cases::{Error, Growth};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: live::Counting = live::Counting;

fn main() -> Result<ExitCode, Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", asked @ ..] => run(asked)?,
        ["show", word] => show(word)?,
        ["check"] => return check(),
        #[cfg(feature = "plot")]
        [] => report::write()?,
        _ => return Err("see src/main.rs for what it can be told".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Cases at these sizes: what is done under callgrind. Prints the operations of each count.
fn run(asked: &[&str]) -> Result<(), Error> {
    let cases = cases::all();
    for pair in asked.chunks_exact(2) {
        let case = cases.iter().find(|case| case.name == pair[0]);
        let case = case.ok_or_else(|| format!("no case `{}`", pair[0]))?;
        for size in pair[1].split(',') {
            println!("{}", (case.run)(size.parse()?)?);
        }
    }
    Ok(())
}

fn show(word: &str) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    for case in cases::all() {
        if case.name.contains(word) {
            let counts = callgrind::instructions(&[(&case, case.sizes)], folder.path())?;
            println!("{:60} {:8.0?}  {:?}", case.name, counts[0], case.growth);
        }
    }
    for footprint in cases::memory::all() {
        if footprint.name.contains(word) {
            for n in footprint.sizes {
                println!("{:60} {n:8} {:8.0}", footprint.name, (footprint.run)(*n)?);
            }
        }
    }
    Ok(())
}

/// Each case that is to be flat, or nearly, at a size and at sixteen times that.
fn check() -> Result<ExitCode, Error> {
    let folder = tempfile::tempdir()?;
    let all = cases::all();
    let bounded = all
        .iter()
        .filter_map(|case| Some((case, case.growth.most()?)));
    let asked: Vec<_> = bounded
        .clone()
        .map(|(case, _)| (case, &SIZES[..]))
        .collect();
    let counts = callgrind::instructions(&asked, folder.path())?;
    let mut bad = false;
    for ((case, most), counts) in bounded.zip(counts) {
        let ratio = counts[1] / counts[0];
        let verdict = if ratio > most { "  IT GROWS" } else { "" };
        bad |= ratio > most;
        let [few, many] = [counts[0], counts[1]];
        println!("{:58} {few:8.0} {many:8.0} {ratio:6.2}{verdict}", case.name);
    }
    Ok(if bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Within the bounds of every setting, and few enough that all of it takes seconds.
const SIZES: [usize; 2] = [60, 960];

impl Growth {
    /// What sixteen times the size may cost, of what one time does.
    fn most(self) -> Option<f64> {
        match self {
            Growth::Flat => Some(1.1),
            Growth::Log => Some(1.3),
            Growth::Linear => None,
        }
    }
}
