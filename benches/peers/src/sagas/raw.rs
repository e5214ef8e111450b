//! The ceiling: the rows of three-step sagas, written by prepared statements in group commits and
//! nothing else. No engine, no fencing, no checksum, no replay; the settings are those of our store.
//!
//! Twice: [`Loop`] has its clients as numbers in the one thread that writes, so it is what SQLite and
//! the disk can do. [`Writer`] has them as tasks, each of which waits for its commit: the least that
//! a program with clients needs.
use super::rows::{Rows, Statements};
use super::{Contender, Error, load};
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Requests in one commit, at most.
const GROUP: usize = 1024;

/// The clients as numbers, in the thread that writes.
pub struct Loop {
    file: Connection,
    rows: Rows,
    next: i64,
}

impl Loop {
    /// With a new file there.
    pub fn create(path: &Path, rows: &Rows) -> Result<Loop, Error> {
        let (file, rows) = (rows.create(path)?, rows.clone());
        Ok(Loop {
            file,
            rows,
            next: 0,
        })
    }
}

impl Contender for Loop {
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error> {
        let mut next = self.next;
        let mut new = || {
            next += 1;
            (next, 0)
        };
        let mut statements = Statements::new(&self.file, &self.rows)?;
        let turns = self.rows.turns();
        let mut clients: Vec<(i64, usize)> = (0..clients).map(|_| new()).collect();
        let mut written = 0_u32;
        let start = Instant::now();
        while start.elapsed() < span {
            for group in clients.chunks_mut(GROUP) {
                self.file.execute_batch("BEGIN IMMEDIATE")?;
                for client in group {
                    let (id, turn) = *client;
                    statements.write(id, turn)?;
                    written += 1;
                    *client = if turn + 1 < turns {
                        (id, turn + 1)
                    } else {
                        new()
                    };
                }
                self.file.execute_batch("COMMIT")?;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        drop(statements);
        self.next = next;
        Ok(f64::from(written) / turns as f64 / seconds)
    }
}

/// One turn of one saga, and whom to tell.
struct Request {
    id: i64,
    turn: usize,
    committed: oneshot::Sender<()>,
}

/// The clients as tasks, before the one thread that writes.
pub struct Writer {
    runtime: Runtime,
    requests: Sender<Request>,
    turns: usize,
}

impl Writer {
    /// With a new file there.
    pub fn create(path: &Path, rows: &Rows) -> Result<Writer, Error> {
        let (file, rows) = (rows.create(path)?, rows.clone());
        let (requests, queue) = channel();
        let turns = rows.turns();
        // It ends with the last sender; an error ends it too, and with it its clients.
        std::thread::spawn(move || write(&file, &rows, &queue).expect("rows that can be written"));
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        Ok(Writer {
            runtime,
            requests,
            turns,
        })
    }
}

impl Contender for Writer {
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error> {
        let (requests, turns) = (self.requests.clone(), self.turns);
        Ok(load::rate(&self.runtime, clients, span, move |n| {
            let requests = requests.clone();
            async move {
                let id = i64::try_from(n).expect("a number of a saga");
                for turn in 0..turns {
                    let (committed, done) = oneshot::channel();
                    let request = Request {
                        id,
                        turn,
                        committed,
                    };
                    requests.send(request).expect("a writer");
                    done.await.expect("a commit");
                }
            }
        }))
    }
}

fn write(file: &Connection, rows: &Rows, queue: &Receiver<Request>) -> Result<(), Error> {
    let mut statements = Statements::new(file, rows)?;
    let mut written = Vec::with_capacity(GROUP);
    while let Ok(first) = queue.recv() {
        file.execute_batch("BEGIN IMMEDIATE")?;
        for request in std::iter::once(first).chain(queue.try_iter()).take(GROUP) {
            statements.write(request.id, request.turn)?;
            written.push(request.committed);
        }
        file.execute_batch("COMMIT")?;
        written.drain(..).for_each(|done| _ = done.send(()));
    }
    Ok(())
}
