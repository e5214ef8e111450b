//! From a path to a connection that can be trusted, in an order that matters.
//!
//! 1. The file is created for its owner alone, before SQLite would create it for more.
//! 2. What is not ours, or newer, is refused before anything is written.
//! 3. WAL, full sync, and the only lock; the schema.
//! 4. `wal_checkpoint(TRUNCATE)` must succeed: what an earlier process had committed is in the main
//!    file before the first new row.
//! 5. The directory is synced. SQLite does this too when it creates the WAL, but passes over an
//!    error: after a power cut there might be no WAL, and nothing of what was acknowledged.
//! 6. Owners are cleared: this process has the only lock, so they are dead.
use super::tally::Tally;
use super::{StoreError, schema};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, config::DbConfig};
use std::fs::File;
use std::io;
use std::path::Path;

pub(super) struct Opened {
    pub(super) conn: Connection,
    pub(super) tally: Tally,
}

/// `restore`: it has to be a backup, and is a store from then on.
pub(super) fn open(path: &Path, restore: bool) -> Result<Opened, StoreError> {
    let refuse = |why: String| StoreError::Open(format!("{}: {why}", path.display()).into());
    let sqlite =
        |e: rusqlite::Error| StoreError::Open(explain(path, "it cannot be opened", &e).into());
    check_version(rusqlite::version_number()).map_err(refuse)?;
    if restore && !path.exists() {
        return Err(refuse("there is no such file".into()));
    }
    create(path).map_err(|e| {
        refuse(format!(
            "it cannot be created ({e}); check the directory's permissions and free space"
        ))
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    // Whoever has it open keeps it open: waiting would only hide that.
    conn.busy_timeout(std::time::Duration::ZERO)
        .map_err(sqlite)?;
    // A file that is refused below is left as it is, its WAL included.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(sqlite)?;
    if conn.is_readonly(MAIN_DB).map_err(sqlite)? {
        return Err(refuse(
            "it may only be read; make it writable for this process's user".into(),
        ));
    }
    conn.execute_batch(BEFORE).map_err(sqlite)?;
    schema::recognise(&conn, path, restore).map_err(sqlite)??;
    prepare(&conn, restore).map_err(sqlite)?.map_err(refuse)?;
    sync_directory(path).map_err(|e| {
        refuse(format!(
            "its directory cannot be synced ({e}), so a power cut could lose the file; check that it \
             is on a local disk, and that disk and its free space"
        ))
    })?;
    let tally = take_over(&conn).map_err(sqlite)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(sqlite)?;
    Ok(Opened { conn, tally })
}

/// SQLite is built in, unless whoever builds the program has libsqlite3-sys look for the system's.
fn check_version(number: i32) -> Result<(), String> {
    if number >= 3_051_003 {
        return Ok(());
    }
    let (major, minor, patch) = (number / 1_000_000, number / 1000 % 1000, number % 1000);
    Err(format!(
        "SQLite {major}.{minor}.{patch} is linked into this program, and before 3.51.3 a reset of \
         the WAL could lose commits; build it with the SQLite of the feature `bundled` \
         (without LIBSQLITE3_SYS_USE_PKG_CONFIG)"
    ))
}

/// Told before the file is first read: with exclusive locking from the start there is no `-shm`.
const BEFORE: &str = "
PRAGMA locking_mode=EXCLUSIVE;
PRAGMA trusted_schema=OFF;
PRAGMA temp_store=MEMORY;
PRAGMA cache_size=-8192;
";

// A checkpoint each 16 MB: fewer of them find more rows in one page, and write it once.
const AFTER: &str = "
PRAGMA synchronous=FULL;
PRAGMA fullfsync=ON;
PRAGMA checkpoint_fullfsync=ON;
PRAGMA wal_autocheckpoint=4000;
";

fn prepare(conn: &Connection, restore: bool) -> rusqlite::Result<Result<(), String>> {
    let mode: String = conn.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let why = format!("its file system cannot have a WAL (the journal mode stays {mode})");
        return Ok(Err(why));
    }
    conn.execute_batch(AFTER)?;
    if restore {
        schema::adopt(conn)?;
    }
    schema::migrate(conn)?;
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        let why = "what an earlier process left in the WAL could not be brought into the file";
        return Ok(Err(why.into()));
    }
    Ok(Ok(()))
}

/// Clears the owners, and reads how many sagas there are.
fn take_over(conn: &Connection) -> rusqlite::Result<Tally> {
    conn.execute(
        "UPDATE saga SET owner=NULL, due=0, crashes=crashes+1, \
         alone=CASE alone WHEN 1 THEN 2 ELSE alone END \
         WHERE status <> 3 AND status=0 AND owner IS NOT NULL",
        [],
    )?;
    Tally::read(conn)
}

/// Creates the file where there is none. One that exists is never opened here: closing it again
/// would drop the locks that another store of this process has on it (POSIX locks are like that).
fn create(path: &Path) -> io::Result<()> {
    match create_new(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// A new file, for its owner alone.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) => File::open(".")?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(()) // a directory cannot be opened there, and its entries are in the file system's own log
}

/// What happened, to which file, and what to do about it.
pub(super) fn explain(path: &Path, what: &str, e: &rusqlite::Error) -> String {
    let advice = match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has it open, and it has one owner at a time; end that one first"
        }
        Some(ErrorCode::DiskFull) => "the disk is full; free some space and start again",
        Some(ErrorCode::NotADatabase) => {
            "it is not an SQLite database; name another file, nothing in this one was changed"
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            "it is damaged; keep a copy of it with its -wal, and check the disk"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "check that this process's user may write to the file and to its directory"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "check the disk and its free space; what was acknowledged is recovered when it is \
             opened anew"
        }
        _ => "nothing that was acknowledged is lost; open it anew",
    };
    format!("{}: {what} ({e}): {advice}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Built against a system's SQLite, the store took one that could lose what was acknowledged.
    #[test]
    fn an_sqlite_that_could_lose_commits_is_refused_by_its_number() {
        assert!(check_version(rusqlite::version_number()).is_ok());
        assert!(check_version(3_051_003).is_ok() && check_version(4_000_000).is_ok());
        let refused = check_version(3_046_001).unwrap_err();
        assert!(refused.starts_with("SQLite 3.46.1 is linked"), "{refused}");
        assert!(check_version(3_051_002).is_err());
    }
}
