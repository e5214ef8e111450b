//! What stands in the way of a layer, and of its requests.
use super::{Site, file};
use rusqlite::Connection;
use seawall::saga::idempotency::{IdempotencyError, IdempotencyLayer};
use std::error::Error as _;
use std::time::Duration;

#[test]
fn every_wrong_setting_is_told_at_once_and_no_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let error = IdempotencyLayer::new(file(&folder))
        .lease(Duration::from_millis(999))
        .keep(Duration::ZERO)
        .body_limit(0)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`idempotency`: lease is 999ms, but has to be at least 1s; \
         `idempotency`: keep is 0ns, but has to be longer than zero; \
         `idempotency`: body_limit is 0, but has to be at least 1 byte"
    );
    assert!(!file(&folder).exists());
}

#[test]
fn the_defaults_are_those_of_the_docs() {
    let folder = tempfile::tempdir().unwrap();
    let documented = IdempotencyLayer::new(file(&folder))
        .lease(Duration::from_secs(30))
        .keep(Duration::from_secs(30 * 24 * 60 * 60))
        .body_limit(1024 * 1024);
    let default = IdempotencyLayer::new(file(&folder));
    assert_eq!(format!("{default:?}"), format!("{documented:?}"));
    assert!(format!("{default:?}").contains("required: true"));
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let missing = IdempotencyLayer::new(folder.path().join("no/such/folder"));
    let error = missing.build().unwrap_err();
    assert!(matches!(error, IdempotencyError::Open { .. }));
    assert!(error.source().is_some());
    assert!(error.to_string().contains("no/such/folder"), "{error}");

    std::fs::write(
        folder.path().join("text"),
        "no database at all, and quite long ".repeat(9),
    )
    .unwrap();
    let error = IdempotencyLayer::new(folder.path().join("text"))
        .build()
        .unwrap_err();
    assert!(matches!(error, IdempotencyError::Open { .. }));

    let theirs = folder.path().join("theirs");
    let db = Connection::open(&theirs).unwrap();
    db.execute_batch("CREATE TABLE calls (id INTEGER)").unwrap();
    let error = IdempotencyLayer::new(&theirs).build().unwrap_err();
    assert!(matches!(error, IdempotencyError::Foreign { .. }));
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = db.query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);

    drop(IdempotencyLayer::new(file(&folder)).build().unwrap());
    let db = Connection::open(file(&folder)).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let error = IdempotencyLayer::new(file(&folder)).build().unwrap_err();
    assert!(matches!(
        error,
        IdempotencyError::NewerSchema {
            found: 2,
            known: 1,
            ..
        }
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::start().await;
    site.post("k", "5").await;
    for name in ["keys.db", "keys.db-wal"] {
        let kept = std::fs::metadata(site.folder.path().join(name)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_requests_before_the_service() {
    let site = Site::start().await;
    assert_eq!(site.post("k", "5").await.status, 201);
    let db = Connection::open(file(&site.folder)).unwrap();
    db.execute_batch("ALTER TABLE calls RENAME TO elsewhere")
        .unwrap();
    let answer = site.post("l", "5").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    let why = answer.problem();
    assert!(
        why.contains("nothing has been done") && why.contains("no such table"),
        "{why}"
    );
    assert_eq!(site.hits(), 1);
    // It goes on when the file does.
    db.execute_batch("ALTER TABLE elsewhere RENAME TO calls")
        .unwrap();
    assert!(site.post("k", "5").await.is_replayed());
    assert_eq!(site.post("l", "5").await.status, 201);
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_still_reaches_its_client() {
    let mut site = Site::start().await;
    let sent = site.begin("k").await;
    let db = Connection::open(file(&site.folder)).unwrap();
    db.execute_batch("ALTER TABLE calls RENAME TO elsewhere")
        .unwrap();
    site.open_gate();
    let answer = sent.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "waited"));
    // Its mark stays for a lease, as after a crash.
    db.execute_batch("ALTER TABLE elsewhere RENAME TO calls")
        .unwrap();
    assert_eq!(site.post("k", "wait").await.status, 409);
    assert_eq!(site.hits(), 1);
}

/// Opening the file and closing it again, to see whether it is there, dropped the locks that this
/// process's connections had on it (POSIX locks are like that). Another process that closed the file
/// then took itself for the last one, and removed the WAL under us.
#[cfg(target_os = "linux")]
#[test]
fn a_second_layer_on_the_file_leaves_the_locks_of_this_process_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let first = IdempotencyLayer::new(file(&folder)).build().unwrap();
    // The second one gets no further than to the file, which it finds to be of a newer release.
    let db = Connection::open(file(&folder)).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let inode = format!(":{} ", std::fs::metadata(file(&folder)).unwrap().ino());
    let locks = || {
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        all.lines().filter(|lock| lock.contains(&inode)).count()
    };
    let before = locks();
    assert!(before > 0, "a connection that has read a WAL keeps a lock");
    let newer = IdempotencyLayer::new(file(&folder)).build().unwrap_err();
    assert!(matches!(newer, IdempotencyError::NewerSchema { .. }));
    assert_eq!(locks(), before);
    drop((db, first));
}

/// Services that were started at the same time, on a file that none of them had made yet.
#[test]
fn many_that_begin_at_once_share_the_file_that_one_of_them_makes() {
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        std::thread::scope(|scope| {
            let begun: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| IdempotencyLayer::new(&file).build()))
                .collect();
            for layer in begun {
                let layer = layer.join().unwrap();
                assert!(layer.is_ok(), "round {round}: {:?}", layer.err());
            }
        });
    }
}
