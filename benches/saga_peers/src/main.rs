//! One peer's three-step sagas, on demand: `saga-peers WHO` reads lines of `CLIENTS MILLISECONDS`
//! and answers each with `rate SAGAS_A_SECOND`. The bench `sagas` starts it and lets the peers take
//! turns with ours.
mod cano;
mod duroxide;
#[path = "../../peers/src/sagas/load.rs"]
mod load;
mod steno;

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A round of so many clients for so long, as sagas per second.
type Round = Box<dyn FnMut(&Runtime, usize, Duration) -> f64>;

fn main() -> Result<(), Box<dyn Error>> {
    let who = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    let folder = tempfile::tempdir()?;
    let mut round = match who.as_str() {
        "cano" => cano::open(folder.path())?,
        "duroxide" => duroxide::open(&runtime, folder.path())?,
        "steno" => steno::open(&runtime),
        _ => return Err("give one of: cano, duroxide, steno".into()),
    };
    for line in stdin().lock().lines() {
        let line = line?;
        let (clients, span) = line.split_once(' ').ok_or("CLIENTS MILLISECONDS")?;
        let span = Duration::from_millis(span.parse()?);
        let rate = round(&runtime, clients.parse()?, span);
        println!("rate {rate}");
        stdout().flush()?;
    }
    Ok(())
}
