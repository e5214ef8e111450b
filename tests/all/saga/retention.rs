//! Ended sagas are deleted by the engine's own schedule (S32): after a time or beyond a number, whole,
//! a few at a time, and nothing else is.
use super::operator::desk::{Desk, HOUR, Way, settle_down};
use seawall::saga::{
    Abort, Engine, Find, Flow, MemoryStore, SagaError, SagaId, SagaRef, Signal, SqliteStore,
    Status, Store, StoreError,
    store::{Letter, Posted},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

/// The engine looks once a minute.
const LOOK: Duration = Duration::from_secs(60);

async fn kept(desk: &Desk) -> Vec<String> {
    let page = desk.alice.list(Find::any()).await.unwrap();
    page.sagas.into_iter().map(|saga| saga.key).collect()
}

#[tokio::test(start_paused = true)]
async fn a_saga_goes_when_its_time_is_over_whatever_its_end_and_no_sooner() {
    let store = MemoryStore::new();
    let desk = Desk::build(store.clone(), |b| {
        b.retention(10 * HOUR);
    })
    .await;
    let finished = desk.start("finished", &[]).await.id();
    desk.start("undone", &[("b", &[Way::Refused])]).await;
    let forced = desk.start("forced", &[("a", &[Way::Hangs])]).await.id();
    desk.bob.force_end(forced, "never mind").await.unwrap();
    tokio::time::sleep(9 * HOUR).await;
    desk.start("young", &[]).await;
    assert_eq!(kept(&desk).await, ["finished", "undone", "forced", "young"]);
    tokio::time::sleep(HOUR + LOOK).await;
    assert_eq!(kept(&desk).await, ["young"]);
    assert!(store.with_rows(finished, |_| ()).is_none(), "rows are left");
    let status = desk.engine.status(finished).await;
    assert!(matches!(status, Err(StoreError::NotFound(_))), "{status:?}");
    let end = desk.engine.handle::<u32>(finished).outcome().await;
    assert!(
        matches!(end, Err(SagaError::Store(StoreError::NotFound(_)))),
        "{end:?}"
    );
    tokio::time::sleep(9 * HOUR + LOOK).await;
    assert_eq!(kept(&desk).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn time_runs_from_the_end_and_what_has_not_ended_is_kept_for_ever() {
    let desk = Desk::build(MemoryStore::new(), |b| {
        b.retention(HOUR);
    })
    .await;
    let hangs = desk.start("running", &[("a", &[Way::Hangs])]).await.id();
    let stuck: &[(&'static str, &[Way])] = &[("b", &[Way::Unknown])];
    desk.start("stuck", stuck).await;
    desk.start("waiting", &[("a", &[Way::Transient; 2])]).await;
    // It ends after two hours.
    tokio::time::sleep(5 * HOUR / 2).await;
    assert_eq!(kept(&desk).await, ["running", "stuck", "waiting"]);
    tokio::time::sleep(100 * HOUR).await;
    assert_eq!(kept(&desk).await, ["running", "stuck"]);
    desk.bob.force_end(hangs, "a hundred hours").await.unwrap();
    tokio::time::sleep(HOUR / 2).await;
    assert_eq!(kept(&desk).await, ["running", "stuck"]);
    tokio::time::sleep(HOUR).await;
    assert_eq!(kept(&desk).await, ["stuck"]);
}

#[tokio::test(start_paused = true)]
async fn beyond_a_number_those_go_that_ended_first() {
    let desk = Desk::build(MemoryStore::new(), |b| {
        b.keep_at_most(3);
    })
    .await;
    let late = desk.start("late", &[("a", &[Way::Hangs])]).await.id();
    for n in 0..6 {
        desk.start(&format!("k{n}"), &[]).await;
    }
    desk.bob.force_end(late, "the last to end").await.unwrap();
    tokio::time::sleep(LOOK).await;
    assert_eq!(kept(&desk).await, ["late", "k4", "k5"]);
    tokio::time::sleep(10 * LOOK).await;
    assert_eq!(kept(&desk).await, ["late", "k4", "k5"]);
}

#[derive(Serialize, Deserialize)]
struct Word(u32);

impl Signal for Word {
    const NAME: &'static str = "word";
}

/// Answers its own input, or where that is 0 a word that it is sent.
async fn echo(store: impl Store, keep_at_most: Option<u64>) -> (Engine<()>, SagaRef<u32, u32>) {
    let mut b = Engine::builder((), store);
    if let Some(ended) = keep_at_most {
        b.keep_at_most(ended);
    }
    let echo = b.saga("echo", |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(match n {
            0 => saga.wait_for::<Word>().await.0,
            n => n,
        })
    });
    (b.build().await.unwrap(), echo)
}

/// Until so many have ended and are kept.
async fn until_kept(engine: &Engine<()>, ended: u64) {
    while engine.counts().await.unwrap().finished > ended {
        tokio::task::yield_now().await;
    }
}

async fn many(engine: &Engine<()>, saga: SagaRef<u32, u32>, count: u32) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=count {
        let engine = engine.clone();
        tasks.spawn(async move {
            let handle = engine.start(saga, format!("old-{n}"), n).await;
            handle.unwrap().outcome().await.unwrap()
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_deleted_is_free_and_has_no_letters_of_the_past() {
    let (engine, saga) = echo(MemoryStore::new(), Some(0)).await;
    for round in 1..=3 {
        let mut handle = engine.start(saga, "k", 0).await.unwrap();
        assert_eq!(handle.id(), SagaId(round));
        let word = Word(u32::try_from(round).unwrap());
        engine.signal("echo", "k", "m1", &word).await.unwrap();
        assert_eq!(handle.outcome().await.unwrap(), word.0);
        tokio::time::sleep(LOOK + Duration::from_secs(1)).await;
        assert_eq!(engine.find("echo", "k").await.unwrap(), None);
    }
    // Another input is no conflict.
    let mut handle = engine.start(saga, "k", 7).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn deletions_come_in_batches_with_turns_for_others_in_between() {
    let store = MemoryStore::new();
    let (engine, saga) = echo(store.clone(), None).await;
    many(&engine, saga, 600).await;
    engine.drain().await.unwrap();
    drop(engine);
    let (engine, _) = echo(store, Some(10)).await;
    let mut seen = vec![600];
    while *seen.last().unwrap() > 10 {
        seen.push(engine.counts().await.unwrap().finished);
        tokio::task::yield_now().await;
    }
    let most = seen.windows(2).map(|pair| pair[0] - pair[1]).max();
    assert!(most.unwrap() <= 256, "{seen:?}");
    settle_down().await;
    assert_eq!(engine.counts().await.unwrap().finished, 10);
}

#[tokio::test]
async fn a_file_loses_ended_sagas_whole_while_its_writers_go_on() {
    const OLD: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let (engine, saga) = echo(store.clone(), None).await;
    many(&engine, saga, OLD).await;
    let waiting = engine.start(saga, "waiting", 0).await.unwrap().id();
    engine
        .signal("echo", "waiting", "m1", &Word(5))
        .await
        .unwrap();
    assert_eq!(engine.handle::<u32>(waiting).outcome().await.unwrap(), 5);
    let unfinished = engine.start(saga, "unfinished", 0).await.unwrap().id();
    engine.drain().await.unwrap();
    drop(engine);

    let (engine, saga) = echo(store.clone(), Some(0)).await;
    let mut handle = engine.start(saga, "new", 9).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 9);
    let left = engine.counts().await.unwrap().finished;
    assert!(
        left > 100,
        "a new saga has waited for all deletions: {left}"
    );
    // The new one ended while that went on; it goes now or with the next look.
    until_kept(&engine, 1).await;
    let find = Find::of([Status::Waiting, Status::Running]);
    let alive = engine.operator("alice").list(find).await.unwrap().sagas;
    assert_eq!(alive.len(), 1);
    assert_eq!(alive[0].id, unfinished);
    drop(engine);
    store.close().await;

    let db = rusqlite::Connection::open(&file).unwrap();
    let count = |sql: &str| db.query_one(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(count("SELECT count(*) FROM saga") <= 2);
    let orphans = "SELECT count(*) FROM journal WHERE saga NOT IN (SELECT id FROM saga)";
    assert_eq!(count(orphans), 0);
    let letters = "SELECT count(*) FROM inbox WHERE key = 'waiting'";
    assert_eq!(count(letters), 0);
}

const DAY: u64 = 24 * 60 * 60;

/// Adds up the words that it is sent, each in a run of its own, until there comes a 0.
async fn sum(store: impl Store, day: &Arc<AtomicU64>) -> (Engine<()>, SagaRef<u32, u32>) {
    let mut b = Engine::builder((), store);
    let day = day.clone();
    b.wall_clock(move || {
        SystemTime::UNIX_EPOCH + Duration::from_secs((100 + day.load(SeqCst)) * DAY)
    });
    let sum = b.saga("sum", |saga: Flow, sum: u32| async move {
        match saga.wait_for::<Word>().await.0 {
            0 => Ok(sum),
            n => saga.continue_as(sum + n),
        }
    });
    (b.build().await.unwrap(), sum)
}

async fn letters_are_forgotten_in_time(store: impl Store + Clone) {
    let day = Arc::new(AtomicU64::new(0));
    let (engine, saga) = sum(store.clone(), &day).await;
    let id = engine.start(saga, "k", 0).await.unwrap().id();
    engine.signal("sum", "k", "a", &Word(1)).await.unwrap();
    while !store.inbox(id).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    engine
        .signal("sum", "never", "old", &Word(1))
        .await
        .unwrap();
    day.store(5, SeqCst);
    engine
        .signal("sum", "never", "young", &Word(1))
        .await
        .unwrap();
    engine.drain().await.unwrap();
    drop(engine);
    // As old as they, and of a saga that is there.
    let mut unread = Letter::new("sum", "k", "b", Word::NAME);
    unread.body = "10".into();
    unread.at = 100 * i64::try_from(DAY).unwrap() * 1000;
    assert_eq!(
        store.inbox_put(unread).await.unwrap(),
        Posted::New(Some(id))
    );

    day.store(8, SeqCst);
    let (engine, _) = sum(store, &day).await;
    let word = |key: &'static str, letter: &'static str, n| {
        let engine = engine.clone();
        async move { engine.signal("sum", key, letter, &Word(n)).await.unwrap() }
    };
    let forgotten = async {
        while word("never", "old", 1).await == Posted::Duplicate {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let forgotten = tokio::time::timeout(Duration::from_secs(30), forgotten).await;
    forgotten.expect("a letter that nobody reads stays for ever");
    assert_eq!(word("never", "young", 1).await, Posted::Duplicate);
    // What was read so long ago is not remembered in a later run; what has just come is.
    assert_eq!(word("k", "a", 100).await, Posted::New(Some(id)));
    assert_eq!(word("k", "a", 100).await, Posted::Duplicate);
    assert_eq!(word("k", "end", 0).await, Posted::New(Some(id)));
    let end = engine.handle::<u32>(id).outcome().await;
    assert_eq!(end.unwrap(), 111, "a letter was lost, or read twice");
}

#[tokio::test(start_paused = true)]
async fn letters_without_a_saga_and_ids_of_read_ones_are_kept_for_the_retention_time() {
    letters_are_forgotten_in_time(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_file_forgets_letters_without_a_saga_and_ids_of_read_ones_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("sagas.db")).await;
    letters_are_forgotten_in_time(store.unwrap()).await;
}
