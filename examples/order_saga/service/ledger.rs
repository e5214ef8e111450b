//! What makes a participant safe to call again: a repeated key is the same call, and the undo of a
//! key that was never seen is remembered.
//!
//! | what comes | key unknown | applied | refused | undone |
//! |---|---|---|---|---|
//! | the step | its effect; the answer is kept | the kept answer | the kept answer | 409 |
//! | the step with other contents | – | 422 | 422 | 409 |
//! | its undo | a tombstone: the step will get 409 | the effect undone | a tombstone | nothing |
//!
//! An undo has a key of its own, under which it is the same call as well. The same key for the undo of
//! another step gets 422.
//!
//! Everything happens in the transaction of the effect itself. A ledger in a file of its own could
//! forget, in a crash, what has been done or do twice what it remembers.
use super::problem::Problem;
use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde_json::{Value, json};

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS ledger (
        key     TEXT PRIMARY KEY,
        state   TEXT NOT NULL CHECK (state IN ('applied', 'refused', 'undone')),
        request TEXT NOT NULL,
        status  INTEGER NOT NULL,
        answer  TEXT NOT NULL
    ) STRICT;
";

/// What a step answered, and will answer again.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn done(body: Value) -> Answer {
        Answer { status: 201, body }
    }

    /// The business says no. Such an effect must not have written anything.
    pub fn refused(status: StatusCode, why: impl Into<String>) -> Answer {
        Answer {
            status: status.as_u16(),
            body: json!({ "error": why.into() }),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body)).into_response()
    }
}

/// Applies `effect` under `key`, once.
pub fn apply(
    tx: &Transaction<'_>,
    key: &str,
    request: &impl Serialize,
    effect: impl FnOnce() -> rusqlite::Result<Answer>,
) -> rusqlite::Result<Answer> {
    let request = serde_json::to_string(request).unwrap_or_default();
    if let Some(kept) = find(tx, key)? {
        return Ok(if kept.state == "undone" {
            Answer::refused(StatusCode::CONFLICT, format!("`{key}` has been undone"))
        } else if kept.request != request {
            another(key)
        } else {
            kept.answer
        });
    }
    let answer = effect()?;
    let state = if answer.status < 400 {
        "applied"
    } else {
        "refused"
    };
    keep(tx, key, state, &request, &answer)?;
    Ok(answer)
}

/// Undoes the step `undo.step` with `effect`, once, and shuts its key for ever.
pub fn undo(
    tx: &Transaction<'_>,
    undo: &Undo,
    effect: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<Answer> {
    if let Some(kept) = find(tx, &undo.key)? {
        return Ok(if kept.request == undo.step {
            kept.answer
        } else {
            another(&undo.key)
        });
    }
    let step = find(tx, &undo.step)?;
    let was_applied = step.as_ref().is_some_and(|kept| kept.state == "applied");
    if was_applied {
        effect()?;
    }
    let request = step.map(|kept| kept.request).unwrap_or_default();
    let tombstone = Answer::done(Value::Null);
    keep(tx, &undo.step, "undone", &request, &tombstone)?;
    let answer = Answer::done(json!({ "undone": was_applied }));
    keep(tx, &undo.key, "applied", &undo.step, &answer)?;
    Ok(answer)
}

fn another(key: &str) -> Answer {
    let why = format!("`{key}` was used for another request");
    Answer::refused(StatusCode::UNPROCESSABLE_ENTITY, why)
}

struct Kept {
    state: String,
    request: String,
    answer: Answer,
}

fn find(tx: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<Kept>> {
    let sql = "SELECT state, request, status, answer FROM ledger WHERE key = ?1";
    tx.prepare_cached(sql)?
        .query_row([key], |row| {
            let body: String = row.get(3)?;
            Ok(Kept {
                state: row.get(0)?,
                request: row.get(1)?,
                answer: Answer {
                    status: row.get(2)?,
                    body: serde_json::from_str(&body).unwrap_or_default(),
                },
            })
        })
        .optional()
}

fn keep(
    tx: &Transaction<'_>,
    key: &str,
    state: &str,
    request: &str,
    answer: &Answer,
) -> rusqlite::Result<()> {
    let body = answer.body.to_string();
    tx.prepare_cached("INSERT OR REPLACE INTO ledger VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![key, state, request, answer.status, body])?;
    Ok(())
}

/// The `Idempotency-Key` of a step. A request without one is refused: it could not be repeated.
pub struct Key(pub String);

/// An undo: its own key, and the key of the step it undoes, from `Saga-Step`.
pub struct Undo {
    pub key: String,
    pub step: String,
}

fn header(headers: &HeaderMap, name: &str) -> Result<String, Problem> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    match value {
        Some(value) if (1..=200).contains(&value.len()) => Ok(value.to_owned()),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the header {name} is needed, of 1 to 200 characters"),
        )),
    }
}

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Key, Problem> {
        header(&parts.headers, "idempotency-key").map(Key)
    }
}

impl<S: Sync> FromRequestParts<S> for Undo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Undo, Problem> {
        Ok(Undo {
            key: header(&parts.headers, "idempotency-key")?,
            step: header(&parts.headers, "saga-step")?,
        })
    }
}
