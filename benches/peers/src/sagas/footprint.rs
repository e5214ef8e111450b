//! What a saga costs while nobody looks: bytes on disk once it has ended, bytes of memory once it
//! has ended and while it waits.
use super::{Error, live, ours::Ours, restart::Kind, waiting::Waiting};
use std::path::Path;

/// A figure for each saga, of two readings.
fn each(after: i64, before: i64, sagas: usize) -> f64 {
    (after - before) as f64 / sagas as f64
}

/// Prints the bytes of so many sagas that have ended. As many ran before, so that pools and caches
/// have their size.
pub fn finished(folder: &Path, sagas: usize) -> Result<(), Error> {
    let path = folder.join("finished.db");
    let ours = Ours::open(&path)?;
    ours.run("warm-up", sagas)?;
    let (heap, resident) = (live::bytes(), live::resident()?);
    ours.run("measured", sagas)?;
    let heap = each(live::bytes(), heap, sagas);
    let resident = each(live::resident()?, resident, sagas);
    // Closing moves all of the write-ahead log into the file.
    ours.close()?;
    let disk = std::fs::metadata(&path)?.len() as f64 / (2 * sagas) as f64;
    println!("| finished | {disk:.0} | {heap:.1} | {resident:.1} |");
    Ok(())
}

/// Prints the bytes of so many sagas that wait for a signal and have left memory.
pub fn waiting(folder: &Path, sagas: usize) -> Result<(), Error> {
    let path = folder.join("waiting.db");
    let waiting = Waiting::open(&path, false)?;
    waiting.start(Kind::ForSignal, "warm-up", sagas)?;
    let (heap, resident) = (live::bytes(), live::resident()?);
    waiting.start(Kind::ForSignal, "measured", sagas)?;
    let heap = each(live::bytes(), heap, sagas);
    let resident = each(live::resident()?, resident, sagas);
    waiting.close()?;
    let disk = std::fs::metadata(&path)?.len() as f64 / (2 * sagas) as f64;
    println!("| waiting for a signal | {disk:.0} | {heap:.1} | {resident:.1} |");
    Ok(())
}
