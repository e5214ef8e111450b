//! Numbers for dashboards.
use super::desk::{Desk, HOUR, Way, settle_down};
use seawall::saga::MemoryStore;

const STUCK: &[(&str, &[Way])] = &[("b", &[Way::Refused]), ("undo a", &[Way::Refused; 2])];

#[tokio::test(start_paused = true)]
async fn the_undo_rate_is_the_undone_among_those_that_have_ended_here() {
    let store = MemoryStore::new();
    let desk = Desk::on(store.clone()).await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undone), (0, 0));
    assert_eq!(stats.undo_rate(), None);
    for n in 0..3 {
        desk.start(&format!("k{n}"), &[]).await;
    }
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undo_rate()), (3, Some(0.0)));
    desk.start("undone", &[("b", &[Way::Refused])]).await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undone), (4, 1));
    assert_eq!(stats.undo_rate(), Some(0.25));
    // Parked is no end.
    let stuck = desk.start("stuck", STUCK).await.id();
    tokio::time::sleep(2 * HOUR).await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undone), (4, 1));
    // Undone with an exception is undone; ended by force is not.
    desk.alice.skip(stuck, 0, "by hand").await.unwrap();
    let forced = desk.start("forced", &[("a", &[Way::Hangs])]).await.id();
    desk.alice.force_end(forced, "by hand").await.unwrap();
    settle_down().await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undone), (6, 2));
    assert!((stats.undo_rate().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    // The store has all of them, and the next engine counts anew.
    drop(desk);
    let next = Desk::on(store).await.engine.stats().await.unwrap();
    assert_eq!((next.ended, next.undo_rate()), (0, None));
    let counts = next.counts;
    assert_eq!((counts.finished, counts.compensated), (3, 1));
    assert_eq!((counts.compensated_with_exceptions, counts.forced), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_runs_waits_and_is_stuck_is_counted_and_how_old_the_oldest_is() {
    let desk = Desk::on(MemoryStore::new()).await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.oldest_age, stats.in_memory), (None, 0));
    let stuck = desk.start("stuck", &[("b", &[Way::Unknown])]).await.id();
    tokio::time::sleep(5 * HOUR).await;
    let running = desk.start("running", &[("a", &[Way::Hangs])]).await.id();
    desk.start("waiting", &[("a", &[Way::Transient])]).await;
    desk.start("finished", &[]).await;
    let stats = desk.engine.stats().await.unwrap();
    let counts = stats.counts;
    assert_eq!((counts.running, counts.waiting, counts.stuck), (1, 1, 1));
    assert_eq!((counts.finished, stats.in_memory), (1, 1));
    // The stuck one is the oldest; each start took a second.
    let second = HOUR / 3600;
    assert_eq!(stats.oldest_age, Some(5 * HOUR + 4 * second));
    desk.alice.force_end(stuck, "by hand").await.unwrap();
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!(stats.oldest_age, Some(3 * second));
    desk.alice.force_end(running, "by hand").await.unwrap();
    tokio::time::sleep(2 * HOUR).await;
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.oldest_age, stats.in_memory), (None, 0));
    assert_eq!(stats.counts.finished, 2);
}
