//! Backups that are made while the store is in use, and stores that are made of them.
use super::*;
use rusqlite::Connection;
use seawall::saga::ledger::{Effect, Reply};
use seawall::saga::{Abort, Engine, Failure, Flow, Ledger, Outcome, SagaRef, StepContext};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A store of some twelve megabytes.
async fn large() -> (tempfile::TempDir, SqliteStore) {
    let (folder, store) = fresh().await;
    let text = "-".repeat(60_000);
    for n in 0..200 {
        let events = format!(r#"[{{"patch":{{"op":{n},"name":"{text}"}}}}]"#);
        let events: Vec<_> = serde_json::from_str(&events).unwrap();
        let row = Row::encode(&UID, 0, 1, 1, &events).unwrap();
        let new = NewSaga::new("order", format!("before-{n}"), UID, row, ME);
        store.create(new).await.unwrap();
    }
    (folder, store)
}

fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("copy")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_has_all_that_was_acknowledged_and_commits_go_on_while_it_is_made() {
    let (folder, store) = large().await;
    let path = folder.path().join("copy.db");
    let mut during = 0_u32;
    let writing = async {
        loop {
            create(&store, &format!("during-{during}")).await;
            during += 1;
        }
    };
    let backup = tokio::select! {
        backup = store.backup_to(&path) => backup.unwrap(),
        () = writing => unreachable!(),
    };
    assert!(during > 3, "only {during} were written while it was copied");
    let in_it = u32::try_from(backup.counts.running).unwrap() - 200;
    assert!(in_it > 3, "{backup:?}");
    assert_eq!(backup.bytes, path.metadata().unwrap().len());
    assert!(backup.bytes > 12_000_000, "{backup:?}");
    assert_eq!(names(folder.path()), ["copy.db"]);
    let check: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");

    // An engine that comes upon it by mistake is told.
    let refused = SqliteStore::open(&path).await.unwrap_err().to_string();
    assert!(
        refused.contains("it is a backup; `SqliteStore::restore`"),
        "{refused}"
    );
    let restored = SqliteStore::restore(&path).await.unwrap();
    assert_eq!(restored.counts().await.unwrap(), backup.counts);
    for n in 0..in_it {
        let found = restored
            .find("order", &format!("during-{n}"))
            .await
            .unwrap();
        let saga = restored.load(found.unwrap(), true).await.unwrap();
        assert!(saga.rows.iter().all(|row| row.decode(&UID).is_ok()));
    }
    let first = restored.find("order", "before-0").await.unwrap().unwrap();
    let kept = store.load(first, true).await.unwrap().rows;
    assert_eq!(restored.load(first, true).await.unwrap().rows, kept);
    restored.close().await;

    // It is a store now, and both go on.
    let refused = SqliteStore::restore(&path).await.unwrap_err().to_string();
    assert!(refused.contains("it is no backup"), "{refused}");
    let restored = SqliteStore::open(&path).await.unwrap();
    create(&restored, "after").await;
    create(&store, "after").await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_is_left_of_a_backup_that_was_not_made() {
    let (folder, store) = large().await;
    let path = folder.path().join("copy.db");
    std::fs::write(&path, "mine").unwrap();
    let refused = store.backup_to(&path).await.unwrap_err().to_string();
    assert!(
        refused.contains("there is a file of that name already"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");

    let nowhere = folder.path().join("no such folder").join("copy.db");
    let refused = store.backup_to(nowhere).await.unwrap_err().to_string();
    assert!(refused.contains("it cannot be created"), "{refused}");

    std::fs::remove_file(&path).unwrap();
    let mut dropped = tokio_test::task::spawn(store.backup_to(&path));
    assert!(dropped.poll().is_pending());
    drop(dropped);
    // The first may be answered before the writing thread has noticed; then it has.
    store.counts().await.unwrap();
    store.counts().await.unwrap();
    assert!(names(folder.path()).is_empty());

    let none = SqliteStore::restore(&path).await.unwrap_err().to_string();
    assert!(none.contains("there is no such file"), "{none}");
    assert!(names(folder.path()).is_empty());
    store.close().await;
    let closed = store.backup_to(&path).await.unwrap_err();
    assert!(matches!(closed, StoreError::Closed(_)), "{closed}");
}

/// Two participants with a ledger, whose effects are rows.
#[derive(Clone)]
struct Shop(Arc<Mutex<Connection>>);

impl Shop {
    fn new() -> Shop {
        let db = Connection::open_in_memory().unwrap();
        Ledger::create_tables(&db).unwrap();
        db.execute_batch("CREATE TABLE effect(what TEXT, n INTEGER)")
            .unwrap();
        Shop(Arc::new(Mutex::new(db)))
    }

    fn effects(&self) -> Vec<(String, u32)> {
        let db = self.0.lock().unwrap();
        let mut all = db
            .prepare("SELECT what, n FROM effect ORDER BY n, what")
            .unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

async fn act(shop: Arc<Shop>, cx: StepContext, (what, n): (String, u32)) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    let mut db = shop.0.lock().unwrap();
    let mut tx = db.transaction()?;
    let reply = Ledger::new("act").apply(&mut tx, cx.idempotency_key(), &(&what, n), |tx| {
        tx.execute("INSERT INTO effect VALUES (?1, ?2)", (&what, n))?;
        Ok::<_, seawall::saga::ledger::LedgerError>(Effect::Applied(n))
    })?;
    tx.commit()?;
    match reply {
        Reply::Fresh(effect) | Reply::Replayed(effect) => Ok(effect.into_answer()),
        Reply::Mismatch | Reply::Undone => Err(Failure::refused("no")),
    }
}

async fn take_back(
    _: Arc<Shop>,
    _: StepContext,
    _: (String, u32),
    _: Outcome<u32>,
) -> Result<(), Failure> {
    Ok(())
}

async fn engine(shop: &Shop, store: &SqliteStore) -> (Engine<Shop>, SagaRef<u32, u32>) {
    let mut b = Engine::builder(shop.clone(), store.clone());
    let step = b.step("act", act, take_back).register();
    let saga = b.saga("order", move |saga: Flow, n: u32| async move {
        saga.call(step, ("reserve".to_owned(), n)).await?;
        Ok::<_, Abort>(saga.call(step, ("charge".to_owned(), n)).await?)
    });
    (b.build().await.unwrap(), saga)
}

#[tokio::test]
async fn sagas_of_a_restored_backup_end_and_ledgers_do_nothing_twice() {
    let (folder, store) = fresh().await;
    let path = folder.path().join("copy.db");
    let shop = Shop::new();
    let (first, saga) = engine(&shop, &store).await;
    let running = async {
        let mut handles = Vec::new();
        for n in 0..60 {
            handles.push(first.start(saga, format!("order-{n}"), n).await.unwrap());
        }
        for mut handle in handles {
            handle.outcome().await.unwrap();
        }
    };
    let copying = async {
        while store.counts().await.unwrap().finished < 10 {}
        store.backup_to(&path).await.unwrap()
    };
    let (backup, ()) = tokio::join!(copying, running);
    assert!(backup.counts.finished >= 10, "{backup:?}");
    first.drain().await.unwrap();
    let effects = shop.effects();
    assert_eq!(effects.len(), 120);

    let restored = SqliteStore::restore(&path).await.unwrap();
    let (second, saga) = engine(&shop, &restored).await;
    for n in 0..60 {
        let key = format!("order-{n}");
        if restored.find("order", &key).await.unwrap().is_some() {
            let mut handle = second.start(saga, key, n).await.unwrap();
            assert_eq!(handle.outcome().await.unwrap(), n);
        }
    }
    assert_eq!(second.counts().await.unwrap().running, 0);
    assert_eq!(shop.effects(), effects);
}
