//! Ended sagas deleted whole, a few between two commits, and then the letters that nobody needs.
use super::ask::Op;
use super::db::{Db, Fail, is_damage};
use super::load::{integer, text};
use super::{Expired, SqliteStore, Status, StoreError, schema, sorting};

/// How many sagas go in one transaction, so that writers wait a few milliseconds at most.
const SLICE: usize = 128;
/// And how many rows of theirs, but for the last saga, which goes whole however long it is.
const ROWS: usize = 2000;

pub(super) async fn delete(store: &SqliteStore, expired: Expired) -> Result<usize, StoreError> {
    let mut gone = 0_usize;
    loop {
        let limit = expired.limit.saturating_sub(gone).min(SLICE);
        let (n, is_all) = store.ask(Delete(Expired { limit, ..expired })).await?;
        gone = gone.saturating_add(n);
        if is_all {
            break;
        }
    }
    sorting::sort(store, expired.ended_before).await?;
    Ok(gone)
}

/// Answers how many it has deleted, and whether these were all.
struct Delete(Expired);

impl Op for Delete {
    type Written = (usize, bool);
    type Answer = (usize, bool);

    fn write(&mut self, db: &mut Db<'_>) -> Result<(usize, bool), Fail> {
        db.delete(&self.0)
    }

    /// What stands on a damaged page stays, and is passed over from then on.
    fn write_alone(
        &mut self,
        db: &mut Db<'_>,
    ) -> rusqlite::Result<Result<(usize, bool), StoreError>> {
        let expired_now = match db.expired(&self.0) {
            Ok(expired_now) => expired_now,
            Err(Fail::Sqlite(e)) if !is_damage(&e) => return Err(e),
            Err(e) => return Ok(Err(e.told())),
        };
        let mut gone = 0_usize;
        for id in &expired_now {
            match db.alone(|db| db.delete_one(*id))? {
                Ok(_) => gone = gone.saturating_add(1),
                Err(_) => drop(db.undeletable.insert(*id)),
            }
        }
        Ok(Ok((gone, expired_now.len() < SLICE)))
    }

    fn read(&mut self, _: &mut Db<'_>, done: (usize, bool)) -> Result<(usize, bool), Fail> {
        Ok(done)
    }
}

impl Db<'_> {
    pub(super) fn delete(&mut self, expired: &Expired) -> Result<(usize, bool), Fail> {
        let (mut gone, mut rows) = (0_usize, 0_usize);
        for id in self.expired(expired)? {
            if rows >= ROWS {
                return Ok((gone, false));
            }
            rows = rows.saturating_add(self.delete_one(id)?);
            gone = gone.saturating_add(1);
        }
        Ok((gone, gone < SLICE))
    }

    /// Deletes it whole; how many rows that were.
    fn delete_one(&mut self, id: i64) -> Result<usize, Fail> {
        let conn = self.conn;
        let mut line = conn.prepare_cached("SELECT status, name, key FROM saga WHERE id=?1")?;
        let (status, name, key) = line.query_row([id], |row| {
            let status = integer(row, 0)?.map_or(Status::Forced, schema::status);
            Ok((status, text(row, 1)?, text(row, 2)?))
        })?;
        let mut journal = conn.prepare_cached("DELETE FROM journal WHERE saga=?1")?;
        let mut inbox = conn.prepare_cached("DELETE FROM inbox WHERE saga=?1 AND key=?2")?;
        let mut saga = conn.prepare_cached("DELETE FROM saga WHERE id=?1")?;
        let rows = journal.execute([id])?;
        let rows = rows.saturating_add(inbox.execute((name, key))?);
        saga.execute([id])?;
        self.tally.leave(status);
        Ok(rows)
    }

    /// Those to delete, which come first in the order of their ends. From the index alone: a line may
    /// stand on a damaged page.
    fn expired(&mut self, expired: &Expired) -> Result<Vec<i64>, Fail> {
        let ended = self.tally.ended();
        let beyond = expired
            .keep_at_most
            .map_or(0, |keep| ended.saturating_sub(keep));
        let sql = "SELECT id, changed FROM saga WHERE status > 2 ORDER BY changed, id LIMIT ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let most = expired.limit.saturating_add(self.undeletable.len());
        let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
        let (mut gone, mut place) = (Vec::new(), 0_u64);
        while gone.len() < expired.limit
            && let Some(row) = rows.next()?
        {
            let old = integer(row, 1)?.is_some_and(|changed| changed < expired.ended_before);
            if place >= beyond && !old {
                break;
            }
            place = place.saturating_add(1);
            let id = row.get(0)?;
            if !self.undeletable.contains(&id) {
                gone.push(id);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Append, NewSaga, Next, Owner, SagaId, open};
    use super::*;
    use crate::saga::journal::Row;

    /// 128 sagas went in one transaction, however many rows they had, and every writer waited for it.
    #[test]
    fn long_journals_are_deleted_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open::open(&folder.path().join("sagas.db"), false).unwrap();
        let mut db = Db::new(&opened.conn, opened.tally).unwrap();
        let uid = [7; 16];
        let row = |seq| Row::encode(&uid, seq, 1, 1, &[]).unwrap();
        let last = u32::try_from(ROWS).unwrap();
        let status = Status::Finished;
        let written = db.alone(|db| {
            for id in 1..=3 {
                let mut new = NewSaga {
                    name: "order".into(),
                    key: id.to_string(),
                    version: 1,
                    uid,
                    row: row(0),
                    next: Next::Keep,
                    owner: Owner(1),
                };
                new.write(db)?;
                for seq in 1..=last {
                    let mut append = Append {
                        id: SagaId(id),
                        row: row(seq),
                        next: match seq == last {
                            true => Next::End { status },
                            false => Next::Keep,
                        },
                        consumed: Vec::new(),
                        letters: Vec::new(),
                        new_run: false,
                        clear_crashes: false,
                    };
                    append.write(db)?;
                }
            }
            Ok(())
        });
        assert!(matches!(written, Ok(Ok(()))));
        let expired = Expired {
            ended_before: 2,
            keep_at_most: None,
            limit: SLICE,
        };
        let mut slices = Vec::new();
        while slices.last().is_none_or(|(_, is_all)| !is_all) {
            slices.push(db.alone(|db| db.delete(&expired)).unwrap().unwrap());
        }
        assert_eq!(slices, [(1, false), (1, false), (1, true)]);
    }
}
