//! `kill -9` at random moments, again and again on the same files.
use super::program::Task;
use super::{Running, check, copy, long, seed};

/// S1, S15, S16, S26. The moment is a number of facts told, drawn anew each time: 0 is before the
/// store is opened, and what is small is in the middle of recovery.
#[tokio::test]
async fn after_any_number_of_kills_all_that_was_promised_is_there_and_ends() {
    let kills = if long() { 500 } else { 50 };
    let seed = seed();
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut promised = Vec::new();
    for run in 0..kills {
        let mut task = Task::of(folder.path(), 16 * (run + 1));
        task.width = 8;
        let mut running = Running::start(&task, &[]);
        let most = if random.bool() { 8 } else { 90 };
        for _ in 0..=random.usize(..most) {
            running.next().await.expect("it ended before it was killed");
        }
        promised.extend(running.kill().await);
        // A copy, so that looking at it does not recover it.
        let there = tempfile::tempdir().unwrap();
        copy(folder.path(), there.path());
        check::all_is_there(there.path(), &promised).await;
    }
    check::all_is_there(folder.path(), &promised).await;
    let ended = check::all_ends(folder.path(), &promised).await;
    println!(
        "{kills} kills, {} facts, {ended} sagas ended",
        promised.len()
    );
    assert!(ended > 0);
}
