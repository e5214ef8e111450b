//! The inbox: kept by the saga's name and key, since a signal may come before the saga does.
use super::append::Line;
use super::db::{Db, Fail};
use super::load::{integer, text};
use super::{Letter, Mail, Posted, SagaId, Status, StoreError, schema};
use rusqlite::OptionalExtension;

pub(super) const HAS_MAIL: &str =
    "SELECT 1 FROM inbox WHERE saga=?1 AND key=?2 AND body IS NOT NULL LIMIT 1";

impl Db<'_> {
    pub(super) fn post(&mut self, letter: &Letter) -> Result<Posted, Fail> {
        Ok(self.put(letter)?)
    }

    pub(super) fn put(&mut self, letter: &Letter) -> rusqlite::Result<Posted> {
        let saga = self.find(&letter.saga, &letter.key)?;
        if saga.is_some_and(|(_, status)| status.is_final()) {
            return Ok(Posted::Ended);
        }
        let sql = "INSERT INTO inbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                   ON CONFLICT DO NOTHING";
        let arrival = self.tally.last_letter.saturating_add(1);
        let added = self.conn.prepare_cached(sql)?.execute((
            arrival,
            &letter.saga,
            &letter.key,
            &letter.id,
            &letter.name,
            &letter.body,
            letter.at,
        ))?;
        if added == 0 {
            return Ok(Posted::Duplicate);
        }
        self.tally.last_letter = arrival;
        if let Some((id, Status::Waiting)) = saga {
            let sql = "UPDATE saga SET due=0 WHERE id=?1";
            self.conn.prepare_cached(sql)?.execute([id.0])?;
        }
        Ok(Posted::New(saga.map(|(id, _)| id)))
    }

    pub(super) fn has_mail(&mut self, saga: &str, key: &str) -> rusqlite::Result<bool> {
        // Where no letter ever came there is nothing to look for.
        Ok(self.tally.last_letter > 0 && self.mail.exists((saga, key))?)
    }

    /// Marks letters as read. Their ids stay, so that the same one is not taken twice.
    pub(super) fn read_mail(&mut self, line: &Line, arrivals: &[i64]) -> rusqlite::Result<()> {
        let sql = "UPDATE inbox SET body=NULL WHERE arrival=?1 AND saga=?2 AND key=?3";
        for arrival in arrivals {
            let mut mark = self.conn.prepare_cached(sql)?;
            mark.execute((arrival, &line.name, &line.key))?;
        }
        Ok(())
    }

    pub(super) fn inbox(&mut self, id: SagaId) -> Result<Vec<Mail>, Fail> {
        let sql = "SELECT name, key FROM saga WHERE id=?1";
        let mut line = self.conn.prepare_cached(sql)?;
        let line = line.query_row([id.0], |row| Ok((text(row, 0)?, text(row, 1)?)));
        let Some(line) = line.optional()? else {
            return Err(Fail::Answer(StoreError::NotFound(id)));
        };
        let sql = "SELECT arrival, id, name, body FROM inbox \
                   WHERE saga=?1 AND key=?2 AND body IS NOT NULL ORDER BY arrival";
        let mut statement = self.conn.prepare_cached(sql)?;
        let found = statement.query_map(line, |row| {
            Ok(Mail {
                arrival: row.get(0)?,
                id: text(row, 1)?,
                name: text(row, 2)?,
                body: text(row, 3)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The saga with this name and key, and how it stands.
    pub(super) fn find(
        &mut self,
        name: &str,
        key: &str,
    ) -> rusqlite::Result<Option<(SagaId, Status)>> {
        let sql = "SELECT id, status FROM saga WHERE name=?1 AND key=?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let found = statement.query_row((name, key), |row| {
            let status = integer(row, 1)?.map_or(Status::Stuck, schema::status);
            Ok((SagaId(row.get(0)?), status))
        });
        found.optional()
    }
}
