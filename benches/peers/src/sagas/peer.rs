//! The sagas of other crates, in a program of their own (`benches/saga_peers`): it is told a round
//! by a line and answers with a line.
use super::{Contender, Error};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Builds the program, as `cargo bench` builds this one, and says where it is.
pub fn build() -> Result<PathBuf, Error> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../saga_peers");
    let target = package.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    if !built.success() {
        return Err("benches/saga_peers does not build; it needs OpenSSL's headers and pkg-config (libssl-dev and pkg-config in Debian); leave the peers out with --quick".into());
    }
    Ok(target.join("release/saga-peers"))
}

/// One of the peers, running.
pub struct Peer {
    child: Child,
    rounds: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it, with its files in this folder.
    pub fn start(program: &Path, who: &str, folder: &Path) -> Result<Peer, Error> {
        let mut child = Command::new(program)
            .arg(who)
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let rounds = child.stdin.take().ok_or("no stdin")?;
        let answers = child.stdout.take().ok_or("no stdout")?;
        Ok(Peer {
            child,
            rounds,
            answers: BufReader::new(answers),
        })
    }
}

impl Contender for Peer {
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error> {
        writeln!(self.rounds, "{clients} {}", span.as_millis())?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.answers.read_line(&mut line)? == 0 {
                return Err("the peer has ended".into());
            }
            // duroxide writes its log there as well.
            if let Some(rate) = line.strip_prefix("rate ") {
                return Ok(rate.trim().parse()?);
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // What it has not finished is of no use to anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
