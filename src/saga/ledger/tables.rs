//! The ledger's rows.
//!
//! ```text
//! state     key of     payload                  answer
//! applied   a step     its payload, JSON        the answer, JSON
//! refused   a step     its payload, JSON        the answer, JSON
//! undone    a step     as before, or ''         null            the tombstone
//! undo      an undo    the key of its step      true | false    was there anything to undo?
//! ```
use super::LedgerError;
use rusqlite::{Connection, OptionalExtension as _, params};

/// The version of these tables.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS seawall_ledger (
        action  TEXT NOT NULL,
        key     TEXT NOT NULL,
        state   TEXT NOT NULL,
        payload TEXT NOT NULL,
        answer  TEXT NOT NULL,
        at_ms   INTEGER NOT NULL,
        PRIMARY KEY (action, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS seawall_ledger_at ON seawall_ledger (at_ms);
    CREATE TABLE IF NOT EXISTS seawall_ledger_version (
        only    INTEGER PRIMARY KEY CHECK (only = 1),
        version INTEGER NOT NULL
    ) STRICT;
";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Applied,
    Refused,
    Undone,
    Undo,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Refused => "refused",
            State::Undone => "undone",
            State::Undo => "undo",
        }
    }

    fn read(text: &str) -> Option<State> {
        [State::Applied, State::Refused, State::Undone, State::Undo]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

pub(super) struct Kept {
    pub(super) state: State,
    pub(super) payload: String,
    pub(super) answer: String,
}

pub(super) fn create(db: &Connection) -> Result<(), LedgerError> {
    // Looked at before anything is written: a newer file stays as it is.
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'seawall_ledger_version'";
    let there: Option<i64> = db.query_row(sql, [], |row| row.get(0)).optional()?;
    if there.is_some() {
        let sql = "SELECT max(version) FROM seawall_ledger_version";
        let found: Option<i64> = db.query_row(sql, [], |row| row.get(0))?;
        if let Some(found) = found.filter(|found| *found > VERSION) {
            let known = VERSION;
            return Err(LedgerError::NewerSchema { found, known });
        }
    }
    db.execute_batch(TABLES)?;
    let sql = "INSERT OR IGNORE INTO seawall_ledger_version VALUES (1, ?1)";
    db.execute(sql, [VERSION])?;
    Ok(())
}

pub(super) fn find(
    db: &Connection,
    action: &'static str,
    key: &str,
) -> Result<Option<Kept>, LedgerError> {
    let sql = "SELECT state, payload, answer FROM seawall_ledger WHERE action = ?1 AND key = ?2";
    let row: Option<(String, String, String)> = db
        .prepare_cached(sql)?
        .query_row([action, key], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((state, payload, answer)) = row else {
        return Ok(None);
    };
    let state = State::read(&state).ok_or_else(|| LedgerError::Unreadable {
        action,
        key: key.to_owned(),
        what: "state",
        source: None,
    })?;
    Ok(Some(Kept {
        state,
        payload,
        answer,
    }))
}

/// Keeps it, in place of what was kept for the same key.
pub(super) fn keep(
    db: &Connection,
    action: &str,
    key: &str,
    kept: &Kept,
    now_ms: i64,
) -> Result<(), LedgerError> {
    let (state, payload, answer) = (kept.state.as_str(), &kept.payload, &kept.answer);
    db.prepare_cached("INSERT OR REPLACE INTO seawall_ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![action, key, state, payload, answer, now_ms])?;
    Ok(())
}

pub(super) fn forget(db: &Connection, before_ms: i64, limit: usize) -> Result<usize, LedgerError> {
    let sql = "DELETE FROM seawall_ledger WHERE (action, key) IN (
                   SELECT action, key FROM seawall_ledger WHERE at_ms < ?1
                   ORDER BY at_ms LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(db.prepare_cached(sql)?.execute([before_ms, limit])?)
}
