//! What the writing thread works with: the connection, the statements of every saga's life, and how
//! far a failure reaches.
use super::backup::Copy;
use super::heads::Heads;
use super::tally::Tally;
use super::{Counts, Owner, SagaId, StoreError};
use rusqlite::{Connection, ErrorCode, Statement, Transaction, TransactionBehavior};
use std::collections::{HashSet, VecDeque};

pub(super) struct Db<'c> {
    pub(super) conn: &'c Connection,
    pub(super) tally: Tally,
    stored: Tally,
    pub(super) heads: Heads,
    /// Sagas that were taken and could not be read then, and for whom.
    pub(super) unread: Vec<(Owner, SagaId)>,
    /// Those that the present transaction lets go of.
    pub(super) given_back: Vec<(Owner, SagaId)>,
    /// Ended sagas that retention met a damaged page with.
    pub(super) undeletable: HashSet<i64>,
    /// The letter that retention has looked at last, by its arrival.
    pub(super) sorted: i64,
    /// Copies to be made, once what has gathered is done.
    pub(super) copies: VecDeque<Copy>,
    pub(super) add_row: Statement<'c>,
    pub(super) add_next_row: Statement<'c>,
    pub(super) add_saga: Statement<'c>,
    pub(super) add_first_row: Statement<'c>,
    pub(super) follow: Statement<'c>,
    pub(super) line: Statement<'c>,
    pub(super) mail: Statement<'c>,
}

/// Why an operation was not done.
pub(super) enum Fail {
    /// It has an answer, and has written nothing.
    Answer(StoreError),
    /// SQLite did not do it. Where it was reading, this is an answer, too; where it was writing, it
    /// ends the store, unless it met a damaged page.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(e: rusqlite::Error) -> Self {
        Fail::Sqlite(e)
    }
}

impl Fail {
    /// As an answer.
    pub(super) fn told(self) -> StoreError {
        match self {
            Fail::Answer(e) => e,
            Fail::Sqlite(e) => StoreError::Read(e.to_string().into()),
        }
    }
}

impl<'c> Db<'c> {
    pub(super) fn new(conn: &'c Connection, tally: Tally) -> rusqlite::Result<Self> {
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Db {
            conn,
            tally,
            stored: tally,
            heads: Heads::default(),
            unread: Vec::new(),
            given_back: Vec::new(),
            undeletable: HashSet::new(),
            sorted: 0,
            copies: VecDeque::new(),
            add_row: conn.prepare(super::append::ADD_ROW)?,
            add_next_row: conn.prepare(super::append::ADD_NEXT_ROW)?,
            add_saga: conn.prepare(super::create::ADD_SAGA)?,
            add_first_row: conn.prepare(super::create::ADD_FIRST_ROW)?,
            follow: conn.prepare(super::append::FOLLOW)?,
            line: conn.prepare(super::append::LINE)?,
            mail: conn.prepare(super::mail::HAS_MAIL)?,
        })
    }

    /// Does it in a transaction, all or nothing.
    pub(super) fn transaction(
        &mut self,
        f: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        // It borrows the connection alone, which nothing else begins a transaction on; dropped
        // before its commit, it is undone.
        let tx = Transaction::new_unchecked(self.conn, TransactionBehavior::Immediate)?;
        let done = f(self).and_then(|()| {
            if self.tally != self.stored {
                self.tally.store(&self.stored, self.conn)?;
            }
            tx.commit()
        });
        match done {
            Ok(()) => {
                self.stored = self.tally;
                self.given_back.clear();
            }
            Err(_) => {
                self.tally = self.stored;
                self.unread.append(&mut self.given_back);
                self.heads.forget_all();
            }
        }
        done
    }

    /// Does something that writes in a transaction of its own. A damaged page undoes it, and is its
    /// answer; every other failure ends the store.
    pub(super) fn alone<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, Fail>,
    ) -> rusqlite::Result<Result<T, StoreError>> {
        let mut answer = None;
        let done = self.transaction(|db| match f(db) {
            Err(Fail::Sqlite(e)) => Err(e),
            other => {
                answer = Some(other.map_err(Fail::told));
                Ok(())
            }
        });
        match (done, answer) {
            (Ok(()), Some(answer)) => Ok(answer),
            (Err(e), _) if is_damage(&e) => Ok(Err(Fail::Sqlite(e).told())),
            (Err(e), _) => Err(e),
            (Ok(()), None) => Err(rusqlite::Error::InvalidQuery), // never: it is set above
        }
    }

    pub(super) fn counts(&mut self) -> Result<Counts, Fail> {
        let mut counts = self.tally.counts();
        // Numbers rise, so the first of each status is its oldest.
        let mut first = self.conn.prepare_cached(
            "SELECT created FROM saga WHERE status <> 3 AND status=?1 ORDER BY id LIMIT 1",
        )?;
        for status in 0..3 {
            let mut rows = first.query([status])?;
            if let Some(row) = rows.next()? {
                let created: i64 = row.get(0)?;
                let oldest = counts.oldest_unfinished_ms.unwrap_or(created);
                counts.oldest_unfinished_ms = Some(oldest.min(created));
            }
        }
        Ok(counts)
    }
}

/// Whether a page cannot be understood: what else is in the file can.
pub(super) fn is_damage(e: &rusqlite::Error) -> bool {
    e.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}
