//! An order system of six HTTP services, each a process with a database of its own, that survives its
//! own failures. `--help` tells how to run it; `README.md` beside this file where to read on.
#![allow(
    unreachable_pub,
    reason = "a program has no API: `pub` is what other modules of it use"
)]

mod bulk;
mod clients;
mod flags;
mod gateway;
mod inventory;
mod name;
mod notifications;
mod orders;
mod payments;
mod report;
mod saga;
mod service;
mod shopper;
mod story;
mod system;
mod users;

use flags::{Flags, Mode};
use name::Name;
use service::{App, Surroundings};
use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};
use system::System;

fn main() -> ExitCode {
    let ended = flags::parse(std::env::args_os().skip(1)).and_then(|flags| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run(flags))
    });
    match ended {
        Ok(end) => end.into(),
        Err(error) => {
            // A failed write of the last words changes nothing.
            let _ = writeln!(io::stderr(), "order_saga: {error:#}");
            ExitCode::from(if error.is::<Setup>() { 2 } else { 1 })
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Well,
    /// The books disagree, or a scene did not go as told.
    Badly,
    /// Ctrl-C.
    Interrupted,
}

impl From<End> for ExitCode {
    fn from(end: End) -> ExitCode {
        ExitCode::from(match end {
            End::Well => 0,
            End::Badly => 1,
            End::Interrupted => 130,
        })
    }
}

async fn run(flags: Flags) -> anyhow::Result<End> {
    match flags.mode.clone() {
        Mode::Help => {
            say(flags::HELP.trim_end());
            return Ok(End::Well);
        }
        Mode::Service(name) => {
            service::run(name, flags).await?;
            return Ok(End::Well);
        }
        _ => {}
    }
    let mut interruptions = Interruptions::new()?;
    // Dropped half way, a system takes its processes with it.
    let mut system = tokio::select! {
        started = System::start(&flags) => started?,
        () = interruptions.next() => return Ok(End::Interrupted),
    };
    let acted = tokio::select! {
        acted = act(&flags.mode, &mut system) => acted,
        () = interruptions.next() => Ok(End::Interrupted),
    };
    // However it went, sagas under way are given the time to end.
    let data = tokio::select! {
        data = system.stop() => data?,
        // Asked again, later: whatever still runs dies with the system.
        () = interruptions.again() => return Ok(End::Interrupted),
    };
    match acted? {
        End::Interrupted => {
            let _ = writeln!(
                io::stderr(),
                "order_saga: interrupted; all services have ended"
            );
            Ok(End::Interrupted)
        }
        end if flags.mode == Mode::Serve => Ok(end),
        end => {
            let books = report::Books::read(&data)?;
            match &flags.mode {
                Mode::Bulk(bulk) if bulk.json => say(books.json()),
                _ => say(books.table()),
            }
            if !data.is_temporary() && !matches!(&flags.mode, Mode::Bulk(b) if b.json) {
                say(format_args!(
                    "databases and logs are in {}",
                    data.path().display()
                ));
            }
            Ok(if books.consistent() { end } else { End::Badly })
        }
    }
}

async fn act(mode: &Mode, system: &mut System) -> anyhow::Result<End> {
    match mode {
        Mode::Bulk(bulk) => bulk::run(bulk, system).await,
        Mode::Serve => serve(system).await,
        _ => story::tell(system).await,
    }
}

/// Prints what one needs to try things by hand, and waits for the end of stdin.
async fn serve(system: &System) -> anyhow::Result<End> {
    for (name, url, pid) in system.services() {
        say(format_args!(
            "service {name} {url} pid {}",
            pid.unwrap_or(0)
        ));
    }
    for (customer, ..) in users::CUSTOMERS {
        say(format_args!(
            "token {customer} {}",
            system.token(customer, ALL_SCOPES)?
        ));
    }
    say(format_args!("gateway {}", system.url(Name::Gateway)));
    service::end(service::end_of_stdin(service::Then::End)).await;
    Ok(End::Well)
}

/// Everything the gateway asks for.
const ALL_SCOPES: &str = "users:read products:read orders:read orders:write";

/// The service `name`.
async fn service_of(name: Name, around: Surroundings) -> anyhow::Result<App> {
    match name {
        Name::Users => users::app(&around).await,
        Name::Inventory => inventory::app(&around).await,
        Name::Payments => payments::app(&around).await,
        Name::Notifications => notifications::app(&around).await,
        Name::Orders => orders::app(&around).await,
        Name::Gateway => gateway::app(&around).await,
    }
}

/// Ctrl-C, and where there is such a thing, a polite `kill`. Listened to from the beginning: one that
/// comes while nobody waits for it is not lost.
#[cfg(unix)]
struct Interruptions {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interruptions {
    fn new() -> io::Result<Interruptions> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Interruptions {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Interruptions;

#[cfg(not(unix))]
impl Interruptions {
    fn new() -> io::Result<Interruptions> {
        Ok(Interruptions)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

impl Interruptions {
    /// Another one, not the echo of the last: what comes within half a second is taken for one.
    async fn again(&mut self) {
        let echoes = async {
            loop {
                self.next().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(500), echoes).await;
        self.next().await;
    }
}

/// A line on stdout. Whoever has closed it does not want to know, so errors do not matter.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// It could not even start: one line on stderr, exit code 2.
#[derive(Debug)]
struct Setup(String);

impl Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Setup {}

fn setup(why: impl Display) -> anyhow::Error {
    Setup(why.to_string()).into()
}
