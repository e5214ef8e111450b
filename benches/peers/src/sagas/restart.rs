//! A process is killed with many sagas unfinished: how soon does the next one go on with them?
use super::Error;
use super::waiting::Waiting;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

/// What they are in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ForSignal,
    InStep,
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Kind, Error> {
        match name {
            "for-signal" => Ok(Kind::ForSignal),
            "in-step" => Ok(Kind::InStep),
            _ => Err("no such kind of saga".into()),
        }
    }
}

/// Starts so many, and ends the process as a crash would: nothing is told to the store.
pub fn leave(path: &Path, kind: Kind, sagas: usize) -> Result<(), Error> {
    let waiting = Waiting::open(path, false)?;
    waiting.start(kind, "order", sagas)?;
    std::process::exit(0)
}

/// Opens the file, and prints when the engine was built, when the first saga went on, and when each
/// of those that were in a step had been claimed and its step called again.
pub fn resume(path: &Path, kind: Kind, sagas: usize) -> Result<(), Error> {
    let start = Instant::now();
    let waiting = Waiting::open(path, true)?;
    let built = start.elapsed().as_secs_f64();
    let (name, first, all) = match kind {
        Kind::ForSignal => {
            waiting.signal_one("order-1")?;
            let first = start.elapsed().as_secs_f64();
            ("waiting for a signal", first, "none is".to_owned())
        }
        Kind::InStep => {
            let first = waiting.calls(1) - start;
            let all = waiting.calls(sagas) - start;
            let all = format!("{:.2}", all.as_secs_f64());
            ("in a step", first.as_secs_f64(), all)
        }
    };
    println!("| {name} | {built:.2} | {first:.2} | {all} |");
    Ok(())
}
