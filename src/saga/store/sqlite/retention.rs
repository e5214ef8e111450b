//! Ended sagas deleted whole, a few between two commits, and then the letters that nobody needs.
use super::db::{Db, Fail};
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
        let (n, is_all) = store
            .write(move |db| db.delete(&Expired { limit, ..expired }))
            .await?;
        gone = gone.saturating_add(n);
        if is_all {
            break;
        }
    }
    sorting::sort(store, expired.ended_before).await?;
    Ok(gone)
}

struct Ended {
    id: i64,
    status: Status,
    name: String,
    key: String,
}

impl Db<'_> {
    /// How many it has deleted, and whether these were all.
    pub(super) fn delete(&mut self, expired: &Expired) -> Result<(usize, bool), Fail> {
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

#[cfg(test)]
mod tests {
    use super::super::ask::Op as _;
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
