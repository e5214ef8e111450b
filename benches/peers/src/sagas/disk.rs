//! What the disk allows: every commit waits for one sync, so at one client this is the bound.
use super::Error;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const SYNCS: usize = 400;
const PAGE: [u8; 4096] = [7; 4096];

/// The middle of the times that `fdatasync` takes after one more page at the end of a file, and
/// after one page written over. A write-ahead log does the second from its first checkpoint on.
pub fn sync_times(folder: &Path) -> Result<(Duration, Duration), Error> {
    let mut file = File::create(folder.join("sync"))?;
    let appended = middle(&mut file)?;
    file.rewind()?;
    let over = middle(&mut file)?;
    Ok((appended, over))
}

fn middle(file: &mut File) -> Result<Duration, Error> {
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&PAGE)?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[SYNCS / 2])
}
