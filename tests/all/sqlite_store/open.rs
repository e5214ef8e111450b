//! What is refused at the door, with what the message tells; and that nothing is harmed by it.
use super::*;
use std::fs;
use std::path::Path;

async fn refusal(path: &Path) -> String {
    match SqliteStore::open(path).await {
        Err(StoreError::Open(why)) => {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(why.contains(name), "{why:?} names the file");
            why.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused_and_the_first_goes_on() {
    let (folder, store) = fresh().await;
    let link = folder.path().join("link.db");
    let why = refusal(&folder.path().join("sagas.db")).await;
    assert!(why.contains("this process has it open already"), "{why}");
    std::os::unix::fs::symlink(folder.path().join("sagas.db"), &link).unwrap();
    let why = SqliteStore::open(&link).await.unwrap_err().to_string();
    assert!(
        why.contains("sagas.db: this process has it open already"),
        "{why}"
    );
    create(&store, "a").await;
}

#[tokio::test]
async fn a_file_that_another_connection_has_open_is_refused() {
    let (folder, store) = fresh().await;
    store.close().await;
    let file = folder.path().join("sagas.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE")
        .unwrap();
    let why = refusal(&file).await;
    assert!(why.contains("another process has it open"), "{why}");
    drop(other);
    SqliteStore::open(&file).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_and_a_directory_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let why = refusal(&folder.path().join("missing").join("sagas.db")).await;
    assert!(why.contains("create it"), "{why}");
    let why = refusal(folder.path()).await;
    assert!(why.contains("is a directory"), "{why}");
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(
        &text,
        "not a database, but long enough to be taken for one".repeat(90),
    )
    .unwrap();
    let other = folder.path().join("other.db");
    let theirs = rusqlite::Connection::open(&other).unwrap();
    theirs.execute_batch("CREATE TABLE saga(id)").unwrap();
    drop(theirs);
    for (file, word) in [(text, "not an SQLite database"), (other, "another program")] {
        let before = fs::read(&file).unwrap();
        let why = refusal(&file).await;
        assert!(why.contains(word), "{why}");
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (folder, store) = fresh().await;
    create(&store, "a").await;
    store.close().await;
    let file = folder.path().join("sagas.db");
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.execute_batch("PRAGMA user_version=2").unwrap();
    drop(newer);
    let before = fs::read(&file).unwrap();
    let why = refusal(&file).await;
    assert!(why.contains("its schema is 2, at most 1 is known"), "{why}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn every_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, store) = fresh().await;
    create(&store, "a").await;
    let mut names = Vec::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
        names.push(file.file_name());
    }
    names.sort();
    assert_eq!(names, ["sagas.db", "sagas.db-wal"]);
}

#[tokio::test]
async fn a_dropped_store_can_be_opened_again_at_once_and_has_done_what_it_was_asked() {
    let (folder, mut store) = fresh().await;
    for n in 0..20 {
        // The future is dropped with its answer; the request is in the queue.
        drop(store.create(new_saga("order", &n.to_string(), Next::Keep, 1)));
        drop(store);
        store = SqliteStore::open(folder.path().join("sagas.db"))
            .await
            .unwrap();
        assert_eq!(store.counts().await.unwrap().running, n + 1);
    }
}

#[tokio::test]
async fn a_closed_store_answers_so_on_every_clone() {
    let (_folder, store) = fresh().await;
    let clone = store.clone();
    let id = create(&store, "a").await;
    store.close().await;
    let why = clone.load(id, true).await.unwrap_err().to_string();
    assert_eq!(
        why,
        "the store is closed: it was told to close, or its last handle was dropped"
    );
    let fenced = clone.append(append(id, row(1, 1, 2), Next::Keep)).await;
    assert!(matches!(fenced, Err(StoreError::Closed(_))));
    assert!(clone.heartbeat(ME).await.is_err());
}

#[test]
fn sqlite_is_new_enough_for_the_wal_reset_fix() {
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "{}",
        rusqlite::version()
    );
}
