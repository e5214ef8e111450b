//! What the writing thread works with: the connection, the statements of every saga's life, and how
//! far a failure reaches.
use super::tally::Tally;
use super::{Counts, StoreError};
use rusqlite::{Connection, ErrorCode, Statement};

pub(super) struct Db<'c> {
    pub(super) conn: &'c Connection,
    pub(super) tally: Tally,
    stored: Tally,
    pub(super) add_row: Statement<'c>,
    pub(super) add_saga: Statement<'c>,
    pub(super) add_first_row: Statement<'c>,
    pub(super) follow: Statement<'c>,
    pub(super) line: Statement<'c>,
    pub(super) mail: Statement<'c>,
    begin: Statement<'c>,
    commit: Statement<'c>,
}

/// Why an operation was not done.
pub(super) enum Fail {
    /// It has an answer, and has written nothing.
    Answer(StoreError),
    /// SQLite did not do it. How far this reaches, [`Db::contained`] and [`Db::reading`] say.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(e: rusqlite::Error) -> Self {
        Fail::Sqlite(e)
    }
}

impl<'c> Db<'c> {
    pub(super) fn new(conn: &'c Connection, tally: Tally) -> rusqlite::Result<Self> {
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Db {
            conn,
            tally,
            stored: tally,
            add_row: conn.prepare(super::append::ADD_ROW)?,
            add_saga: conn.prepare(super::create::ADD_SAGA)?,
            add_first_row: conn.prepare(super::create::ADD_FIRST_ROW)?,
            follow: conn.prepare(super::append::FOLLOW)?,
            line: conn.prepare(super::append::LINE)?,
            mail: conn.prepare(super::mail::HAS_MAIL)?,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
        })
    }

    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.begin.execute([]).map(drop)
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        if self.tally != self.stored {
            self.tally.store(&self.stored, self.conn)?;
            self.stored = self.tally;
        }
        self.commit.execute([]).map(drop)
    }

    /// Does something that writes. A damaged page undoes it alone, and is its answer; every other
    /// failure ends the store.
    pub(super) fn contained<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, Fail>,
    ) -> rusqlite::Result<Result<T, StoreError>> {
        let tally = self.tally;
        self.conn.prepare_cached("SAVEPOINT op")?.execute([])?;
        let answer = match f(self) {
            Ok(done) => Ok(done),
            Err(Fail::Answer(e)) => Err(e),
            Err(Fail::Sqlite(e)) if is_damage(&e) => {
                self.tally = tally;
                self.conn.execute_batch("ROLLBACK TO op")?;
                Err(read(&e))
            }
            Err(Fail::Sqlite(e)) => return Err(e),
        };
        self.conn.prepare_cached("RELEASE op")?.execute([])?;
        Ok(answer)
    }

    /// Does something that only reads: its failure is an answer, unless SQLite has given the whole
    /// transaction up for it.
    pub(super) fn reading<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, Fail>,
    ) -> rusqlite::Result<Result<T, StoreError>> {
        match f(self) {
            Ok(found) => Ok(Ok(found)),
            Err(Fail::Answer(e)) => Ok(Err(e)),
            Err(Fail::Sqlite(e)) if self.conn.is_autocommit() => Err(e),
            Err(Fail::Sqlite(e)) => Ok(Err(read(&e))),
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
                let oldest = counts.oldest_unfinished.unwrap_or(created);
                counts.oldest_unfinished = Some(oldest.min(created));
            }
        }
        Ok(counts)
    }
}

/// Whether a page cannot be understood: what else is in the file can.
pub(super) fn is_damage(e: &rusqlite::Error) -> bool {
    e.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

pub(super) fn read(e: &rusqlite::Error) -> StoreError {
    StoreError::Read(e.to_string().into())
}
