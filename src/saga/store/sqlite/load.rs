//! A saga read, whatever has become of its row and its journal: what cannot be read is handed out as
//! a row that does not decode, so that this saga is parked and nothing else is.
use super::db::{Db, Fail, is_damage};
use super::schema::status;
use super::{Claimed, SagaId, Status, StoreError};
use crate::saga::journal::Row;
use rusqlite::types::ValueRef;

impl Db<'_> {
    pub(super) fn load(&mut self, id: SagaId, whole: bool) -> Result<Claimed, Fail> {
        let sql = "SELECT name, key, version, uid, epoch, status, crashes, alone, created, \
                   run_from, last FROM saga WHERE id=?1";
        let mut line = self.conn.prepare_cached(sql)?;
        let mut lines = line.query([id.0])?;
        let Some(line) = lines.next()? else {
            return Err(Fail::Answer(StoreError::NotFound(id)));
        };
        let number = |place| -> rusqlite::Result<u32> {
            let n = integer(line, place)?;
            Ok(n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
        };
        let created = integer(line, 8)?.unwrap_or(0);
        let (from, last) = (number(9)?, number(10)?);
        Ok(Claimed {
            id,
            name: text(line, 0)?,
            key: text(line, 1)?,
            version: number(2)?,
            uid: match line.get_ref(3)? {
                ValueRef::Blob(uid) => uid.try_into().unwrap_or_default(),
                _ => [0; 16],
            },
            epoch: number(4)?,
            status: integer(line, 5)?.map_or(Status::Stuck, status),
            crashes: number(6)?,
            crashed_alone: number(7)? == 2,
            created,
            rows: self.rows((id, created), from, last, whole)?,
        })
    }

    /// The rows of the present run; with the first row of all, where `whole`.
    fn rows(
        &self,
        id: (SagaId, i64),
        from: u32,
        last: u32,
        whole: bool,
    ) -> rusqlite::Result<Vec<Row>> {
        let mut rows = Vec::new();
        if whole && from > 0 {
            self.span(id, (0, 0), 0, &mut rows)?;
        }
        self.span(id, (from, u32::MAX), last, &mut rows)?;
        Ok(rows)
    }

    /// Rows of this span, without gaps, as far as `last` at least: a missing one is a damaged one.
    fn span(
        &self,
        (id, created): (SagaId, i64),
        (from, to): (u32, u32),
        last: u32,
        into: &mut Vec<Row>,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT seq, epoch, at, sum, body FROM journal \
                   WHERE saga=?1 AND seq>=?2 AND seq<=?3 ORDER BY seq";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query((id.0, from, to))?;
        let mut expected = from;
        loop {
            let row = match found.next() {
                Ok(Some(row)) => row_of(row, created, expected)?,
                Ok(None) => break,
                Err(e) if is_damage(&e) => {
                    into.push(damaged(expected));
                    return Ok(());
                }
                Err(e) => return Err(e),
            };
            if row.seq != expected {
                into.push(damaged(expected));
            }
            expected = row.seq.saturating_add(1);
            into.push(row);
        }
        if expected <= last {
            into.push(damaged(expected));
        }
        Ok(())
    }
}

/// A row of the journal. Nothing is converted: a value of the wrong type or size could come to look
/// like the one the checksum was made over.
fn row_of(row: &rusqlite::Row<'_>, created: i64, expected: u32) -> rusqlite::Result<Row> {
    let small = |place| -> rusqlite::Result<Option<u32>> {
        Ok(integer(row, place)?.and_then(|n| u32::try_from(n).ok()))
    };
    let at = integer(row, 2)?.and_then(|since| created.checked_add(since));
    let sum = integer(row, 3)?.and_then(|n| i32::try_from(n).ok());
    let parts = (small(0)?, small(1)?, at, sum.map(i32::cast_unsigned));
    Ok(match (parts, row.get_ref(4)?) {
        ((Some(seq), Some(epoch), Some(at), Some(sum)), ValueRef::Text(body)) => Row {
            seq,
            epoch,
            at,
            sum,
            body: body.to_owned(),
        },
        ((seq, ..), _) => damaged(seq.unwrap_or(expected)),
    })
}

/// Stands for a row that is not there or cannot be read. Without a body it never decodes.
fn damaged(seq: u32) -> Row {
    Row {
        seq,
        epoch: 0,
        at: 0,
        sum: 0,
        body: Vec::new(),
    }
}

/// The integer there, if it is one.
pub(super) fn integer(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(place)? {
        ValueRef::Integer(n) => Some(n),
        _ => None,
    })
}

/// The text there, with marks for what is not UTF-8.
pub(super) fn text(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(place)? {
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    })
}
