//! The thread that owns the file. Whoever asks it waits for a commit on disk, shared with all that
//! asked at the same time.
use super::answer::Answer;
use super::books::{Begun, Call, Desk};
use crate::saga::wall::Wall;
use rusqlite::{Connection, TransactionBehavior};
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
        let done = commit(&mut db, &desk, &batch, is_due, rules.keep_ms);
        reply(batch, done, &mut live);
    }
}

/// Does all of it in one transaction; the answers stand in the order of the questions.
fn commit(
    db: &mut Connection,
    desk: &Desk<'_>,
    batch: &[Ask],
    is_due: bool,
    keep_ms: i64,
) -> rusqlite::Result<Vec<Option<Begun>>> {
    if batch.is_empty() && !is_due {
        return Ok(Vec::new());
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::with_capacity(batch.len());
    for ask in batch {
        done.push(match ask {
            Ask::Begin { call, .. } => Some(desk.begin(&tx, call)?),
            Ask::Settle { id, answer, .. } => {
                desk.settle(&tx, *id, answer)?;
                None
            }
            Ask::Release(id) => {
                desk.release(&tx, *id)?;
                None
            }
        });
    }
    if is_due {
        desk.renew(&tx)?;
    }
    desk.forget(&tx, keep_ms)?;
    tx.commit()?;
    Ok(done)
}

/// Tells everybody, and keeps the list of what is in our hands. Where the commit failed, a call that
/// was to be settled or given back is so all the same: its mark in the file ends with its lease.
fn reply(batch: Vec<Ask>, done: rusqlite::Result<Vec<Option<Begun>>>, live: &mut HashSet<i64>) {
    let (done, lost) = match done {
        Ok(done) => (done, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let mut done = done.into_iter();
    for ask in batch {
        let begun = done.next().flatten();
        let lost = lost.clone();
        // Whoever does not wait any more does not need to know. A mark among it comes back.
        match ask {
            Ask::Begin { back, reply, .. } => {
                let verdict = match (begun, lost) {
                    (Some(Begun::Run(id)), _) => {
                        live.insert(id);
                        let is_open = true;
                        Ok(Verdict::Run(Mark { id, back, is_open }))
                    }
                    (Some(begun), _) => Ok(Verdict::Other(begun)),
                    (None, lost) => Err(lost.unwrap_or_else(gone)),
                };
                drop(reply.send(verdict));
            }
            Ask::Settle { id, reply, .. } => {
                live.remove(&id);
                let _ = reply.send(lost.map_or(Ok(()), Err));
            }
            Ask::Release(id) => {
                live.remove(&id);
            }
        }
    }
}
