//! The thread that owns the connection: takes what has gathered, commits it, answers.
use super::db::Db;
use super::open::{self, Opened};
use super::queue::{Answer, PANICKED, Queue, Reply, Request};
use super::{Created, StoreError, paths};
use rusqlite::config::DbConfig;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Requests in one transaction at most: each waits for all of them.
const BATCH: usize = 1024;

/// What is told after the commit.
enum Ack {
    Created(Reply<Created>, Created),
    Appended(Reply<()>, Result<(), StoreError>),
    Other(Answer),
}

pub(super) fn spawn(
    path: PathBuf,
    queue: Arc<Queue>,
    opened: oneshot::Sender<Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let thread = std::thread::Builder::new().name("seawall-sqlite".into());
    let started = thread.spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| run(&path, &queue, opened))).is_err() {
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

fn run(path: &Path, queue: &Arc<Queue>, opened: oneshot::Sender<Result<(), StoreError>>) {
    let place = match paths::Place::take(path, queue) {
        Ok(place) => place,
        Err(e) => return drop(opened.send(Err(e))),
    };
    let Opened { conn, tally } = match open::open(place.path()) {
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
    let (mut batch, mut acks) = (Vec::new(), Vec::with_capacity(BATCH));
    while queue.take(&mut batch) {
        while !batch.is_empty() {
            let n = batch.len().min(BATCH);
            commit(db, batch.drain(..n), &mut acks)?;
            for ack in acks.drain(..) {
                ack.tell();
            }
        }
    }
    Ok(())
}

fn commit(
    db: &mut Db<'_>,
    batch: impl Iterator<Item = Request>,
    acks: &mut Vec<Ack>,
) -> rusqlite::Result<()> {
    db.begin()?;
    for request in batch {
        acks.push(match request {
            Request::Create(new, reply) => Ack::Created(reply, db.create(&new)?),
            Request::Append(append, reply) => Ack::Appended(reply, db.append(&append)?),
            Request::Other(work) => Ack::Other(work(db)?),
        });
    }
    db.commit()
}

impl Ack {
    fn tell(self) {
        // Who does not wait any more does not mind.
        match self {
            Ack::Created(reply, created) => drop(reply.send(Ok(created))),
            Ack::Appended(reply, result) => drop(reply.send(result)),
            Ack::Other(answer) => answer(),
        }
    }
}
