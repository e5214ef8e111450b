//! Who owns which saga: claimed when due, seized, let go.
use super::db::{Db, Fail};
use super::load::{integer, text};
use super::{Claim, Claimed, Claims, Owner, SagaId, Status, StoreError, schema};

impl Db<'_> {
    /// Takes over what is due. A saga whose own line is damaged is passed over; it stays due.
    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Claims, Fail> {
        let mut claims = Claims::default();
        for (due, id) in self.due(claim)? {
            if due > claim.now || claims.sagas.len() >= claim.limit {
                claims.next_due = Some(due);
                break;
            }
            if let Ok(saga) = self.contained(|db| db.take(claim.owner, id))? {
                claims.sagas.push(saga);
            }
        }
        Ok(claims)
    }

    pub(super) fn seize(&mut self, owner: Owner, id: SagaId) -> Result<Claimed, Fail> {
        self.take(owner, id)
    }

    fn take(&mut self, owner: Owner, id: SagaId) -> Result<Claimed, Fail> {
        let was = self.status(id)?;
        if was.is_final() {
            return Err(Fail::Answer(StoreError::Ended(id)));
        }
        let sql = "UPDATE saga SET owner=?2, epoch=epoch+1, status=0, due=NULL, reason=NULL \
                   WHERE id=?1";
        self.conn.prepare_cached(sql)?.execute((id.0, owner.0))?;
        self.tally.leave(was);
        self.tally.enter(Status::Running);
        let taken = self.load(id, false)?;
        Ok(Claimed {
            status: was,
            ..taken
        })
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
            }
            None => {
                let sql = "UPDATE saga SET owner=NULL, due=0 \
                           WHERE status <> 3 AND status=0 AND owner=?1";
                self.conn.prepare_cached(sql)?.execute([owner.0])?;
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
