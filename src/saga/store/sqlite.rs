//! The store in an SQLite file: one process, one file, nothing to operate.
//!
//! A saga writes a few hundred bytes some four times in its life and must not lose one of them. A
//! database server is another thing that fails at night; this is a file beside the program. Not for
//! several processes that share sagas, nor for a network file system.
//!
//! **One thread writes.** It owns the only connection. Requests reach it through a queue, and it
//! takes all that have gathered, up to 1,024, into one transaction. Each is answered after the
//! commit. So the disk is synced once for many sagas, and a lone one waits for nobody.
//!
//! **What is assumed.** SQLite 3.51.3 or newer (it is built in), in WAL mode with
//! `synchronous=FULL`. `fsync` of a file and of a directory makes it durable: not so on network file
//! systems and on disks that lie about it. Nobody writes to the file or deletes `-wal` beside it.
//! A copy of the file is a backup only where the store was closed, or where the store itself made it
//! ([`backup_to`](SqliteStore::backup_to)). While it is open, no other process can even read the file.
//!
//! **What goes wrong.** A failed write leaves it uncertain what is on the disk, so the store closes:
//! each waiting and each later request answers [`StoreError::Closed`] with the cause, and nothing
//! opens it again by itself. Opening it anew recovers all that was acknowledged. A failed *read* is
//! an answer, and the store goes on; a journal row that cannot be read is handed out so that
//! [`Row::decode`](crate::saga::journal::Row::decode) tells the damage, and parks that saga alone.
//!
//! **What it costs.** A page cache of 8 MB, the requests in the queue, and on the disk the columns and
//! rows that `docs/saga-format.md` lists; the file never shrinks, what was deleted is used again. Searches of operators look at a few thousand sagas at a time, with
//! commits in between; [`counts`](Store::counts) are kept, not counted.
//!
//! ```
//! use seawall::saga::journal::{Event, Row};
//! use seawall::saga::store::{Created, NewSaga, Owner, Store};
//! use seawall::saga::SqliteStore;
//!
//! # tokio_test::block_on(async {
//! # let folder = tempfile::tempdir()?;
//! let file = folder.path().join("sagas.db");
//! let store = SqliteStore::open(&file).await?;
//! let events: Vec<Event> =
//!     serde_json::from_str(r#"[{"started":{"v":1,"input":7}}]"#)?;
//! let uid = [7; 16];
//! let row = Row::encode(&uid, 0, 1, 1_700_000_000_000, &events)?;
//! let new = NewSaga::new("place_order", "order-42", uid, row, Owner(1));
//! let Created::New { id, .. } = store.create(new).await? else { unreachable!() };
//! store.close().await;
//!
//! let store = SqliteStore::open(&file).await?;
//! let saga = store.load(id, true).await?;
//! assert_eq!(saga.key, "order-42");
//! assert_eq!(saga.crashes, 1); // it had an owner, who never let go of it
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod append;
mod ask;
mod backup;
mod create;
mod db;
mod heads;
mod list;
mod load;
mod mail;
mod open;
mod paths;
mod queue;
mod retention;
mod schema;
mod sizes;
mod sorting;
#[cfg(test)]
mod steps;
mod take;
mod tally;
mod writer;

pub use backup::Backup;

use super::*;
use ask::{Ask, Op, Read, Write};
use db::{Db, Fail};
use queue::{Queue, Reply, Request};
use std::{path::Path, sync::Arc};
use take::Seize;
use tokio::sync::oneshot;

/// A [`Store`] in an SQLite file.
///
/// Clones share it; when the last one is dropped, what was asked is still done, and the file is
/// closed.
///
/// See the [module](self) for what it assumes and costs.
#[derive(Clone)]
pub struct SqliteStore(Arc<Handle>);

struct Handle(Arc<Queue>);

impl SqliteStore {
    /// Opens the file at `path`, or creates it, readable and writable by its owner alone.
    ///
    /// Its directory must exist.
    ///
    /// Whoever owned sagas in it has died, since the file has one owner: those sagas can be claimed
    /// at once, and each has crashed once more. The work is done on the store's own thread.
    ///
    /// # Errors
    /// [`StoreError::Open`], which names the file and what to do: another process has it open (or
    /// this one has), it cannot be written, it is not ours, a newer version wrote it, the disk is
    /// full. Then nothing in it was changed.
    ///
    /// # Cancel safety
    /// A dropped future leaves the file closed, or about to be.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteStore::opened(path.as_ref(), false).await
    }

    /// Makes a store of the backup at `path`, and opens it.
    ///
    /// It has to be one that [`backup_to`](SqliteStore::backup_to) has made. From then on the file is
    /// opened as any other.
    ///
    /// No engine may run on the file that the backup was made of, neither now nor later: each saga that
    /// both have would be run by both, and the two may decide differently. What a restored store has
    /// forgotten is in `saga::guide` (features `sqlite` and `http`), "Backing up and restoring".
    ///
    /// # Errors
    /// As [`open`](SqliteStore::open); and where the file is no backup, or was restored before.
    ///
    /// # Cancel safety
    /// As [`open`](SqliteStore::open). The file may be a store by then.
    pub async fn restore(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteStore::opened(path.as_ref(), true).await
    }

    async fn opened(path: &Path, restore: bool) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let store = SqliteStore(Arc::new(Handle(queue.clone())));
        let (opened, open) = oneshot::channel();
        writer::spawn(path.to_owned(), restore, queue, opened)?;
        match open.await {
            Ok(opened) => opened.map(|()| store),
            Err(_) => Err(store.0.0.cause().await),
        }
    }

    /// Copies the file to `path` while it is in use, and says what was copied.
    ///
    /// What was acknowledged before the call is in the copy, and so is what was acknowledged until it was
    /// complete ([`Backup::at_ms`]).
    ///
    /// The sagas go on meanwhile: the store copies a megabyte at a time, and commits in between. The copy
    /// is synced, and has its name only once it is whole; it is for its owner alone to read. It is marked
    /// as a backup: [`open`](SqliteStore::open) refuses it, [`restore`](SqliteStore::restore) takes it.
    ///
    /// # Errors
    /// [`StoreError::Backup`]: there is a file of that name, or the copy could not be written. Nothing of
    /// it is left, and the store goes on. [`StoreError::Closed`].
    ///
    /// # Cancel safety
    /// Dropped, the copy is given up and deleted, but for one that is being synced already.
    pub async fn backup_to(&self, path: impl AsRef<Path>) -> Result<Backup, StoreError> {
        let path = path.as_ref().to_owned();
        self.send(|reply| Request::Other(Box::new(backup::Asked::new(path, reply))))
            .await
    }

    /// Closes the file: what was asked before is done, what is asked later fails.
    ///
    /// It answers [`StoreError::Closed`], on every clone. Returns when the file is free to be
    /// opened again.
    ///
    /// # Cancel safety
    /// It closes in any case; a dropped future does not wait for it.
    pub async fn close(&self) {
        self.0.0.close();
        self.0.0.wait_gone().await;
    }

    /// Asks for something that writes.
    fn write<T: Send + 'static>(
        &self,
        f: impl FnMut(&mut Db<'_>) -> Result<T, Fail> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        self.ask(Write(f))
    }

    /// Asks for something that only reads. No failure of it closes the store.
    fn read<T: Send + 'static>(
        &self,
        f: impl FnMut(&mut Db<'_>) -> Result<T, Fail> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        self.ask(Read(f))
    }

    fn ask<O: Op + 'static>(&self, op: O) -> BoxFuture<'_, Result<O::Answer, StoreError>> {
        self.send(|reply| Request::Other(Box::new(Ask::new(op, reply))))
    }

    /// Puts a request into the queue at once, so requests are done in the order of the calls.
    fn send<T: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.0.push(request(reply));
        Box::pin(async move {
            sent?;
            match answer.await {
                Ok(answer) => answer,
                Err(_) => Err(self.0.0.cause().await),
            }
        })
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Store for SqliteStore {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        if let Err(e) = sizes::new_saga(&new) {
            return refused(e);
        }
        self.send(|reply| Request::Create(Ask::new(new, reply)))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Err(e) = sizes::append(&append) {
            return refused(e);
        }
        self.send(|reply| Request::Append(Ask::new(append, reply)))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        self.ask(claim)
    }

    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.ask(Seize(owner, id))
    }

    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(move |db| db.release(owner, id))
    }

    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(move |db| db.run_alone(id, epoch))
    }

    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.read(move |db| db.load(id, whole))
    }

    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        let (name, key) = (name.to_owned(), key.to_owned());
        self.read(move |db| Ok(db.find(&name, &key)?.map(|(id, _)| id)))
    }

    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.read(move |db| db.inbox(id))
    }

    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        if let Err(e) = sizes::letter(&letter) {
            return refused(e);
        }
        self.write(move |db| db.post(&letter))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(list::list(self, query))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.read(|db| db.counts())
    }

    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(retention::delete(self, expired))
    }

    /// Nobody else can take over: always `None` while the store is open.
    fn heartbeat(&self, _: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>> {
        let open = self.0.0.check();
        Box::pin(async move { open.map(|()| None) })
    }
}

fn refused<'a, T: Send + 'a>(e: StoreError) -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(std::future::ready(Err(e)))
}
