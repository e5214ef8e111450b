//! Who owns which saga: claimed when due, seized, let go.
use super::ask::Op;
use super::db::{Db, Fail, is_damage};
use super::load::{integer, text};
use super::{Claim, Claimed, Claims, Owner, SagaId, Status, StoreError, schema};

/// Taking one over, whoever has it.
pub(super) struct Seize(pub(super) Owner, pub(super) SagaId);

impl Op for Seize {
    type Written = Status;
    type Answer = Claimed;

    fn write(&mut self, db: &mut Db<'_>) -> Result<Status, Fail> {
        db.take(self.0, self.1)
    }

    fn read(&mut self, db: &mut Db<'_>, was: Status) -> Result<Claimed, Fail> {
        let taken = db.load(self.1, false).inspect_err(|_| {
            db.unread.push((self.0, self.1));
        })?;
        Ok(Claimed {
            status: was,
            ..taken
        })
    }
}

/// The sagas taken and how they stood, and when the next one is due.
type Taken = (Vec<(SagaId, Status)>, Option<i64>);

impl Op for Claim {
    type Written = Taken;
    type Answer = Claims;

    fn write(&mut self, db: &mut Db<'_>) -> Result<Taken, Fail> {
        db.give_back(self.now)?;
        db.take_due(self, |db, owner, id| db.take(owner, id).map(Some))
    }

    /// A saga whose own line is damaged is passed over; it stays due.
    fn write_alone(&mut self, db: &mut Db<'_>) -> rusqlite::Result<Result<Taken, StoreError>> {
        if let Err(e) = db.alone(|db| db.give_back(self.now))? {
            return Ok(Err(e));
        }
        let taken = db.take_due(self, |db, owner, id| {
            Ok(db.alone(|db| db.take(owner, id))?.ok())
        });
        match taken {
            Err(Fail::Sqlite(e)) if !is_damage(&e) => Err(e),
            other => Ok(other.map_err(Fail::told)),
        }
    }

    fn read(&mut self, db: &mut Db<'_>, (taken, mut next_due): Taken) -> Result<Claims, Fail> {
        let mut sagas = Vec::with_capacity(taken.len());
        for (id, status) in taken {
            match db.load(id, false) {
                Ok(saga) => sagas.push(Claimed { status, ..saga }),
                // It stands in nobody's way: the others go on.
                Err(_) => db.unread.push((self.owner, id)),
            }
        }
        if !db.unread.is_empty() {
            // The next claim lets go of them.
            let soon = self.now.saturating_add(SOON_MS);
            next_due = Some(next_due.map_or(soon, |due| due.min(soon)));
        }
        Ok(Claims { sagas, next_due })
    }
}

/// For how long a saga that could not be read is left alone.
const UNREAD_MS: i64 = 60_000;
/// Until one is let go of.
const SOON_MS: i64 = 1000;

impl Db<'_> {
    /// Lets go of the sagas that were taken and could not be read, so nobody runs them. They are tried
    /// again, since a disk that did not answer may do so later.
    fn give_back(&mut self, now: i64) -> Result<(), Fail> {
        let sql = "UPDATE saga SET owner=NULL, due=?3 WHERE id=?1 AND owner=?2";
        let mut update = self.conn.prepare_cached(sql)?;
        let due = now.saturating_add(UNREAD_MS);
        for (owner, id) in self.unread.drain(..) {
            update.execute((id.0, owner.0, due))?;
            self.given_back.push((owner, id));
        }
        Ok(())
    }

    fn take_due(
        &mut self,
        claim: &Claim,
        mut take: impl FnMut(&mut Self, Owner, SagaId) -> Result<Option<Status>, Fail>,
    ) -> Result<Taken, Fail> {
        let mut taken = Vec::new();
        for (due, id) in self.due(claim)? {
            if due > claim.now || taken.len() >= claim.limit {
                return Ok((taken, Some(due)));
            }
            if let Some(was) = take(self, claim.owner, id)? {
                taken.push((id, was));
            }
        }
        Ok((taken, None))
    }

    /// Gives it to this owner, and tells how it stood.
    fn take(&mut self, owner: Owner, id: SagaId) -> Result<Status, Fail> {
        let was = self.status(id)?;
        if was.is_final() {
            return Err(Fail::Answer(StoreError::Ended(id)));
        }
        let sql = "UPDATE saga SET owner=?2, epoch=epoch+1, status=0, due=NULL, reason=NULL \
                   WHERE id=?1";
        self.conn.prepare_cached(sql)?.execute((id.0, owner.0))?;
        self.heads.forget(id);
        self.tally.leave(was);
        self.tally.enter(Status::Running);
        Ok(was)
    }

    /// What nobody owns and a time is set for, the earliest first: one more than the limit.
    ///
    /// By name, since a name without room may have a great many due that would otherwise be stepped
    /// over one by one.
    fn due(&mut self, claim: &Claim) -> Result<Vec<(i64, SagaId)>, Fail> {
        let most = claim.limit.saturating_add(1);
        let sql = "SELECT due, id FROM saga WHERE owner IS NULL AND status < 2 \
                   AND due IS NOT NULL AND name=?1 ORDER BY due, id LIMIT ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut due: Vec<(i64, SagaId)> = Vec::new();
        for name in self.names_due()? {
            if claim.except.contains(&name) {
                continue;
            }
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = statement.query((&name, limit))?;
            while let Some(row) = rows.next()? {
                due.push((row.get(0)?, SagaId(row.get(1)?)));
            }
        }
        due.sort_unstable();
        due.truncate(most);
        Ok(due)
    }

    /// The names that `saga_due` has, each found by one step past the one before.
    fn names_due(&mut self) -> Result<Vec<String>, Fail> {
        let sql = "SELECT name FROM saga WHERE owner IS NULL AND status < 2 \
                   AND due IS NOT NULL AND name>?1 ORDER BY name LIMIT 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut names: Vec<String> = Vec::new();
        loop {
            let last = names.last().map_or("", String::as_str);
            let mut rows = statement.query([last])?;
            match rows.next()? {
                None => return Ok(names),
                Some(row) => names.push(text(row, 0)?),
            }
        }
    }

    pub(super) fn release(&mut self, owner: Owner, id: Option<SagaId>) -> Result<(), Fail> {
        match id {
            Some(id) => {
                let sql = "UPDATE saga SET owner=NULL, due=0 WHERE id=?1 AND owner=?2";
                self.conn.prepare_cached(sql)?.execute((id.0, owner.0))?;
                self.heads.forget(id);
            }
            None => {
                let sql = "UPDATE saga SET owner=NULL, due=0 \
                           WHERE status <> 3 AND status=0 AND owner=?1";
                self.conn.prepare_cached(sql)?.execute([owner.0])?;
                self.heads.forget_all();
            }
        }
        Ok(())
    }

    pub(super) fn run_alone(&mut self, id: SagaId, epoch: u32) -> Result<(), Fail> {
        let sql = "UPDATE saga SET alone=1 WHERE id=?1 AND epoch=?2";
        match self.conn.prepare_cached(sql)?.execute((id.0, epoch))? {
            0 => Err(Fail::Answer(StoreError::Fenced)),
            _ => Ok(()),
        }
    }

    fn status(&mut self, id: SagaId) -> Result<Status, Fail> {
        let sql = "SELECT status FROM saga WHERE id=?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([id.0])?;
        match rows.next()? {
            None => Err(Fail::Answer(StoreError::NotFound(id))),
            Some(row) => Ok(integer(row, 0)?.map_or(Status::Stuck, schema::status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;
    use crate::saga::journal::Row;
    use crate::saga::store::{NewSaga, Next};

    /// Claimed together with one that could not be read, sagas belonged to an engine that had never
    /// heard of them, and stood still until it was started again.
    #[test]
    fn a_saga_that_cannot_be_read_takes_no_other_along_and_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open::open(&folder.path().join("sagas.db"), false).unwrap();
        let conn = &opened.conn;
        let mut db = Db::new(conn, opened.tally).unwrap();
        for key in ["a", "b", "c"] {
            let uid = [7; 16];
            let mut new = NewSaga {
                name: "order".into(),
                key: key.into(),
                version: 1,
                uid,
                row: Row::encode(&uid, 0, 1, 1, &[]).unwrap(),
                next: Next::Leave {
                    status: Status::Waiting,
                    due: Some(5),
                },
                owner: Owner(1),
            };
            assert!(db.alone(|db| new.write(db)).unwrap().is_ok());
        }
        let mut claim = |now| {
            let mut claim = Claim {
                owner: Owner(1),
                now,
                limit: 9,
                except: Vec::new(),
            };
            let taken = db.alone(|db| claim.write(db)).unwrap().unwrap();
            if now == 10 {
                // A row of `b` that SQLite cannot give: an error, and no damaged page.
                conn.execute_batch(
                    "ALTER TABLE journal RENAME TO kept; CREATE VIEW journal AS \
                     SELECT saga, seq, epoch, at, sum, \
                     CASE saga WHEN 2 THEN zeroblob(2000000000) ELSE body END AS body FROM kept",
                )
                .unwrap();
            }
            let Ok(claims) = claim.read(&mut db, taken) else {
                panic!("one of them took the others along");
            };
            if now == 10 {
                conn.execute_batch("DROP VIEW journal; ALTER TABLE kept RENAME TO journal")
                    .unwrap();
            }
            let keys: Vec<_> = claims.sagas.into_iter().map(|saga| saga.key).collect();
            (keys.concat(), claims.next_due)
        };
        let expect = |keys: &str, next_due| (keys.to_owned(), next_due);
        assert_eq!(claim(10), expect("ac", Some(10 + SOON_MS)));
        assert_eq!(claim(20), expect("", Some(20 + UNREAD_MS)));
        assert_eq!(claim(20 + UNREAD_MS), expect("b", None));
    }
}
