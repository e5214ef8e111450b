//! The log of orders: their events, which are the truth, and snapshots, which only save reading them.
//!
//! Each order has versions of its own, 1, 2, 3 and so on, one an event. Whoever appends says which
//! version the decision was made at; if another event has come in between, nothing is written.
use super::order::{Order, OrderEvent};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

pub const SCHEMA: &str = r#"
    CREATE TABLE IF NOT EXISTS order_events (
        "order" TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version > 0),
        at      INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)), -- UTC, ms
        event   TEXT NOT NULL,
        PRIMARY KEY ("order", version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS order_snapshots (
        "order" TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        shape   INTEGER NOT NULL,
        state   TEXT NOT NULL
    ) STRICT;
"#;

/// The form of a snapshot. One of another form is not read, and replaced when the next is due: so
/// whoever changes [`Order`] or its fold raises this number, and need not convert anything.
pub const SHAPE: u32 = 1;

/// An order and the number of events that made it; version 0 is an order that was never placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    pub order: Order,
    pub version: u32,
}

/// Why the log could not be read or written. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Read the order again and decide anew.
    #[error(
        "order `{order}` is at version {found} and no longer at {expected}: another event came in between"
    )]
    Conflict {
        order: String,
        expected: u32,
        found: u32,
    },
    #[error(
        "order `{order}`: event {version} is missing from the table `order_events`; \
         bring it back from a copy of the database"
    )]
    Missing { order: String, version: u32 },
    #[error(
        "order `{order}`: event {version} in the table `order_events` cannot be read; \
         was it written by a newer release? Start that one, or mend the row"
    )]
    Unreadable {
        order: String,
        version: u32,
        source: serde_json::Error,
    },
    #[error("the event or snapshot cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// The order as it stands: its snapshot, and what has happened since.
pub fn load(c: &Connection, key: &str) -> Result<Versioned, LogError> {
    match snapshot(c, key)? {
        Some(start) => go_on(c, start),
        None => replay(c, key),
    }
}

/// The same from its events alone.
pub fn replay(c: &Connection, key: &str) -> Result<Versioned, LogError> {
    let order = Order::unplaced(key.to_owned());
    go_on(c, Versioned { order, version: 0 })
}

/// Appends what was decided at `at`, and gives the order as it is now. Every `snapshot_every`th event
/// leaves a snapshot in the same transaction; with 0 there are none.
pub fn append(
    tx: &Transaction<'_>,
    mut at: Versioned,
    event: &OrderEvent,
    snapshot_every: u32,
) -> Result<Versioned, LogError> {
    let key = at.order.key.clone();
    let sql = r#"SELECT COALESCE(MAX(version), 0) FROM order_events WHERE "order" = ?1"#;
    let found: u32 = tx
        .prepare_cached(sql)?
        .query_row([&key], |row| row.get(0))?;
    if found < at.version {
        let version = found + 1;
        return Err(LogError::Missing {
            order: key,
            version,
        });
    }
    if found != at.version {
        return Err(LogError::Conflict {
            order: key,
            expected: at.version,
            found,
        });
    }
    at.version += 1;
    at.order.apply(event);
    let event = serde_json::to_string(event).map_err(LogError::Unwritable)?;
    let sql = r#"INSERT INTO order_events ("order", version, event) VALUES (?1, ?2, ?3)"#;
    tx.prepare_cached(sql)?
        .execute(params![key, at.version, event])?;
    if at.version.is_multiple_of(snapshot_every) {
        keep(tx, &at)?;
    }
    Ok(at)
}

/// Every order there is, from its events alone, one at a time.
pub fn replay_all(
    c: &Connection,
    mut each: impl FnMut(Order) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let mut keys = c.prepare(r#"SELECT DISTINCT "order" FROM order_events ORDER BY "order""#)?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        each(replay(c, &key)?.order)?;
    }
    Ok(())
}

/// Applies the events after `at`, without a gap.
fn go_on(c: &Connection, mut at: Versioned) -> Result<Versioned, LogError> {
    let sql = r#"SELECT version, event FROM order_events WHERE "order" = ?1 AND version > ?2
                 ORDER BY version"#;
    let mut events = c.prepare_cached(sql)?;
    let mut rows = events.query(params![at.order.key, at.version])?;
    while let Some(row) = rows.next()? {
        let (found, event): (u32, String) = (row.get(0)?, row.get(1)?);
        let (order, version) = (at.order.key.clone(), at.version + 1);
        if found != version {
            return Err(LogError::Missing { order, version });
        }
        let event = serde_json::from_str(&event).map_err(|source| LogError::Unreadable {
            order,
            version,
            source,
        })?;
        at.order.apply(&event);
        at.version = version;
    }
    Ok(at)
}

/// What a snapshot holds. The code is no part of an order's JSON, which customers see.
#[derive(Deserialize, Serialize)]
struct State {
    order: Order,
    code: u16,
}

/// A snapshot that cannot be read is as good as none: the events have it all.
fn snapshot(c: &Connection, key: &str) -> Result<Option<Versioned>, LogError> {
    let sql = r#"SELECT version, state FROM order_snapshots WHERE "order" = ?1 AND shape = ?2"#;
    let row: Option<(u32, String)> = c
        .prepare_cached(sql)?
        .query_row(params![key, SHAPE], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.and_then(|(version, state)| {
        let State { order, code } = serde_json::from_str(&state).ok()?;
        let order = Order { code, ..order };
        Some(Versioned { order, version })
    }))
}

fn keep(tx: &Transaction<'_>, at: &Versioned) -> Result<(), LogError> {
    let state = State {
        order: at.order.clone(),
        code: at.order.code,
    };
    let state = serde_json::to_string(&state).map_err(LogError::Unwritable)?;
    tx.prepare_cached("INSERT OR REPLACE INTO order_snapshots VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![at.order.key, at.version, SHAPE, state])?;
    Ok(())
}
