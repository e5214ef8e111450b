//! What is kept of each call, and what follows from it. Plain functions on a connection and a time.
//!
//! ```text
//! state     means                                         begun again by the same payload
//! running   a handler has it, until its lease runs out    409; after the lease it runs again
//! failed    a handler had it, and gave no answer to keep  it runs again
//! answered  the answer is kept                            the answer
//! ```
//! A tombstone shuts a step's key on every method and path; the rows of the step stay what they are,
//! since the undo wants to know whether there is anything to undo.
#[cfg(test)]
mod steps;

use super::answer::Answer;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::HashSet;

/// The version of these tables, in the file's `user_version`.
pub(super) const VERSION: i64 = 1;
/// Marks the file as ours, in its `application_id`.
pub(super) const APPLICATION: i64 = 0x5357_4944;

/// AUTOINCREMENT, so that the number of a forgotten call is never another's.
pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS calls (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        caller   TEXT NOT NULL,
        key      TEXT NOT NULL,
        method   TEXT NOT NULL,
        path     TEXT NOT NULL,
        payload  BLOB NOT NULL,
        state    TEXT NOT NULL CHECK (state IN ('running', 'failed', 'answered')),
        attempts INTEGER NOT NULL,
        owner    INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        status   INTEGER,
        headers  BLOB,
        body     BLOB,
        at_ms    INTEGER NOT NULL,
        UNIQUE (caller, key, method, path)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS calls_at ON calls (at_ms);
    CREATE TABLE IF NOT EXISTS tombstones (
        caller TEXT NOT NULL,
        key    TEXT NOT NULL,
        at_ms  INTEGER NOT NULL,
        PRIMARY KEY (caller, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS tombstones_at ON tombstones (at_ms);
";

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: String,
    pub(super) key: String,
    pub(super) method: String,
    pub(super) path: String,
    /// All that has to be the same when it comes again.
    pub(super) payload: Vec<u8>,
    /// The step that it undoes.
    pub(super) step: Option<String>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Begun {
    /// It runs, under this number.
    Run(i64),
    /// It has been answered.
    Kept(Answer),
    /// It, or the step it undoes, is running; worth another look after so many seconds.
    Running(u64),
    /// The key is another call's.
    Another,
    /// Its undo came first.
    Undone,
    /// An undo of what never took effect. The answer is kept: 204.
    Nothing,
}

/// Who asks, and when.
pub(super) struct Desk<'a> {
    /// This layer, of all that share the file.
    pub(super) owner: i64,
    pub(super) now_ms: i64,
    pub(super) lease_ms: i64,
    /// The calls that handlers of this layer have in hand.
    pub(super) live: &'a HashSet<i64>,
}

impl Desk<'_> {
    /// The seconds to wait for a running call, at least 1; `None` if nobody has it any more.
    fn wait(&self, id: i64, until_ms: i64) -> Option<u64> {
        if self.live.contains(&id) {
            return Some(1);
        }
        let left = u64::try_from(until_ms.saturating_sub(self.now_ms)).ok()?;
        (left > 0).then(|| left.div_ceil(1_000))
    }

    pub(super) fn begin(&self, db: &Connection, call: &Call) -> rusqlite::Result<Begun> {
        let own = self.own(db, call)?;
        match &own {
            Some(kept) if kept.payload != call.payload => return Ok(Begun::Another),
            _ => {}
        }
        if call.step.is_none() && is_undone(db, call)? {
            return Ok(Begun::Undone);
        }
        if let Some(kept) = own {
            if kept.state == "answered" {
                return Ok(Begun::Kept(kept.answer));
            }
            if kept.state == "running"
                && let Some(seconds) = self.wait(kept.id, kept.until_ms)
            {
                return Ok(Begun::Running(seconds));
            }
        }
        if let Some(step) = &call.step {
            // First of all: no further attempt of the step may begin, whatever becomes of the undo.
            let sql = "INSERT INTO tombstones VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms";
            db.prepare_cached(sql)?
                .execute(params![call.caller, step, self.now_ms])?;
            match self.step(db, &call.caller, step)? {
                Step::Running(seconds) => return Ok(Begun::Running(seconds)),
                Step::Clean => {
                    let id = self.mark(db, call)?;
                    let answer = Answer {
                        status: 204,
                        headers: vec![],
                        body: vec![],
                    };
                    self.settle(db, id, &answer)?;
                    return Ok(Begun::Nothing);
                }
                Step::MaybeApplied => {}
            }
        }
        Ok(Begun::Run(self.mark(db, call)?))
    }

    fn own(&self, db: &Connection, call: &Call) -> rusqlite::Result<Option<Kept>> {
        let sql = "SELECT id, payload, state, until_ms, status, headers, body FROM calls
                   WHERE caller = ?1 AND key = ?2 AND method = ?3 AND path = ?4";
        let Call {
            caller,
            key,
            method,
            path,
            ..
        } = call;
        db.prepare_cached(sql)?
            .query_row([caller, key, method, path], Kept::read)
            .optional()
    }

    /// What is known of a step that is to be undone, on all its routes.
    fn step(&self, db: &Connection, caller: &str, key: &str) -> rusqlite::Result<Step> {
        let sql = "SELECT id, state, until_ms, status, attempts FROM calls
                   WHERE caller = ?1 AND key = ?2";
        let mut select = db.prepare_cached(sql)?;
        let mut rows = select.query([caller, key])?;
        let mut found = Step::Clean;
        while let Some(row) = rows.next()? {
            let (id, state): (i64, String) = (row.get(0)?, row.get(1)?);
            let status: Option<u16> = row.get(3)?;
            if state == "running"
                && let Some(seconds) = self.wait(id, row.get(2)?)
            {
                return Ok(Step::Running(seconds));
            }
            // A no to the first attempt is certain. A no to a later one may be there because of what
            // the first has done; that, and all else, lost marks included, may have been applied.
            let is_first = row.get::<_, i64>(4)? == 1;
            let refused = status.is_some_and(|status| (400..500).contains(&status));
            if state != "answered" || !refused || !is_first {
                found = Step::MaybeApplied;
            }
        }
        Ok(found)
    }

    /// Takes the call in hand, new or again.
    fn mark(&self, db: &Connection, call: &Call) -> rusqlite::Result<i64> {
        let sql =
            "INSERT INTO calls (caller, key, method, path, payload, state, attempts, owner, until_ms,
                       at_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, 'running', 1, ?6, ?7, ?8)
                   ON CONFLICT DO UPDATE SET state = 'running', attempts = attempts + 1,
                       owner = excluded.owner, until_ms = excluded.until_ms,
                       at_ms = excluded.at_ms
                   RETURNING id";
        let Call {
            caller,
            key,
            method,
            path,
            payload,
            ..
        } = call;
        let until_ms = self.now_ms.saturating_add(self.lease_ms);
        let values = params![
            caller,
            key,
            method,
            path,
            payload,
            self.owner,
            until_ms,
            self.now_ms
        ];
        db.prepare_cached(sql)?.query_row(values, |row| row.get(0))
    }

    /// Keeps the answer, if the call is still in our hands.
    pub(super) fn settle(&self, db: &Connection, id: i64, answer: &Answer) -> rusqlite::Result<()> {
        let sql =
            "UPDATE calls SET state = 'answered', status = ?3, headers = ?4, body = ?5, at_ms = ?6
                   WHERE id = ?1 AND owner = ?2 AND state = 'running'";
        let Answer {
            status,
            headers,
            body,
        } = answer;
        db.prepare_cached(sql)?.execute(params![
            id,
            self.owner,
            status,
            headers,
            body,
            self.now_ms
        ])?;
        Ok(())
    }

    /// Gives the call back without an answer.
    pub(super) fn release(&self, db: &Connection, id: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE calls SET state = 'failed'
                   WHERE id = ?1 AND owner = ?2 AND state = 'running'";
        db.prepare_cached(sql)?.execute([id, self.owner])?;
        Ok(())
    }

    /// Lengthens the leases of all that is in our hands.
    pub(super) fn renew(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "UPDATE calls SET until_ms = ?3
                   WHERE id = ?1 AND owner = ?2 AND state = 'running'";
        let mut update = db.prepare_cached(sql)?;
        let until_ms = self.now_ms.saturating_add(self.lease_ms);
        for id in self.live {
            update.execute([*id, self.owner, until_ms])?;
        }
        Ok(())
    }

    /// Forgets some of what is older than that, and nothing that is running.
    pub(super) fn forget(&self, db: &Connection, keep_ms: i64) -> rusqlite::Result<()> {
        let before_ms = self.now_ms.saturating_sub(keep_ms);
        let sql = "DELETE FROM calls WHERE id IN (
                       SELECT id FROM calls WHERE at_ms < ?1
                           AND (state <> 'running' OR until_ms <= ?2)
                       ORDER BY at_ms LIMIT ?3)";
        db.prepare_cached(sql)?
            .execute([before_ms, self.now_ms, FORGOTTEN_AT_ONCE])?;
        let sql = "DELETE FROM tombstones WHERE (caller, key) IN (
                       SELECT caller, key FROM tombstones WHERE at_ms < ?1
                       ORDER BY at_ms LIMIT ?2)";
        db.prepare_cached(sql)?
            .execute([before_ms, FORGOTTEN_AT_ONCE])?;
        Ok(())
    }
}

/// Rows of a table that one commit forgets, at most.
const FORGOTTEN_AT_ONCE: i64 = 64;

enum Step {
    /// Never seen, or refused on every route at the first attempt.
    Clean,
    MaybeApplied,
    Running(u64),
}

struct Kept {
    id: i64,
    payload: Vec<u8>,
    state: String,
    until_ms: i64,
    answer: Answer,
}

impl Kept {
    fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
        let status: Option<u16> = row.get(4)?;
        let headers: Option<Vec<u8>> = row.get(5)?;
        let body: Option<Vec<u8>> = row.get(6)?;
        let answer = Answer {
            status: status.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            body: body.unwrap_or_default(),
        };
        Ok(Kept {
            id: row.get(0)?,
            payload: row.get(1)?,
            state: row.get(2)?,
            until_ms: row.get(3)?,
            answer,
        })
    }
}

fn is_undone(db: &Connection, call: &Call) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM tombstones WHERE caller = ?1 AND key = ?2")?
        .exists([&call.caller, &call.key])
}
