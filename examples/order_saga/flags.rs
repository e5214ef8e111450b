//! The command line. Everything that is wrong with it is one line on stderr and exit code 2.
use crate::name::Name;
use crate::setup;
use std::{ffi::OsString, fmt::Display, path::PathBuf, str::FromStr};

pub const HELP: &str = "\
order_saga: an order system of six HTTP services that survives its own failures

  cargo run --example order_saga                      tells a story, under ten seconds long
  cargo run --example order_saga -- --serve           runs until Ctrl-C or the end of stdin
  cargo run --example order_saga -- --orders 500 --concurrency 32 --fault-rate 0.2

  --orders N        bulk run: how many orders (100)
  --concurrency C   bulk run: how many at a time (8)
  --fault-rate P    bulk run: the share of calls that go wrong, 0 to 1 (0)
  --seed S          what goes wrong, and who orders what, follows from this number (1)
  --json            bulk run: nothing on stdout but one JSON object on one line
  --serve           start the services, print their addresses and tokens, wait
  --data DIR        keep databases and logs there (a temporary folder, removed at the end)
  --port P          the gateway's port on 127.0.0.1 (any free one)
  --help            this text

exit codes: 0 all is well; 1 the books disagree, a saga has not ended, or a scene did not go
            as told; 2 it could not start (flags, port, folder); 130 ended by Ctrl-C
";

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    Story,
    Bulk(Bulk),
    Serve,
    /// This process is one of the services.
    Service(Name),
    Help,
}

/// A bulk run.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulk {
    pub orders: u32,
    pub concurrency: u32,
    pub json: bool,
}

/// The whole command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Flags {
    pub mode: Mode,
    pub data: Option<PathBuf>,
    pub port: u16,
    pub fault_rate: f64,
    pub seed: u64,
    /// Calls per second that the gateway allows one client.
    pub client_rate: u32,
    /// For a service: where the others are.
    pub peers: Vec<(Name, String)>,
}

/// Reads the command line, without the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Flags> {
    let mut flags = Flags {
        mode: Mode::Story,
        data: None,
        port: 0,
        fault_rate: 0.0,
        seed: 1,
        client_rate: 50,
        peers: Vec::new(),
    };
    let (mut orders, mut concurrency, mut json) = (None, None, false);
    let (mut serve, mut fault_rate, mut service) = (false, None, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(setup)? {
        use lexopt::prelude::*;
        match arg {
            Long("orders") => orders = Some(number(&mut parser, "--orders", 1, 1_000_000)?),
            Long("concurrency") => {
                concurrency = Some(number(&mut parser, "--concurrency", 1, 1_024)?);
            }
            Long("fault-rate") => {
                fault_rate = Some(number(&mut parser, "--fault-rate", 0.0, 1.0)?);
            }
            Long("seed") => flags.seed = number(&mut parser, "--seed", 0, u64::MAX)?,
            Long("json") => json = true,
            Long("serve") => serve = true,
            Long("data") => {
                let folder = parser.value().map_err(setup)?;
                if folder.is_empty() {
                    return Err(setup("`--data`: a folder is needed"));
                }
                flags.data = Some(folder.into());
            }
            Long("port") => flags.port = number(&mut parser, "--port", 0, u16::MAX)?,
            Short('h') | Long("help") => {
                flags.mode = Mode::Help;
                return Ok(flags);
            }
            // The rest is what the parent tells the services, and no business of anybody else.
            Long("service") => service = Some(service_name(&mut parser, "--service")?),
            Long("peer") => flags.peers.push(peer(&mut parser)?),
            Long("client-rate") => {
                flags.client_rate = number(&mut parser, "--client-rate", 1, u32::MAX)?;
            }
            Long(flag) => return Err(setup(format!("unknown flag `--{flag}` (see --help)"))),
            Short(flag) => return Err(setup(format!("unknown flag `-{flag}` (see --help)"))),
            Value(value) => {
                return Err(setup(format!(
                    "unexpected `{}` (see --help)",
                    value.display()
                )));
            }
        }
    }
    flags.fault_rate = fault_rate.unwrap_or(0.0);
    if let Some(name) = service {
        flags.mode = Mode::Service(name);
        return Ok(flags);
    }
    let bulk = json || orders.is_some() || concurrency.is_some() || fault_rate.is_some();
    flags.mode = match (serve, bulk) {
        (true, true) => {
            let text = "`--serve` goes with none of --orders, --concurrency, --fault-rate, --json";
            return Err(setup(text));
        }
        (true, false) => Mode::Serve,
        (false, false) => Mode::Story,
        (false, true) => Mode::Bulk(Bulk {
            orders: orders.unwrap_or(100),
            concurrency: concurrency.unwrap_or(8),
            json,
        }),
    };
    if bulk {
        // All orders of a bulk run come from five customers, as fast as they can.
        flags.client_rate = 1_000_000;
    }
    Ok(flags)
}

/// The next value, as a number within bounds.
fn number<T: FromStr + PartialOrd + Display>(
    parser: &mut lexopt::Parser,
    flag: &str,
    least: T,
    most: T,
) -> anyhow::Result<T> {
    let text = parser.value().map_err(setup)?;
    let text = text.to_string_lossy();
    match text.parse::<T>() {
        // NaN is neither.
        Ok(value) if value >= least && value <= most => Ok(value),
        _ => Err(setup(format!(
            "`{flag} {text}`: a number from {least} to {most} is needed"
        ))),
    }
}

fn service_name(parser: &mut lexopt::Parser, flag: &str) -> anyhow::Result<Name> {
    let text = parser.value().map_err(setup)?;
    let text = text.to_string_lossy();
    Name::from_str(&text).map_err(|_| setup(format!("`{flag} {text}`: there is no such service")))
}

/// `NAME=URL`.
fn peer(parser: &mut lexopt::Parser) -> anyhow::Result<(Name, String)> {
    let text = parser.value().map_err(setup)?;
    let text = text.to_string_lossy();
    text.split_once('=')
        .and_then(|(name, url)| Some((Name::from_str(name).ok()?, url.to_owned())))
        .ok_or_else(|| setup(format!("`--peer {text}`: NAME=URL is needed")))
}
