//! The thread that owns the file. Whoever asks it waits for a commit on disk, shared with all that
//! asked at the same time.
use super::answer::Answer;
use super::books::{Begun, Call, Desk};
use crate::saga::wall::Wall;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::{io, thread, time::Duration};
use tokio::sync::oneshot;

/// The way to the thread. It ends when the last of these and of their marks is gone.
#[derive(Clone, Debug)]
pub(super) struct Store(Sender<Ask>);

/// What the thread needs to know.
pub(super) struct Rules {
    pub(super) owner: i64,
    pub(super) lease_ms: i64,
    pub(super) keep_ms: i64,
    pub(super) wall: Wall,
}

/// Why a question could not be answered, in SQLite's words.
pub(super) type Lost = String;

type Reply<T> = oneshot::Sender<Result<T, Lost>>;

enum Ask {
    Begin {
        call: Call,
        /// For the mark, which has to be able to come back.
        back: Sender<Ask>,
        reply: Reply<Verdict>,
    },
    Settle {
        id: i64,
        answer: Answer,
        reply: Reply<()>,
    },
    Release(i64),
}

/// What becomes of a request, and its mark if it runs.
pub(super) enum Verdict {
    Run(Mark),
    Other(Begun),
}

/// A call in hand. Dropped before it is settled, it is given back.
pub(super) struct Mark {
    id: i64,
    back: Sender<Ask>,
    is_open: bool,
}

impl Mark {
    /// Keeps the answer. If that fails, the mark stays until its lease has run out.
    pub(super) async fn settle(mut self, answer: Answer) -> Result<(), Lost> {
        let (reply, waiting) = oneshot::channel();
        self.is_open = false;
        let id = self.id;
        let ask = Ask::Settle { id, answer, reply };
        self.back.send(ask).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.back.send(Ask::Release(self.id));
        }
    }
}

impl Store {
    pub(super) fn start(db: Connection, rules: Rules) -> io::Result<Store> {
        let (asks, inbox) = mpsc::channel();
        thread::Builder::new()
            .name(String::from("seawall-idempotency"))
            .spawn(move || serve(db, &rules, &inbox))?;
        Ok(Store(asks))
    }

    pub(super) async fn begin(&self, call: Call) -> Result<Verdict, Lost> {
        let (reply, waiting) = oneshot::channel();
        let back = self.0.clone();
        let ask = Ask::Begin { call, back, reply };
        self.0.send(ask).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?
    }
}

fn gone() -> Lost {
    String::from("the thread that keeps the keys has ended")
}

/// Questions that share a commit, at most.
const BATCH: usize = 256;

fn serve(mut db: Connection, rules: &Rules, inbox: &Receiver<Ask>) {
    let mut live = HashSet::new();
    let mut renewed_ms = rules.wall.now_ms();
    let tick_ms = (rules.lease_ms / 3).max(1);
    let tick = Duration::from_millis(u64::try_from(tick_ms).unwrap_or(1));
    loop {
        let first = match live.is_empty() {
            true => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => inbox.recv_timeout(tick),
        };
        let first = match first {
            Ok(ask) => Some(ask),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let more = inbox.try_iter().take(BATCH);
        let batch: Vec<Ask> = first.into_iter().chain(more).collect();
        let now_ms = rules.wall.now_ms();
        // Also when the clock was set back: a lease that ends too late locks a key for too long.
        let is_due = !(renewed_ms..renewed_ms.saturating_add(tick_ms)).contains(&now_ms);
        if is_due {
            renewed_ms = now_ms;
        }
        let desk = Desk {
            owner: rules.owner,
            now_ms,
            lease_ms: rules.lease_ms,
            live: &live,
        };
        let done = work_off(&mut db, &desk, &batch, is_due, rules.keep_ms);
        reply(batch, done, &mut live);
    }
}

/// One answer for each question, in their order.
type Done = Vec<Result<Option<Begun>, Lost>>;

/// Does all of it in one transaction. Where a row that cannot be read is in the way, each question gets
/// one of its own: the other calls are not to blame, and their handlers have done their work.
fn work_off(
    db: &mut Connection,
    desk: &Desk<'_>,
    batch: &[Ask],
    is_due: bool,
    keep_ms: i64,
) -> Done {
    if batch.is_empty() && !is_due {
        return Vec::new();
    }
    let all = commit(db, |tx| {
        let done = batch.iter().map(|ask| answer(desk, tx, ask));
        let done = done.collect::<rusqlite::Result<Vec<_>>>()?;
        if is_due {
            desk.renew(tx)?;
        }
        desk.forget(tx, keep_ms)?;
        Ok(done)
    });
    match all {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(error) if is_of_a_row(&error) => {
            let alone = |ask| commit(db, |tx| answer(desk, tx, ask)).map_err(|e| e.to_string());
            let done = batch.iter().map(alone).collect();
            if is_due {
                let _ = commit(db, |tx| desk.renew(tx));
            }
            done
        }
        Err(error) => batch.iter().map(|_| Err(error.to_string())).collect(),
    }
}

fn commit<T>(
    db: &mut Connection,
    f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = f(&tx)?;
    tx.commit()?;
    Ok(done)
}

fn answer(desk: &Desk<'_>, db: &Connection, ask: &Ask) -> rusqlite::Result<Option<Begun>> {
    match ask {
        Ask::Begin { call, .. } => return desk.begin(db, call).map(Some),
        Ask::Settle { id, answer, .. } => desk.settle(db, *id, answer)?,
        Ask::Release(id) => desk.release(db, *id)?,
    }
    Ok(None)
}

/// A damaged page, a value that cannot be, one that is too long: what else is in the file can be had.
fn is_of_a_row(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::TooBig)
    )
}

/// Tells everybody, and keeps the list of what is in our hands. Where the commit failed, a call that
/// was to be settled or given back is so all the same: its mark in the file ends with its lease.
fn reply(batch: Vec<Ask>, done: Done, live: &mut HashSet<i64>) {
    for (ask, done) in batch.into_iter().zip(done) {
        // Whoever does not wait any more does not need to know. A mark among it comes back.
        match ask {
            Ask::Begin { back, reply, .. } => {
                let verdict = match done {
                    Ok(Some(Begun::Run(id))) => {
                        live.insert(id);
                        let is_open = true;
                        Ok(Verdict::Run(Mark { id, back, is_open }))
                    }
                    Ok(Some(begun)) => Ok(Verdict::Other(begun)),
                    Ok(None) => Err(gone()),
                    Err(lost) => Err(lost),
                };
                drop(reply.send(verdict));
            }
            Ask::Settle { id, reply, .. } => {
                live.remove(&id);
                let _ = reply.send(done.map(drop));
            }
            Ask::Release(id) => {
                live.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::idempotency::books::TABLES;

    fn begin(key: &str) -> Ask {
        let call = Call {
            caller: String::new(),
            key: key.into(),
            method: "POST".into(),
            path: "/charges".into(),
            payload: format!("sent as {key};").repeat(100).into_bytes(),
            step: None,
        };
        let (back, reply) = (mpsc::channel().0, oneshot::channel().0);
        Ask::Begin { call, back, reply }
    }

    fn settle(id: i64) -> Ask {
        let answer = Answer {
            status: 201,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let reply = oneshot::channel().0;
        Ask::Settle { id, answer, reply }
    }

    /// All that shared a commit with a request whose row stood on a damaged page were lost: calls that
    /// had been done were in progress for a lease, and then ran again.
    #[test]
    fn a_row_that_cannot_be_read_takes_no_other_call_along() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.db");
        let mut db = Connection::open(&file).unwrap();
        db.execute_batch(TABLES).unwrap();
        let live = HashSet::new();
        let desk = Desk {
            owner: 7,
            now_ms: 1,
            lease_ms: 1_000,
            live: &live,
        };
        let ask = |db: &mut Connection, batch: &[Ask]| work_off(db, &desk, batch, true, 9);
        let all: Vec<_> = (0..100).map(|n| begin(&format!("k-{n}"))).collect();
        let begun = ask(&mut db, &all);
        let Some(Ok(Some(Begun::Run(first)))) = begun.first() else {
            panic!("{begun:?}");
        };
        drop(db);
        let mut bytes = std::fs::read(&file).unwrap();
        let bad = b"sent as k-50;";
        // A leaf of a table.
        let is_leaf = |page: &&mut [u8]| page[0] == 0x0d && page.windows(13).any(|w| w == bad);
        let page = bytes.chunks_mut(4096).find(is_leaf).unwrap();
        page.fill(0xaa);
        std::fs::write(&file, bytes).unwrap();

        let mut db = Connection::open(&file).unwrap();
        let done = ask(&mut db, &[begin("k-50"), settle(*first), begin("new")]);
        assert!(done[0].as_ref().is_err_and(|why| why.contains("malformed")));
        assert_eq!(done[1], Ok(None));
        assert!(matches!(done[2], Ok(Some(Begun::Run(_)))));
        let again = ask(&mut db, &[begin("k-0")]);
        assert!(matches!(again[0], Ok(Some(Begun::Kept(_)))));
    }
}
