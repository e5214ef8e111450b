//! The command line.
use std::str::FromStr;
use std::time::Duration;

pub const HELP: &str = "\
soak: millions of guarded calls a minute, and what has to be true of them

  --seconds N       how long (60)
  --at-least CALLS  fails if there were fewer (0)
  --seed S          what is built and what happens follows from it, as far as threads allow (drawn)
  --first-round N   begins with this round: what a failed run names (0)
  --round SECONDS   how long a round is (5); after each, all is looked at at rest
  --callers N       calls at a time, 1024 at most (256)
  --threads N       worker threads (as many as there are cores)

exit codes: 0 nothing was wrong; 1 something was; 2 the command line
";

pub struct Flags {
    pub time: Duration,
    pub at_least: u64,
    pub seed: u64,
    pub first_round: u64,
    pub round: Duration,
    pub callers: usize,
    pub threads: usize,
}

/// `None`: help is wanted.
pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Flags>, String> {
    let mut flags = Flags {
        time: Duration::from_secs(60),
        at_least: 0,
        seed: fastrand::u64(..),
        first_round: 0,
        round: Duration::from_secs(5),
        callers: 256,
        threads: std::thread::available_parallelism().map_or(2, usize::from),
    };
    while let Some(flag) = args.next() {
        let mut number = || number(&flag, args.next());
        match flag.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seconds" => flags.time = Duration::from_secs(number()?),
            "--at-least" => flags.at_least = number()?,
            "--seed" => flags.seed = number()?,
            "--first-round" => flags.first_round = number()?,
            "--round" => flags.round = Duration::from_secs(number()?.max(1)),
            "--callers" => flags.callers = number()?.clamp(1, crate::log::SLOTS as u64) as usize,
            "--threads" => flags.threads = number()?.clamp(1, 64) as usize,
            _ => return Err(format!("unknown flag `{flag}`")),
        }
    }
    Ok(Some(flags))
}

fn number(flag: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("`{flag}` needs a number"))?;
    u64::from_str(&value).map_err(|_| format!("`{flag} {value}`: a number is needed"))
}
