//! Calls through random pipelines of shared policies on all cores, for as long as one likes, with drops,
//! panics, timeouts and limits that change; and what has to be true of each call, at rest, and of
//! memory. `--help` tells how to run it, docs/soak.md what came of it.
mod attempt;
mod caller;
mod ear;
mod facts;
mod flags;
mod gauge;
mod log;
mod meddler;
mod memory;
mod parts;
mod quiet;
mod script;
mod stack;
mod thrown;
mod totals;
mod watch;
mod watched;
mod world;
mod wrong;

use fastrand::Rng;
use flags::Flags;
use parts::Parts;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use totals::Totals;

fn main() -> ExitCode {
    let flags = match flags::parse(std::env::args().skip(1)) {
        Ok(Some(flags)) => flags,
        Ok(None) => {
            print!("{}", flags::HELP);
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("soak: {why} (see --help)");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(flags.threads)
        .enable_time()
        .build()
        .unwrap();
    let mut memory = Memory::default();
    let (totals, took) = runtime.block_on(soak(&flags, &mut memory));
    memory.check();
    if totals.calls < flags.at_least {
        let (calls, least) = (totals.calls, flags.at_least);
        wrong::wrong(format!("{calls} calls, {least} were wanted"));
    }
    println!("{totals}");
    println!("memory     {memory}");
    let rate = totals.calls as f64 / took.as_secs_f64();
    println!(
        "in         {:.0} s, {rate:.0} calls a second, seed {}",
        took.as_secs_f64(),
        flags.seed
    );
    match wrong::count() {
        0 => {
            println!("nothing was wrong");
            ExitCode::SUCCESS
        }
        n => {
            println!(
                "{n} THINGS WERE WRONG: run it again with --seed {}",
                flags.seed
            );
            ExitCode::FAILURE
        }
    }
}

async fn soak(flags: &Flags, memory: &mut Memory) -> (Totals, Duration) {
    let begun = Instant::now();
    let lasting = Arc::new(Parts::draw(
        &mut Rng::with_seed(script::mix(flags.seed)),
        true,
    ));
    let mut totals = Totals::default();
    let mut number = flags.first_round;
    while begun.elapsed() < flags.time && wrong::count() == 0 {
        let left = flags.time.saturating_sub(begun.elapsed());
        let length = flags.round.min(left.max(Duration::from_millis(100)));
        let round = world::round(flags.seed, number, &lasting, flags.callers, length);
        let Some(round) = round.await else { break };
        totals.merge(&round);
        memory.sample(totals.calls);
        if wrong::count() > 0 {
            eprintln!("that was in round {number}: --first-round {number} begins there");
        }
        number += 1;
    }
    for breaker in &lasting.breakers {
        totals.trips += breaker.watch.trips.load(Relaxed);
        totals.recoveries += breaker.watch.recoveries.load(Relaxed);
    }
    (totals, begun.elapsed())
}

/// What is allocated and resident at the end of each round, with all of its pipelines gone.
#[derive(Default)]
struct Memory(Vec<Sample>);

#[derive(Clone, Copy)]
struct Sample {
    calls: u64,
    live: i64,
    resident: i64,
}

/// Rounds until lines, timers and threads have what they keep.
const WARM_UP: usize = 2;
/// What later rounds may need more: a longer line in a bulkhead that lasts, a longer log of a breaker.
const MORE_LIVE: i64 = 64 * 1024;
/// And of pages that the allocator has not given back.
const MORE_RESIDENT: i64 = 16 * 1024 * 1024;

impl Memory {
    fn sample(&mut self, calls: u64) {
        self.0.push(Sample {
            calls,
            live: memory::live(),
            resident: memory::resident(),
        });
    }

    fn check(&self) {
        let Some((first, later)) = self.0.get(WARM_UP - 1..).and_then(<[_]>::split_first) else {
            return eprintln!("soak: too few rounds to tell whether memory grows");
        };
        for sample in later {
            let (live, resident) = (sample.live - first.live, sample.resident - first.resident);
            if live > MORE_LIVE || resident > MORE_RESIDENT {
                let calls = sample.calls;
                wrong::wrong(format!(
                    "after {calls} calls {live} bytes more are allocated, and {resident} resident"
                ));
                return;
            }
        }
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (all, last) = (&self.0, self.0.len().saturating_sub(1));
        let shown = (0..=8).map(|i| i * last / 8);
        let mut before = None;
        write!(
            f,
            "after so many million calls: KiB allocated, MiB resident:"
        )?;
        for i in shown {
            let Some(sample) = all.get(i).filter(|_| before != Some(i)) else {
                continue;
            };
            before = Some(i);
            let Sample {
                calls,
                live,
                resident,
            } = sample;
            write!(
                f,
                "  {:.1}: {:.1}, {:.1}",
                *calls as f64 / 1e6,
                *live as f64 / 1024.0,
                *resident as f64 / (1024.0 * 1024.0)
            )?;
        }
        Ok(())
    }
}
