//! A copy of the file, made while the store is in use.
//!
//! The writing thread has the only lock, so nobody else can read the file; and it cannot stop for as long
//! as a gigabyte takes. So it copies a slice of pages, does what has gathered in the queue, and goes on.
//! What is written meanwhile SQLite itself carries over into the pages that are copied already (the
//! backup API, with both through one connection), so the copy is of one moment: the last.
//!
//! The copy is made under a name of its own, marked as a backup, synced, and only then linked to the
//! name that was asked for: a file of that name is whole. Marked, it is refused by an engine that comes
//! upon it by mistake.
use super::ask::Work;
use super::db::{Db, Fail};
use super::queue::Reply;
use super::{Counts, StoreError, open, schema};
use crate::saga::wall;
use parking_lot::Mutex;
use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What [`SqliteStore::backup_to`](super::SqliteStore::backup_to) has copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The size of the copy, in bytes.
    pub bytes: u64,
    /// The sagas in it, by status.
    pub counts: Counts,
    /// The moment it is of, UTC ms: what was acknowledged by then is in it, and nothing later.
    pub at_ms: i64,
}

/// Pages that are copied at a time: a megabyte, some two milliseconds.
const SLICE: std::ffi::c_int = 256;

/// A copy that somebody waits for.
pub(super) struct Copy {
    path: PathBuf,
    reply: Reply<Backup>,
}

/// The request for one, which only has it put in line: it takes many turns.
pub(super) struct Asked(Option<Copy>);

impl Asked {
    pub(super) fn new(path: PathBuf, reply: Reply<Backup>) -> Self {
        Asked(Some(Copy { path, reply }))
    }
}

impl Work for Asked {
    fn writes(&self) -> bool {
        false
    }

    fn write(&mut self, _: &mut Db<'_>) -> rusqlite::Result<()> {
        Ok(())
    }

    fn write_alone(&mut self, _: &mut Db<'_>) -> rusqlite::Result<()> {
        Ok(())
    }

    fn read(&mut self, db: &mut Db<'_>) {
        db.copies.extend(self.0.take());
    }

    fn tell(self: Box<Self>) {}
}

impl Copy {
    /// Makes it. `between` does what has gathered, after each slice; only that can fail, for what
    /// becomes of a copy is an answer.
    pub(super) fn run(
        self,
        db: &mut Db<'_>,
        between: impl FnMut(&mut Db<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let Copy { path, reply } = self;
        let part = match Part::create(&path) {
            Ok(part) => part,
            Err(why) => {
                drop(reply.send(Err(failed(&path, &why))));
                return Ok(());
            }
        };
        let backup = match copy(db, &part, &reply, between)? {
            // Dropped, the part is gone.
            Ok(None) => return Ok(()),
            Ok(Some(backup)) => backup,
            Err(why) => {
                drop(reply.send(Err(failed(&path, &why))));
                return Ok(());
            }
        };
        // A sync of it all takes long, and no saga should wait for it.
        let reply = Arc::new(Mutex::new(Some(reply)));
        let answer = {
            let (reply, path) = (reply.clone(), path.clone());
            move |done: Result<Backup, String>| {
                if let Some(reply) = reply.lock().take() {
                    drop(reply.send(done.map_err(|why| failed(&path, &why))));
                }
            }
        };
        let thread = std::thread::Builder::new().name("seawall-backup".into());
        let told = answer.clone();
        let finishing = thread.spawn(move || {
            let done = part.finish(&path);
            told(done.map(|bytes| Backup { bytes, ..backup }));
        });
        if let Err(e) = finishing {
            answer(Err(format!("its thread could not be started: {e}")));
        }
        Ok(())
    }
}

/// Copies it all. `Ok(None)`: nobody waits for it any more. The inner `Err` is the copy's alone.
fn copy(
    db: &mut Db<'_>,
    part: &Part,
    reply: &Reply<Backup>,
    mut between: impl FnMut(&mut Db<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<Result<Option<Backup>, String>> {
    let mut to = match connect(&part.0) {
        Ok(to) => to,
        Err(e) => return Ok(Err(e.to_string())),
    };
    let backup = match rusqlite::backup::Backup::new(db.conn, &mut to) {
        Ok(backup) => backup,
        Err(e) => return Ok(Err(e.to_string())),
    };
    loop {
        match backup.step(SLICE) {
            Ok(StepResult::Done) => break,
            Ok(StepResult::More) => {}
            Ok(other) => return Ok(Err(format!("SQLite answered {other:?}"))),
            Err(e) => return Ok(Err(e.to_string())),
        }
        if reply.is_closed() {
            return Ok(Ok(None));
        }
        between(db)?;
    }
    // Of this moment: nothing is written between the last slice and here.
    let at_ms = wall::ms(crate::clock::wall());
    let counts = match db.counts() {
        Ok(counts) => counts,
        Err(Fail::Answer(e)) => return Ok(Err(e.to_string())),
        Err(Fail::Sqlite(e)) => return Ok(Err(e.to_string())),
    };
    Ok(Ok(Some(Backup {
        bytes: 0,
        counts,
        at_ms,
    })))
}

/// Nothing of it is synced, and it has no journal: cut off, it is thrown away.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.execute_batch(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF",
    )?;
    Ok(conn)
}

fn failed(path: &Path, why: &str) -> StoreError {
    StoreError::Backup(format!("{}: {why}", path.display()).into())
}

/// The copy before it has its name. Dropped, it is gone.
struct Part(PathBuf);

impl Part {
    fn create(path: &Path) -> Result<Part, String> {
        let Some(name) = path.file_name() else {
            return Err("it names no file".to_owned());
        };
        if path.symlink_metadata().is_ok() {
            return Err("there is a file of that name already; nothing is overwritten".to_owned());
        }
        let mut part = name.to_owned();
        part.push(".part");
        let part = path.with_file_name(part);
        match open::create_new(&part) {
            Ok(_) => Ok(Part(part)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(format!(
                "{} is there: another backup is being made to this name, or was cut off; in that \
                 case delete it",
                part.display()
            )),
            Err(e) => Err(format!(
                "it cannot be created ({e}); check the directory, its permissions and free space"
            )),
        }
    }

    /// Marked, durable, and then under its name; its size.
    fn finish(self, path: &Path) -> Result<u64, String> {
        let linked = || -> io::Result<u64> {
            let mut file = File::options().write(true).open(&self.0)?;
            file.seek(SeekFrom::Start(schema::MARK_AT))?;
            file.write_all(&schema::BACKUP.to_be_bytes())?;
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            // Unlike a rename, a link fails where something has the name by now. Not every file system
            // has links.
            match fs::hard_link(&self.0, path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
                Err(_) if path.symlink_metadata().is_err() => fs::rename(&self.0, path),
                linked => linked,
            }?;
            Ok(bytes)
        };
        let bytes = linked().map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                "there is a file of that name by now; nothing is overwritten".to_owned()
            }
            _ => format!("it cannot be finished ({e}); check the disk and its free space"),
        })?;
        drop(self);
        open::sync_directory(path).map_err(|e| {
            format!("it is there, but its directory cannot be synced ({e}); check the disk")
        })?;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where it cannot be deleted, the next backup to this name says that it is there.
        drop(fs::remove_file(&self.0));
    }
}
