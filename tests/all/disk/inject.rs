//! Every write and sync of the journal's files, and of their directory, fails or is the last one:
//! by `strace`, which takes the system call's place.
//!
//! A call that fails is not done. A process that is killed there is killed before the call.
use super::program::{Task, journal};
use super::told::Fact;
use super::{Running, check, copy, long};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Whether it can be done here. Where it must, a lack of it is a failure.
pub fn is_there() -> bool {
    let found = Command::new("strace").arg("--version").output();
    let there = found.is_ok_and(|output| output.status.success());
    if !there {
        let required = std::env::var_os("SEAWALL_REQUIRE_STRACE").is_some();
        assert!(!required, "strace is missing: apt-get install strace");
        eprintln!("SKIPPED: strace is missing (apt-get install strace): nothing is proved here");
    }
    there
}

/// The words before a program that is traced: which calls on which files, and what is done to them.
pub fn strace(files: &[&Path], log: &Path, rest: &[String]) -> Vec<String> {
    let words = ["strace", "-f", "-qq", "-o"];
    let mut words = words.map(String::from).to_vec();
    words.push(log.to_str().unwrap().to_owned());
    for file in files {
        words.extend(["-P".to_owned(), file.to_str().unwrap().to_owned()]);
    }
    words.extend_from_slice(rest);
    words
}

/// The calls that change what is on the disk, or promise that it is there.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,ftruncate,unlink";

/// Where a program begins.
pub struct Scene {
    name: &'static str,
    /// The files that are there already.
    pub before: TempDir,
    /// What was promised about them.
    pub facts: Vec<Fact>,
}

impl Scene {
    pub fn new_file() -> Scene {
        Scene {
            name: "a new file",
            before: tempfile::tempdir().unwrap(),
            facts: Vec::new(),
        }
    }

    /// There is a WAL to recover, and there are owners to clear.
    pub async fn after_a_kill() -> Scene {
        let before = tempfile::tempdir().unwrap();
        let mut running = Running::start(&task(before.path()), &[]);
        while running.facts.len() < 40 {
            running.next().await.expect("it ended before it was killed");
        }
        Scene {
            name: "a file whose process was killed",
            facts: running.kill().await,
            before,
        }
    }

    async fn run(&self, strace_rest: &[String]) -> Run {
        let (folder, log) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(self.before.path(), folder.path());
        let log = log.path().join("log");
        let file = journal(folder.path());
        let files = [&file, &file.with_extension("db-wal"), folder.path()];
        let words = strace(&files, &log, strace_rest);
        // Whoever hangs is found here.
        let facts = Running::start(&task(folder.path()), &words).facts().await;
        let log = std::fs::read_to_string(&log).unwrap();
        Run { folder, facts, log }
    }

    /// How often it makes each call, in the one of its two threads that makes more of them: `strace`
    /// counts by thread.
    async fn points(&self) -> Vec<(String, usize)> {
        let run = self.run(&words(&["-e", &format!("trace={CALLS}")])).await;
        assert_eq!(run.facts.last(), Some(&Fact::Over));
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in run.log.lines() {
            let (thread, call) = line.split_once(' ').unwrap();
            if let Some((name, _)) = call.trim_start().split_once('(') {
                *counts.entry((name, thread)).or_default() += 1;
            }
        }
        let mut most: BTreeMap<&str, usize> = BTreeMap::new();
        for ((name, _), count) in counts {
            let seen = most.entry(name).or_default();
            *seen = (*seen).max(count);
        }
        println!("{}: {most:?}", self.name);
        assert!(most["pwrite64"] > 50 && most["fsync"] > 10, "{most:?}");
        let point = |(name, count): (&str, usize)| {
            (1..=count)
                .map(|n| (name.to_owned(), n))
                .collect::<Vec<_>>()
        };
        most.into_iter().flat_map(point).collect()
    }

    /// Does `what` to call number `n` of this name (from 1), and sees that nothing is lost and
    /// nobody hangs.
    async fn strike(&self, (name, n): &(String, usize), what: &str, seen: &mut Seen) {
        let inject = format!("inject={name}:{what}:when={n}");
        let run = self
            .run(&words(&["-e", &format!("trace={name}"), "-e", &inject]))
            .await;
        let (facts, at) = (&run.facts, format!("{}, {inject}", self.name));
        let over = facts.last() == Some(&Fact::Over);
        seen.runs += 1;
        if what.starts_with("signal") {
            seen.hits += usize::from(!over);
        } else {
            assert!(over, "{at}: it ends by itself: {facts:?}");
            seen.hits += usize::from(run.log.contains("(INJECTED)"));
        }
        // S25: everyone who waited has an answer, and nothing is promised until it is opened again.
        let mut open = true;
        for fact in facts {
            match fact {
                Fact::Begun => open = true,
                Fact::Refused(why) => {
                    assert!(why.contains("sagas.db: it"), "{at}: {why}");
                    seen.refused += 1;
                }
                Fact::Closed(why) => {
                    assert!(why.contains("sagas.db: a write failed"), "{at}: {why}");
                    seen.closed += 1;
                    open = false;
                }
                Fact::Row { .. } | Fact::Started { .. } | Fact::Ended { .. } => {
                    assert!(open, "{at}: {fact:?} after the end: {facts:?}");
                }
                _ => (),
            }
        }
        let promised = [&self.facts[..], facts].concat();
        if let Err(why) = check::missing(run.folder.path(), &promised).await {
            panic!("{at}: {why}");
        }
        check::all_ends(run.folder.path(), &promised).await;
    }

    /// S25 and S26, at each point, or at `most` of them.
    async fn strike_all(&self, what: &str, most: usize) -> Seen {
        let points = self.points().await;
        let mut seen = Seen::default();
        for n in sample(points.len(), most) {
            self.strike(&points[n], what, &mut seen).await;
        }
        println!("{}, {what}: {} points, {seen:?}", self.name, points.len());
        // Not all: commits join as it happens, so that a run may make fewer calls than the first.
        assert!(seen.hits * 2 > seen.runs, "{seen:?}");
        seen
    }
}

/// A run that was struck.
struct Run {
    folder: TempDir,
    facts: Vec<Fact>,
    log: String,
}

/// What the runs of a scene came to.
#[derive(Debug, Default)]
struct Seen {
    runs: usize,
    hits: usize,
    refused: usize,
    closed: usize,
}

/// The store is opened twice, each time for four sagas.
fn task(folder: &Path) -> Task {
    let mut task = Task::of(folder, 8);
    task.width = 2;
    task.times = 2;
    task
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// At most so many of `0..all`, evenly, first and last among them.
fn sample(all: usize, most: usize) -> Vec<usize> {
    let wanted = if long() { all } else { all.min(most) };
    let place = |n| n * (all - 1) / (wanted - 1).max(1);
    (0..wanted).map(place).collect()
}

#[tokio::test]
async fn a_kill_at_any_write_or_sync_loses_nothing() {
    if is_there() {
        for scene in [Scene::new_file(), Scene::after_a_kill().await] {
            scene.strike_all("signal=SIGKILL", 80).await;
        }
    }
}

#[tokio::test]
async fn a_failing_disk_at_any_write_or_sync_loses_nothing_and_nobody_hangs() {
    if is_there() {
        for scene in [Scene::new_file(), Scene::after_a_kill().await] {
            let seen = scene.strike_all("error=EIO", 80).await;
            assert!(seen.refused > 0 && seen.closed > 0, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_at_any_write_loses_nothing_and_nobody_hangs() {
    if is_there() {
        for scene in [Scene::new_file(), Scene::after_a_kill().await] {
            let seen = scene.strike_all("error=ENOSPC", 30).await;
            assert!(seen.refused > 0 && seen.closed > 0, "{seen:?}");
        }
    }
}

/// SQLite passes over it: after a power cut there might be no WAL.
#[tokio::test]
async fn a_directory_that_cannot_be_synced_is_refused() {
    if is_there() {
        let (folder, log) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rest = words(&["-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]);
        let before = strace(&[folder.path()], &log.path().join("log"), &rest);
        let facts = Running::start(&Task::of(folder.path(), 1), &before)
            .facts()
            .await;
        let [Fact::Begun, Fact::Refused(why), Fact::Over] = &facts[..] else {
            panic!("{facts:?}");
        };
        assert!(
            why.contains("sagas.db: its directory cannot be synced"),
            "{why}"
        );
        assert!(why.contains("is on a local disk"), "{why}");
    }
}
