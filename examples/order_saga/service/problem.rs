//! What a service answers when it cannot do what was asked: a status, and one sentence as JSON.
use axum::{
    Json,
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use seawall::saga::ledger::LedgerError;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

/// An answer that is not a success.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Problem {
        Problem {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    /// When to come back, for the caller's `Retry-After`.
    pub fn retry_after(mut self, after: Option<Duration>) -> Problem {
        self.retry_after = after;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.message }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: whoever comes back then is not too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON body. axum's `Json`, but what is wrong with it is told like everything else.
pub struct Contents<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Contents<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Contents<T>, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(contents)) => Ok(Contents(contents)),
            Err(why) => Err(Problem::new(why.status(), why.body_text())),
        }
    }
}

/// A database that fails is nobody's fault but ours; a key that is too long is the caller's.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Problem {
        let status = match error.downcast_ref() {
            Some(LedgerError::Key(_)) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, format!("{error:#}"))
    }
}
