//! A saga written down for the first time: its line and its first row.
use super::append::{Text, place_of, sum_of};
use super::ask::Op;
use super::db::{Db, Fail};
use super::{Created, NewSaga, Next, SagaId};

pub(super) const ADD_SAGA: &str = "INSERT INTO saga(id, name, key, version, uid, status, owner, epoch, due, crashes, alone, created, \
     changed, run_from, last, reason) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, 0, 0, ?9, ?9, 0, 0, ?10) ON CONFLICT DO NOTHING";

pub(super) const ADD_FIRST_ROW: &str = "INSERT INTO journal VALUES (?1, ?2, ?3, 0, ?4, ?5)";

impl Op for NewSaga {
    type Written = Created;
    type Answer = Created;

    fn write(&mut self, db: &mut Db<'_>) -> Result<Created, Fail> {
        db.create(self)
    }

    fn read(&mut self, _: &mut Db<'_>, created: Created) -> Result<Created, Fail> {
        Ok(created)
    }
}

impl Db<'_> {
    fn create(&mut self, new: &NewSaga) -> Result<Created, Fail> {
        let mail = self.has_mail(&new.name, &new.key)?;
        let place = place_of(&new.next, mail);
        let owner = (new.next == Next::Keep).then_some(new.owner.0);
        let id = self.tally.last_saga.saturating_add(1);
        let added = self.add_saga.execute((
            id,
            &new.name,
            &new.key,
            new.version,
            &new.uid,
            place.number,
            owner,
            place.due,
            new.row.at,
            place.reason,
        ))?;
        if added == 0 {
            let sql = "SELECT id FROM saga WHERE name=?1 AND key=?2";
            let mut taken = self.conn.prepare_cached(sql)?;
            let id = taken.query_row((&new.name, &new.key), |row| row.get(0))?;
            return Ok(Created::Exists { id: SagaId(id) });
        }
        self.tally.last_saga = id;
        let row = &new.row;
        self.add_first_row
            .execute((id, row.seq, row.epoch, sum_of(row), Text(&row.body)))?;
        self.tally.enter(place.status);
        self.heads.begin(SagaId(id), new);
        Ok(Created::New {
            id: SagaId(id),
            mail,
        })
    }
}
