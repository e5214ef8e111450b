//! S38: the power is cut. What was not synced may be there, or not, or in part.
//!
//! A run is recorded once ([`recording`](super::recording)). At any point of it the disk may be left
//! in many states; some are drawn, each is opened as after a restart, and everything that was told
//! before that point must be in it. The controls show that this check finds what it is for.
use super::image::Disk;
use super::inject::{Scene, is_there};
use super::program::Task;
use super::recording::{Did, Recording, record};
use super::told::Fact;
use super::{check, long, seed};
use fastrand::Rng;
use std::ops::Range;
use std::path::Path;

/// What came of the images of a recording.
#[derive(Debug, Default)]
struct Seen {
    images: usize,
    promises: usize,
    lost: Vec<String>,
}

/// Draws `images` crash points in this part of the recording, and a state of the disk at each.
/// `check` tells what is missing.
async fn cut(
    recording: &Recording,
    part: Range<usize>,
    images: usize,
    check: impl AsyncFn(&Path, &[Fact], usize) -> Result<(), String>,
) -> Seen {
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    let images = if long() { images * 20 } else { images };
    let mut points: Vec<_> = (0..images).map(|_| random.usize(part.clone())).collect();
    points.sort_unstable();
    let mut points = points.into_iter().peekable();
    let mut disk = Disk::new(&recording.before);
    let (mut seen, mut promised) = (Seen::default(), Vec::new());
    for (point, did) in recording.did.iter().enumerate() {
        while points.next_if_eq(&point).is_some() {
            let folder = tempfile::tempdir().unwrap();
            disk.write(folder.path(), &mut random);
            seen.images += 1;
            seen.promises += promised.len();
            if let Err(why) = check(folder.path(), &promised, seen.images).await {
                let what = format!("seed {seed}, cut before {point}: {why}");
                seen.lost.push(what);
            }
        }
        disk.does(did);
        if let Did::Tell(fact) = did {
            promised.push(fact.clone());
        }
    }
    let (calls, lost) = (recording.did.len(), seen.lost.len());
    let (images, promises) = (seen.images, seen.promises);
    println!("seed {seed}: {calls} calls, {images} images, {promises} promises, {lost} lose some");
    seen
}

/// Everything that was told is there; and, since that takes longer, sometimes: it all ends, and the
/// participants agree.
async fn engine_is_well(folder: &Path, promised: &[Fact], image: usize) -> Result<(), String> {
    check::missing(folder, promised).await?;
    if image.is_multiple_of(4) {
        check::all_ends(folder, promised).await;
    }
    Ok(())
}

/// Opened and closed three times.
fn task(folder: &Path) -> Task {
    let mut task = Task::of(folder, 12);
    task.times = 3;
    task
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_that_was_promised() {
    if is_there() {
        for scene in [Scene::new_file(), Scene::after_a_kill().await] {
            let recording = record(&task(scene.before.path())).await;
            let part = 0..recording.did.len();
            let seen = cut(&recording, part, 150, async |folder, facts, image| {
                engine_is_well(folder, &[&scene.facts[..], facts].concat(), image).await
            })
            .await;
            assert_eq!(seen.lost, [""; 0]);
            assert!(seen.promises > 10 * seen.images, "{seen:?}");
        }
    }
}

/// Past 16 MB the WAL is brought into the main file, and begun anew over what it has.
#[tokio::test]
async fn a_power_cut_loses_nothing_while_the_wal_is_begun_anew() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut task = Task::of(folder.path(), 170);
    task.padding = 100_000;
    let recording = record(&task).await;
    let wal = recording.did.iter().rev().find_map(|did| match did {
        Did::Name(name, Some(file)) if name == "sagas.db-wal" => Some(*file),
        _ => None,
    });
    let wal = wal.unwrap();
    let is_begun = |did: &Did| matches!(did, Did::Write(file, 0, _) if *file == wal);
    let is_sync = |did: &Did| matches!(did, Did::Sync(_));
    let begun = recording.did.iter().rposition(is_begun).unwrap();
    let earlier =
        |did: &&Did| matches!(did, Did::Write(file, at, _) if *file == wal && *at > 15 << 20);
    assert!(recording.did[..begun].iter().any(|did| earlier(&did)));
    // From the first page that goes to the main file: its sync is the one before the beginning.
    let synced = recording.did[..begun].iter().rposition(is_sync).unwrap();
    let brought = recording.did[..synced].iter().rposition(is_sync).unwrap();
    assert!(synced - brought > 1000, "all those pages");
    for (part, images) in [(brought..begun, 8), (begun..begun + 100, 12)] {
        let seen = cut(&recording, part, images, engine_is_well).await;
        assert_eq!(seen.lost, [""; 0]);
    }
}

/// Control: the same run on a disk that says yes to a sync, and does not do it.
#[tokio::test]
async fn it_is_found_where_a_disk_does_not_do_what_it_promises() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let honest = record(&task(folder.path())).await;
    for what in ["files", "their directory"] {
        let lie = |did: &Did| match did {
            Did::Sync(_) => what == "files",
            Did::SyncFolder => what == "their directory",
            _ => false,
        };
        let did = honest.did.iter().filter(|did| !lie(did)).cloned();
        let liar = Recording {
            before: Vec::new(),
            did: did.collect(),
        };
        let part = 0..liar.did.len();
        let missing = async |folder: &Path, facts: &[Fact], _| check::missing(folder, facts).await;
        let seen = cut(&liar, part, 40, missing).await;
        println!("without the syncs of {what}: {:?}", seen.lost.first());
        assert!(seen.lost.len() > seen.images / 4, "{what}: {seen:?}");
    }
}

/// Control: `synchronous=NORMAL`, which no kill can tell from `FULL`, syncs nothing at a commit.
#[tokio::test]
async fn it_is_found_where_commits_are_not_synced() {
    if !is_there() {
        return;
    }
    for (synchronous, loses) in [("FULL", false), ("NORMAL", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut task = Task::of(folder.path(), 200);
        task.raw = Some(synchronous.to_owned());
        let recording = record(&task).await;
        let first = |did: &Did| matches!(did, Did::Tell(Fact::Raw(_)));
        let part = recording.did.iter().position(first).unwrap()..recording.did.len();
        let missing = async |folder: &Path, facts: &[Fact], _| check::raw_missing(folder, facts);
        let seen = cut(&recording, part, 60, missing).await;
        println!("synchronous={synchronous}: {:?}", seen.lost.first());
        match loses {
            false => assert_eq!(seen.lost, [""; 0]),
            true => assert!(seen.lost.len() > seen.images / 4, "{seen:?}"),
        }
    }
}
