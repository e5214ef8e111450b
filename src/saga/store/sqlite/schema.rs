//! The tables, and how files of earlier versions come to have them.
use super::{Status, StoreError};
use rusqlite::Connection;
use std::path::Path;

/// What makes a file ours: "Swal".
const APPLICATION: i32 = 0x5377_616c;

/// What makes it a backup, which no engine runs on: "SwaB". It stands in the file's header (SQLite's
/// file format, 1.3.18), big-endian.
pub(super) const BACKUP: i32 = 0x5377_6142;
pub(super) const MARK_AT: u64 = 68;

/// The way from each version to the next one; a file's `user_version` says how many it has behind
/// it. Only ever added to.
const STEPS: &[&str] = &[V1];

// `owner` is set exactly while the status is running and an engine has it. `alone`: 1 runs without
// another suspect beside it, 2 crashed so. `last` is the seq of the row that the line was last
// written with, so that a journal whose end is missing is noticed. A row's `at` counts from the
// saga's `created`: four bytes less in each row, and the checksum covers both. `sum` has a sign, which
// saves two more in every second one.
//
// The indices are partial, so that a saga that runs through touches two: the unfinished and the
// rarely ended ones (in `saga_status`), and in the end the ended ones. A query must repeat the
// condition word by word.
const V1: &str = "
CREATE TABLE saga(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  uid BLOB NOT NULL,
  status INTEGER NOT NULL,
  owner INTEGER,
  epoch INTEGER NOT NULL,
  due INTEGER,
  crashes INTEGER NOT NULL,
  alone INTEGER NOT NULL,
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  run_from INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT,
  UNIQUE(name, key)
);
CREATE INDEX saga_status ON saga(status) WHERE status <> 3;
CREATE INDEX saga_due ON saga(name, due) WHERE owner IS NULL AND status < 2 AND due IS NOT NULL;
CREATE INDEX saga_ended ON saga(changed) WHERE status > 2;
CREATE TABLE journal(
  saga INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at INTEGER NOT NULL,
  sum INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY(saga, seq)
) WITHOUT ROWID;
CREATE TABLE inbox(
  arrival INTEGER PRIMARY KEY,
  saga TEXT NOT NULL,
  key TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT,
  at INTEGER NOT NULL,
  UNIQUE(saga, key, id)
);
CREATE INDEX inbox_unread ON inbox(saga, key) WHERE body IS NOT NULL;
CREATE TABLE counter(
  name TEXT PRIMARY KEY,
  n INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES ('running',0),('waiting',0),('stuck',0),('finished',0),
  ('compensated',0),('compensated_with_exceptions',0),('forced',0),
  ('last_saga',0),('last_letter',0);
";

/// Refuses what is not ours or newer than this version. Writes nothing.
pub(super) fn recognise(
    conn: &Connection,
    path: &Path,
    restore: bool,
) -> rusqlite::Result<Result<(), StoreError>> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(conn)?;
    let refuse = |why: String| {
        Ok(Err(StoreError::Open(
            format!("{}: {why}", path.display()).into(),
        )))
    };
    if restore && application != BACKUP {
        return refuse(
            "it is no backup that `backup_to` has made, or it was restored before; then `open` opens \
             it, nothing in it was changed"
                .into(),
        );
    }
    if application == BACKUP && !restore {
        return refuse(
            "it is a backup; `SqliteStore::restore` makes a store of it, once no engine runs any more \
             on the file that it was made of"
                .into(),
        );
    }
    if application != APPLICATION && application != BACKUP {
        let tables: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != 0 || version != 0 || tables != 0 {
            return refuse(
                "it is an SQLite database of another program; name another file, nothing in this \
                 one was changed"
                    .into(),
            );
        }
    } else if version > STEPS.len() {
        return refuse(format!(
            "a newer version of this program wrote it (its schema is {version}, at most {} is \
             known here); start that version, nothing in the file was changed",
            STEPS.len()
        ));
    }
    Ok(Ok(()))
}

/// A backup is a store from here on.
pub(super) fn adopt(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "application_id", APPLICATION)
}

/// Brings the file to the present version, each step whole.
pub(super) fn migrate(conn: &Connection) -> rusqlite::Result<()> {
    let version = version(conn)?;
    for (behind, step) in STEPS.iter().enumerate().skip(version) {
        let reached = behind.saturating_add(1);
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step} PRAGMA application_id={APPLICATION}; \
             PRAGMA user_version={reached}; COMMIT"
        ))?;
    }
    Ok(())
}

/// The number that a status has in the file.
pub(super) fn number(status: Status) -> i64 {
    let place = Status::ALL.iter().position(|s| *s == status);
    place.and_then(|n| i64::try_from(n).ok()).unwrap_or(0)
}

/// The status with this number; an unknown one is stuck, so that nobody claims it.
pub(super) fn status(number: i64) -> Status {
    let place = usize::try_from(number).ok();
    let known = place.and_then(|n| Status::ALL.get(n));
    known.copied().unwrap_or(Status::Stuck)
}

/// How many steps it has behind it; a negative number is beyond all.
fn version(conn: &Connection) -> rusqlite::Result<usize> {
    let version: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
