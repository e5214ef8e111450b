//! A process that may not write: its disk is full, or it has no permission.
use super::inject::Scene;
use super::program::Task;
use super::told::Fact;
use super::{Running, check, copy};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// With rows so large that it is the journal that finds no room, not the participants' books.
fn large(folder: &Path) -> Task {
    let mut task = Task::of(folder, 100);
    task.padding = 100_000;
    task
}

/// Behind a shell that does this before.
fn shell(before: &str) -> Vec<String> {
    let script = format!("{before} exec \"$0\" \"$@\"");
    ["sh", "-c", &script].map(String::from).to_vec()
}

/// S25 and S26: everyone has an answer, and a promise is a promise.
async fn filled_up(folder: &Path, facts: &[Fact]) {
    assert_eq!(
        facts.last(),
        Some(&Fact::Over),
        "it ends by itself: {facts:?}"
    );
    let closed = facts.iter().filter_map(|fact| match fact {
        Fact::Closed(why) => Some(why),
        _ => None,
    });
    let [why] = closed.collect::<Vec<_>>()[..] else {
        panic!("{facts:?}");
    };
    assert!(why.contains("sagas.db: a write failed"), "{why}");
    assert!(why.contains("space"), "{why}");
    // Three that waited, and one that came later.
    let failed = facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Failed { .. }));
    assert_eq!(failed.count(), 4);
    let started = facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Started { .. }));
    assert!(started.count() > 3);
    check::all_is_there(folder, facts).await;
    check::all_ends(folder, facts).await;
}

#[tokio::test]
async fn a_file_that_may_not_grow_loses_nothing_and_nobody_hangs() {
    let folder = tempfile::tempdir().unwrap();
    // A few megabytes. The signal that tells so is ignored.
    let before = shell("trap '' XFSZ; ulimit -f 4096;");
    let facts = Running::start(&large(folder.path()), &before).facts().await;
    filled_up(folder.path(), &facts).await;
}

/// A disk of its own in memory, where the system lets a process have one; it goes with the process,
/// which so copies it out.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_nobody_hangs() {
    let (disk, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (disk.path().display(), copied.path().display());
    let mount = format!("mount -t tmpfs -o size=4m none {from}");
    let mut before = ["unshare", "-Urm", "sh", "-c"].map(String::from).to_vec();
    let tried = Command::new("unshare")
        .args(&before[1..])
        .arg(&mount)
        .output();
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no disk of its own: the system does not let this process have one");
        return;
    }
    before.push(format!("{mount} && \"$0\" \"$@\"; cp {from}/* {to}"));
    let facts = Running::start(&large(disk.path()), &before).facts().await;
    filled_up(copied.path(), &facts).await;
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The words before a program for which permissions hold: for root they do not.
fn obedient(folder: &Path) -> Vec<String> {
    let probe = folder.join("probe");
    fs::write(&probe, "").unwrap();
    allow(&probe, 0o444);
    let is_root = fs::write(&probe, "").is_ok();
    fs::remove_file(probe).unwrap();
    let words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    words
        .into_iter()
        .filter(|_| is_root)
        .map(String::from)
        .collect()
}

async fn refusal(folder: &Path, before: &[String]) -> String {
    let facts = Running::start(&Task::of(folder, 1), before).facts().await;
    match &facts[..] {
        [Fact::Begun, Fact::Refused(why), Fact::Over] => why.clone(),
        _ => panic!("{facts:?}"),
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn what_may_only_be_read_is_refused_and_left_as_it_is() {
    let killed = Scene::after_a_kill().await;
    for clean in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let before = obedient(folder.path());
        copy(killed.before.path(), folder.path());
        let mut facts = killed.facts.clone();
        if clean {
            let task = Task::of(folder.path(), 8);
            facts.extend(Running::start(&task, &[]).facts().await);
        }
        let found = files(folder.path());
        assert_eq!(found.contains_key("sagas.db-wal"), !clean);

        let file = folder.path().join("sagas.db");
        allow(&file, 0o444);
        let why = refusal(folder.path(), &before).await;
        assert!(
            why.contains("sagas.db: it may only be read; make it writable"),
            "{why}"
        );
        allow(&file, 0o600);
        if clean {
            // No WAL can be made.
            allow(folder.path(), 0o555);
            let why = refusal(folder.path(), &before).await;
            allow(folder.path(), 0o700);
            assert!(why.contains("sagas.db: it cannot be opened"), "{why}");
            assert!(
                why.contains("may write to the file and to its directory"),
                "{why}"
            );
        }
        assert!(files(folder.path()) == found, "it was changed");
        check::all_is_there(folder.path(), &facts).await;
        check::all_ends(folder.path(), &facts).await;
    }
    let empty = tempfile::tempdir().unwrap();
    let before = obedient(empty.path());
    allow(empty.path(), 0o555);
    let why = refusal(empty.path(), &before).await;
    allow(empty.path(), 0o700);
    assert!(why.contains("sagas.db: it cannot be created"), "{why}");
    assert!(why.contains("check the directory's permissions"), "{why}");
}
