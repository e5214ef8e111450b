use axum::http::StatusCode;
use seawall::Rejected;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why a step has no good answer.
#[derive(Debug)]
pub struct StepError {
    pub why: Why,
    /// The step may have been applied: it has to be undone. `false` is certain.
    pub maybe_applied: bool,
}

/// What there is instead of a good answer.
#[derive(Debug)]
pub enum Why {
    /// A policy refused, or gave up waiting.
    Refused(Rejected),
    /// No answer, or not all of it.
    Broken(reqwest::Error),
    /// The service said no (4xx), or failed (5xx).
    Answered { status: StatusCode, message: String },
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Refused(refused) => refused.fmt(f),
            Why::Broken(error) => f.write_str(broken(error)),
            Why::Answered { status, message } => write!(f, "{message} ({})", status.as_u16()),
        }
    }
}

impl std::error::Error for StepError {}

/// reqwest's errors in a few words.
pub fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "cannot be reached"
    } else if error.is_timeout() {
        "took too long"
    } else if error.is_body() || error.is_decode() {
        "broke off in the middle of its answer"
    } else {
        "hung up"
    }
}

/// The answer of a guarded call, as a value or as what went wrong.
pub async fn read<T: DeserializeOwned>(
    answer: Result<reqwest::Response, seawall::Error<reqwest::Error>>,
    doubt: bool,
) -> Result<T, StepError> {
    let unclear = |why| StepError {
        why,
        maybe_applied: doubt,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(seawall::Error::Rejected(refused)) => return Err(unclear(Why::Refused(refused))),
        Err(seawall::Error::Inner(error)) => return Err(unclear(Why::Broken(error))),
    };
    let status = answer.status();
    if status.is_success() {
        return answer.json().await.map_err(|e| StepError {
            why: Why::Broken(e),
            maybe_applied: true,
        });
    }
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    let message = body.get("error").and_then(|text| text.as_str());
    let why = Why::Answered {
        status,
        message: message.unwrap_or("no reason given").to_owned(),
    };
    Err(StepError {
        why,
        // The participant's ledger answers all attempts of a key alike. So its no is the answer to
        // the attempts that were in doubt, too.
        maybe_applied: doubt && !status.is_client_error(),
    })
}
