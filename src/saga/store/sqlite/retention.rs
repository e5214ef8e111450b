//! Ended sagas deleted whole, a few between two commits.
use super::db::{Db, Fail};
use super::load::{integer, text};
use super::{Expired, SqliteStore, Status, StoreError, schema};

/// How many sagas go in one transaction, so that writers wait a few milliseconds at most.
const SLICE: usize = 128;
/// And how many rows of theirs, but for the last saga, which goes whole however long it is.
const ROWS: usize = 2000;

pub(super) async fn delete(store: &SqliteStore, expired: Expired) -> Result<usize, StoreError> {
    let mut gone = 0_usize;
    loop {
        let limit = expired.limit.saturating_sub(gone).min(SLICE);
        let (n, is_all) = store
            .write(move |db| db.delete(&Expired { limit, ..expired }))
            .await?;
        gone = gone.saturating_add(n);
        if is_all {
            return Ok(gone);
        }
    }
}

struct Ended {
    id: i64,
    status: Status,
    name: String,
    key: String,
}

impl Db<'_> {
    /// How many it has deleted, and whether these were all.
    fn delete(&mut self, expired: &Expired) -> Result<(usize, bool), Fail> {
        let expired_now = self.expired(expired)?;
        let mut journal = self
            .conn
            .prepare_cached("DELETE FROM journal WHERE saga=?1")?;
        let mut inbox = self
            .conn
            .prepare_cached("DELETE FROM inbox WHERE saga=?1 AND key=?2")?;
        let mut saga = self.conn.prepare_cached("DELETE FROM saga WHERE id=?1")?;
        let (mut gone, mut rows) = (0_usize, 0_usize);
        for ended in &expired_now {
            if rows >= ROWS {
                return Ok((gone, false));
            }
            rows = rows
                .saturating_add(journal.execute([ended.id])?)
                .saturating_add(inbox.execute((&ended.name, &ended.key))?);
            saga.execute([ended.id])?;
            self.tally.leave(ended.status);
            gone = gone.saturating_add(1);
        }
        Ok((gone, gone < SLICE))
    }

    /// Those to delete, which come first in the order of their ends.
    fn expired(&mut self, expired: &Expired) -> Result<Vec<Ended>, Fail> {
        let ended = self.tally.ended();
        let beyond = expired
            .keep_at_most
            .map_or(0, |keep| ended.saturating_sub(keep));
        let sql = "SELECT id, changed, status, name, key FROM saga WHERE status > 2 \
                   ORDER BY changed, id LIMIT ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let limit = i64::try_from(expired.limit).unwrap_or(i64::MAX);
        let mut rows = statement.query([limit])?;
        let (mut gone, mut place) = (Vec::new(), 0_u64);
        while let Some(row) = rows.next()? {
            let old = integer(row, 1)?.is_some_and(|changed| changed < expired.ended_before);
            if place >= beyond && !old {
                break;
            }
            place = place.saturating_add(1);
            gone.push(Ended {
                id: row.get(0)?,
                status: integer(row, 2)?.map_or(Status::Forced, schema::status),
                name: text(row, 3)?,
                key: text(row, 4)?,
            });
        }
        Ok(gone)
    }
}
