//! The contenders take turns, round by round, so that whatever slows the machine slows all of them.
use super::{Contender, Error};
use std::time::{Duration, Instant};

/// How many clients at a time.
const CLIENTS: [usize; 3] = [1, 64, 1024];

/// A round that takes so many of its spans is not repeated: every client had to wait that long for
/// one saga, so there is enough in it.
const SLOW: u32 = 4;

/// A contender, and how it did.
pub struct Row {
    name: &'static str,
    contender: Box<dyn Contender>,
    runs: [Run; CLIENTS.len()],
}

#[derive(Default)]
struct Run {
    /// Sagas per second, a round each.
    rates: Vec<f64>,
    slow: bool,
}

impl Row {
    pub fn new(name: &'static str, contender: impl Contender + 'static) -> Row {
        let (contender, runs) = (Box::new(contender), Default::default());
        Row {
            name,
            contender,
            runs,
        }
    }

    fn round(&mut self, at: usize, span: Duration, warms_up: bool) -> Result<(), Error> {
        let run = &mut self.runs[at];
        if run.slow {
            return Ok(());
        }
        let start = Instant::now();
        let rate = self.contender.round(CLIENTS[at], span);
        let rate = rate.map_err(|e| format!("{}: {e}", self.name))?;
        run.slow = start.elapsed() > span * SLOW;
        if run.slow || !warms_up {
            run.rates.push(rate);
            run.rates.sort_by(f64::total_cmp);
        }
        Ok(())
    }
}

impl Run {
    fn median(&self) -> f64 {
        let middle = self.rates.get(self.rates.len() / 2);
        middle.copied().unwrap_or(f64::NAN)
    }

    fn cell(&self) -> String {
        match self.rates.as_slice() {
            [least, .., most] => format!(
                "{} ({}..{})",
                short(self.median()),
                short(*least),
                short(*most)
            ),
            _ => format!("{} (one round)", short(self.median())),
        }
    }
}

/// Three digits that count, for a rate.
fn short(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

/// Lets them take so many turns, after one to warm up, and prints what came of it. The first row is
/// ours.
pub fn run(rows: &mut [Row], rounds: usize, span: Duration) -> Result<(), Error> {
    for at in 0..CLIENTS.len() {
        for round in 0..=rounds {
            for row in rows.iter_mut() {
                row.round(at, span, round == 0)?;
            }
        }
    }
    print!("| three-step sagas a second |");
    for clients in CLIENTS {
        print!(" {clients} at a time | ours to it |");
    }
    println!("\n|---|{}", "---|---|".repeat(CLIENTS.len()));
    let ours: Vec<f64> = rows
        .first()
        .into_iter()
        .flat_map(|row| row.runs.iter().map(Run::median))
        .collect();
    for row in rows {
        print!("| {} |", row.name);
        for (run, ours) in row.runs.iter().zip(&ours) {
            print!(" {} | {:.2} |", run.cell(), ours / run.median());
        }
        println!();
    }
    Ok(())
}
