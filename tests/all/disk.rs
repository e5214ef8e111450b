//! Real processes on a real disk, and what is left of them: killed at any moment, with failing
//! writes and syncs, with the power cut.
//!
//! The program that dies is this binary with another task ([`program`]).
mod books;
mod check;
mod image;
mod inject;
mod kill;
mod limits;
mod power;
mod program;
mod recording;
mod told;

use program::{TASK, Task};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use told::Fact;

/// Beyond this, something hangs.
const LONG: Duration = Duration::from_secs(60);

/// Whether all points are wanted, instead of as many as a run in CI has time for.
fn long() -> bool {
    std::env::var_os("SEAWALL_LONG").is_some()
}

/// Another one each time, told by whoever draws from it.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

/// The files of a process that has ended, for another one.
fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The program, running.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    facts: Vec<Fact>,
}

impl Running {
    /// Starts it, behind these words: a tracer, or limits.
    fn start(task: &Task, before: &[String]) -> Running {
        let mut words = before.to_vec();
        let binary = std::env::current_exe().unwrap();
        words.push(binary.to_str().unwrap().to_owned());
        let test = "disk::program::without_faults_every_saga_ends_and_the_books_agree";
        words.extend(["--exact", test, "--nocapture", "--test-threads=1"].map(String::from));
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env(TASK, serde_json::to_string(task).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running {
            child,
            lines,
            facts: Vec::new(),
        }
    }

    /// The next fact; `None` when it has ended.
    async fn next(&mut self) -> Option<&Fact> {
        loop {
            let line = timeout(LONG, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("it hangs after {:?}", self.facts.last()));
            let line = line.unwrap()?;
            if let Some(fact) = Fact::read(&line) {
                self.facts.push(fact);
                return self.facts.last();
            }
        }
    }

    /// All that it tells, until it has ended.
    async fn facts(mut self) -> Vec<Fact> {
        while self.next().await.is_some() {}
        timeout(LONG, self.child.wait())
            .await
            .expect("it hangs")
            .unwrap();
        self.facts
    }

    /// Ends it at once.
    async fn kill(mut self) -> Vec<Fact> {
        self.child.start_kill().unwrap();
        // What it told before.
        self.facts().await
    }
}
