//! What an engine's observer hears, in the order of a saga's life.
use super::operator::desk::{Desk, HOUR, Way, settle_down};
use seawall::event::{SagaEvent, SagaEventKind as Kind};
use seawall::saga::{MemoryStore, SagaError, SqliteStore, Store, StoreError};
use seawall::{Event, Name};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A desk whose observer writes here, with room for so many sagas.
    async fn desk(&self, store: impl Store, room: usize) -> Desk {
        let heard = self.0.clone();
        let observer = move |source: Name, event: &Event<'_>| {
            assert_eq!(source.as_str(), "saga engine");
            heard.lock().unwrap().push(line(event));
            panic!("an observer that panics hurts nobody");
        };
        Desk::build(store, |b| {
            b.observer(observer).max_running(room);
        })
        .await
    }
}

fn line(event: &Event<'_>) -> String {
    let saga: &SagaEvent<'_> = match event {
        Event::Saga(saga) => saga,
        other => return format!("{other:?}"),
    };
    let what = match saga.kind {
        Kind::Started => "started".to_owned(),
        Kind::Resumed => "resumed".to_owned(),
        Kind::AttemptEnded {
            op,
            step,
            attempt,
            failure,
            ..
        } => format!("{step}/{op} attempt {attempt}: {failure:?}"),
        Kind::Waiting {
            op,
            step,
            policy,
            until_ms: until,
            undo,
            ..
        } => {
            // Its own hour, from the begin of the clock.
            let minutes = (until - 1_700_000_000_000) / 60_000;
            let undo = if undo { "undo of " } else { "" };
            format!("{undo}{step}/{op} waits until minute {minutes}, {policy:?}")
        }
        Kind::Undone {
            op, step, attempt, ..
        } => format!("{step}/{op} undone by attempt {attempt}"),
        Kind::UndoFailed {
            op,
            step,
            attempt,
            error,
            ..
        } => format!("{step}/{op} undo {attempt} failed: {error}"),
        Kind::Stuck { kind, why, .. } => format!("stuck, {}: {why}", kind.as_str()),
        Kind::Ended { status, .. } => format!("ended {status}"),
        other => format!("unexpected {other:?}"),
    };
    format!("{} {}: {what}", saga.name, saga.key)
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_completes_is_told_from_its_start_to_its_end() {
    let heard = Heard::default();
    let desk = heard.desk(MemoryStore::new(), 10).await;
    let ways = &[
        Way::Held(Duration::from_secs(90)),
        Way::Transient,
        Way::Unknown,
    ];
    let mut handle = desk.start("k", &[("a", ways)]).await;
    assert_eq!(handle.outcome().await.unwrap(), 14);
    let expected = [
        "order k: started",
        "order k: a/0 attempt 1: Some(Held)",
        "order k: a/0 waits until minute 1, Some(\"payments\")",
        "order k: resumed",
        "order k: a/0 attempt 1: Some(Transient)",
        "order k: a/0 waits until minute 61, None",
        "order k: resumed",
        "order k: a/0 attempt 2: Some(Unknown)",
        "order k: a/0 waits until minute 121, None",
        "order k: resumed",
        "order k: a/0 attempt 3: None",
        "order k: b/1 attempt 1: None",
        "order k: p/2 attempt 1: None",
        "order k: c/3 attempt 1: None",
        "order k: ended finished",
    ];
    assert_eq!(heard.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_is_undone_gets_stuck_and_is_set_going_is_told_so() {
    let heard = Heard::default();
    let desk = heard.desk(MemoryStore::new(), 10).await;
    let undo = &[Way::Unknown, Way::Refused];
    let script: &[(&'static str, &[Way])] = &[("b", &[Way::Refused]), ("undo a", undo)];
    let mut handle = desk.start("k", script).await;
    let end = handle.outcome().await;
    assert!(matches!(end, Err(SagaError::Stuck { .. })), "{end:?}");
    let expected = [
        "order k: started",
        "order k: a/0 attempt 1: None",
        "order k: b/1 attempt 1: Some(Refused)",
        "order k: a/0 undo 1 failed: no answer",
        "order k: undo of a/0 waits until minute 60, None",
        "order k: resumed",
        "order k: a/0 undo 2 failed: no",
        "order k: stuck, backward: the compensation of `a` failed 2 times: no",
    ];
    assert_eq!(heard.take(), expected);
    desk.alice.retry(handle.id(), "mended").await.unwrap();
    settle_down().await;
    let expected = [
        "order k: resumed",
        "order k: a/0 undone by attempt 1",
        "order k: ended compensated",
    ];
    assert_eq!(heard.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_place_is_started_once_and_resumed_in_its_turn() {
    let heard = Heard::default();
    let desk = heard.desk(MemoryStore::new(), 1).await;
    desk.start("first", &[("a", &[Way::Hangs])]).await;
    desk.start("second", &[]).await;
    assert_eq!(
        heard.take(),
        ["order first: started", "order second: started"]
    );
    desk.participants.go.notify_one();
    settle_down().await;
    let told = heard.take();
    let second: Vec<_> = told.iter().filter(|l| l.contains("second")).collect();
    assert_eq!(second[0], "order second: resumed");
    assert_eq!(*second.last().unwrap(), "order second: ended finished");
    // The same start again is no other saga.
    desk.start("second", &[]).await;
    assert_eq!(heard.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn ends_by_hand_are_told_as_what_they_are() {
    let heard = Heard::default();
    let store = MemoryStore::new();
    let desk = heard.desk(store.clone(), 10).await;
    let stuck: &[(&'static str, &[Way])] =
        &[("b", &[Way::Refused]), ("undo a", &[Way::Refused; 2])];
    let skipped = desk.start("k1", stuck).await.id();
    tokio::time::sleep(2 * HOUR).await;
    let forced = desk.start("k2", &[("a", &[Way::Hangs])]).await.id();
    heard.take();
    desk.alice.skip(skipped, 0, "by hand").await.unwrap();
    desk.alice.force_end(forced, "by hand").await.unwrap();
    settle_down().await;
    let mut told = heard.take();
    told.retain(|line| line.contains("ended"));
    told.sort();
    let expected = [
        "order k1: ended compensated_with_exceptions",
        "order k2: ended forced",
    ];
    assert_eq!(told, expected);
}

/// With a real file, so that the store closes as it would.
#[tokio::test]
async fn a_store_that_closes_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("s.db")).await.unwrap();
    let heard = Heard::default();
    let desk = heard.desk(store.clone(), 10).await;
    desk.participants.will("a", &[Way::Hangs]);
    let mut handle = desk.engine.start(desk.order, "k", 7).await.unwrap();
    store.close().await;
    desk.participants.go.notify_one();
    let end = handle.outcome().await;
    assert!(
        matches!(end, Err(SagaError::Store(StoreError::Closed(_)))),
        "{end:?}"
    );
    desk.engine.closed().await;
    assert!(desk.engine.start(desk.order, "k2", 7).await.is_err());
    let told = heard.take();
    let closed = told.iter().filter(|line| line.starts_with("StoreClosed"));
    assert_eq!(closed.count(), 1, "{told:?}");
}
