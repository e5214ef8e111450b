//! The thread that owns the connection: takes what has gathered, commits it, answers.
use super::ask::Work;
use super::db::{Db, is_damage};
use super::open::{self, Opened};
use super::queue::{PANICKED, Queue, Request};
use super::{StoreError, paths};
use rusqlite::config::DbConfig;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Requests in one transaction at most: each waits for all of them.
const BATCH: usize = 1024;

pub(super) fn spawn(
    path: PathBuf,
    restore: bool,
    queue: Arc<Queue>,
    opened: oneshot::Sender<Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let thread = std::thread::Builder::new().name("seawall-sqlite".into());
    let started = thread.spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| run(&path, restore, &queue, opened))).is_err() {
            queue.fail(PANICKED.into());
        }
        queue.set_gone();
    });
    match started {
        Ok(_) => Ok(()),
        Err(e) => Err(StoreError::Open(
            format!("its thread could not be started: {e}").into(),
        )),
    }
}

fn run(
    path: &Path,
    restore: bool,
    queue: &Arc<Queue>,
    opened: oneshot::Sender<Result<(), StoreError>>,
) {
    let place = match paths::Place::take(path, queue) {
        Ok(place) => place,
        Err(e) => return drop(opened.send(Err(e))),
    };
    let Opened { conn, tally } = match open::open(place.path(), restore) {
        Ok(found) => found,
        Err(e) => {
            drop(place);
            return drop(opened.send(Err(e)));
        }
    };
    let served = Db::new(&conn, tally).and_then(|mut db| {
        // Where nobody waits for it any more, its handle is gone, and the queue is closed.
        drop(opened.send(Ok(())));
        serve(&mut db, queue)
    });
    if let Err(e) = served {
        // What is on the disk is uncertain: it stays as it is until it is opened anew.
        drop(conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        queue.fail(open::explain(path, "a write failed", &e).into());
    }
    drop(conn);
    drop(place);
}

fn serve(db: &mut Db<'_>, queue: &Queue) -> rusqlite::Result<()> {
    let mut pending = Vec::new();
    while queue.take(&mut pending) {
        work_off(db, &mut pending)?;
        while let Some(copy) = db.copies.pop_front() {
            copy.run(db, |db| {
                queue.take_now(&mut pending);
                work_off(db, &mut pending)
            })?;
        }
    }
    Ok(())
}

fn work_off(db: &mut Db<'_>, pending: &mut Vec<Request>) -> rusqlite::Result<()> {
    while !pending.is_empty() {
        let most = pending.len().min(BATCH);
        if let Some(batch) = pending.get_mut(..most) {
            write(db, batch)?;
            batch.iter_mut().for_each(|request| request.work().read(db));
        }
        pending.drain(..most).for_each(Request::tell);
    }
    Ok(())
}

/// Does all of them in one transaction. Where one meets a damaged page, each gets one of its own.
fn write(db: &mut Db<'_>, batch: &mut [Request]) -> rusqlite::Result<()> {
    let each = |db: &mut Db<'_>, batch: &mut [Request]| {
        batch.iter_mut().try_for_each(|r| r.work().write(db))
    };
    if !batch.iter_mut().any(|request| request.work().writes()) {
        return each(db, batch);
    }
    match db.transaction(|db| each(db, batch)) {
        Err(e) if is_damage(&e) => batch.iter_mut().try_for_each(|r| r.work().write_alone(db)),
        done => done,
    }
}

impl Request {
    fn work(&mut self) -> &mut dyn Work {
        match self {
            Request::Create(ask) => ask,
            Request::Append(ask) => ask,
            Request::Other(work) => work.as_mut(),
        }
    }

    fn tell(self) {
        match self {
            Request::Create(ask) => ask.tell(),
            Request::Append(ask) => ask.tell(),
            Request::Other(work) => work.tell(),
        }
    }
}
