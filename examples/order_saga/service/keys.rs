//! A participant's keys over HTTP: what comes in headers, and how the library's `Ledger` is answered.
//!
//! Each service has a ledger for each of its actions, and calls it in the transaction of the effect.
//!
//! | the ledger says | status |
//! |---|---|
//! | `Fresh`, `Replayed` | what the effect answered: 201, or its own no |
//! | `Mismatch` | 422 |
//! | `Undone` | 410 |
use super::problem::Problem;
use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use seawall::saga::ledger::{Effect, Reply, UndoReply};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a step answered, and will answer again.
#[derive(Debug, Deserialize, Serialize)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn done(body: Value) -> Effect<Answer> {
        Effect::Applied(Answer { status: 201, body })
    }

    /// The business says no.
    pub fn refused(status: StatusCode, why: impl Into<String>) -> Effect<Answer> {
        Effect::Refused(Answer::no(status, why))
    }

    fn no(status: StatusCode, why: impl Into<String>) -> Answer {
        Answer {
            status: status.as_u16(),
            body: json!({ "error": why.into() }),
        }
    }

    fn of_another_request() -> Answer {
        let why = "the key was used for another request";
        Answer::no(StatusCode::UNPROCESSABLE_ENTITY, why)
    }
}

impl From<Reply<Answer>> for Answer {
    fn from(reply: Reply<Answer>) -> Answer {
        match reply {
            Reply::Fresh(effect) | Reply::Replayed(effect) => effect.into_answer(),
            Reply::Mismatch => Answer::of_another_request(),
            Reply::Undone => Answer::no(StatusCode::GONE, "it was called off before it came"),
        }
    }
}

impl From<UndoReply> for Answer {
    fn from(reply: UndoReply) -> Answer {
        match reply {
            UndoReply::Fresh { undone } | UndoReply::Replayed { undone } => {
                Answer::done(json!({ "undone": undone })).into_answer()
            }
            UndoReply::Mismatch => Answer::of_another_request(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body)).into_response()
    }
}

/// The `Idempotency-Key` of a step. A request without one is refused: it could not be repeated.
pub struct Key(pub String);

/// An undo: its own key, and the key of the step it undoes, from `Saga-Step`.
pub struct Undo {
    pub key: String,
    pub step: String,
}

/// How long a key may be is for the ledger to say.
fn header(headers: &HeaderMap, name: &str) -> Result<String, Problem> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let needed = || {
        let why = format!("the header {name} is needed, in plain ASCII");
        Problem::new(StatusCode::BAD_REQUEST, why)
    };
    value.map(str::to_owned).ok_or_else(needed)
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
