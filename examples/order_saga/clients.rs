//! How one service calls another. This is the file to copy from.
//!
//! ```text
//! a step, from the outside in                       why it stands there
//!   Timeout    5 s      the wait in line, too       a step that waits longer does so in the journal
//!   Breaker             sees each attempt           a dead service costs microseconds, not timeouts
//!   Bulkhead   16+1024  calls at a time, in line    one slow service must not take all our memory
//!   Timeout    500 ms   each attempt                an answer that late is not coming
//! ```
//! There is no `Retry` in it: the engine repeats a step, counts its attempts in the journal, and uses
//! none where a policy turned the call away before it was sent. Retries of retries would multiply.
//!
//! An *undo*, and the question what became of a call, have nothing of it but the last timeout. They
//! must get through, sooner or later, so no breaker may turn them away.
use crate::{name::Name, service::ids::Ids, service::log::log, service::log::now};
use axum::http::StatusCode;
use seawall::dialect::Http;
use seawall::saga::{Failure, StepContext};
use seawall::{BuildError, Bulkhead, CircuitBreaker, Error, Event, Pipeline, Timeout};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The connections that all clients of a process share.
pub fn connections() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        // A proxy of the environment has no business between services on one machine.
        .no_proxy()
        // A step must reach the service it was meant for, or nobody.
        .redirect(reqwest::redirect::Policy::none())
        // The last resort, for a body that never ends. Pipelines are much quicker.
        .timeout(Duration::from_secs(30))
        .build()
}

/// A service that takes part in sagas. Clones share connections and policies.
#[derive(Clone)]
pub struct Participant {
    http: reqwest::Client,
    base: String,
    steps: Pipeline<Http>,
    patient: Pipeline<Http>,
    breaker: CircuitBreaker,
    changes: Changes,
}

impl Participant {
    /// The client of the service `name` at `base`.
    ///
    /// # Errors
    /// Settings that make no sense, all of them at once.
    pub fn new(name: Name, base: String, http: reqwest::Client) -> Result<Participant, BuildError> {
        let changes = Changes::default();
        let breaker = CircuitBreaker::new(name.as_str())
            .consecutive_failures(8)
            .failure_rate(0.5)
            .count_window(50)
            .minimum_calls(20)
            .break_for(Duration::from_secs(1))
            .half_open_probes(1)
            .build()?;
        let steps = Pipeline::builder(name.as_str())
            .with(Timeout::after(Duration::from_secs(5)).name("whole call"))
            .with(&breaker)
            .with(Bulkhead::new(16).queue(1_024).name(name.as_str()))
            .with(Timeout::after(ATTEMPT).name("attempt"))
            .observer(changes.observer())
            .classify(Http)
            .build()?;
        for advice in steps.advice() {
            log!(Name::Orders, "pipeline {name}: {advice}");
        }
        let patient = Pipeline::builder(format!("undo at {name}"))
            .with(Timeout::after(ATTEMPT).name("attempt"))
            .classify(Http)
            .build()?;
        Ok(Participant {
            http,
            base,
            steps,
            patient,
            breaker,
            changes,
        })
    }

    /// Does a step, once: `POST path` with the step's key.
    ///
    /// # Errors
    /// What is known of its effect.
    pub async fn step<T: DeserializeOwned>(
        &self,
        cx: &StepContext,
        ids: &Ids,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let post = || {
            self.http
                .post(format!("{}{path}", self.base))
                .headers(ids.headers())
                .header("idempotency-key", cx.idempotency_key())
                .json(body)
        };
        let answer = self.steps.run(|| whole(post())).await;
        let answer = answer.map_err(|error| match error {
            // No connection came about, so nobody has heard of it.
            Error::Inner(e) if e.is_connect() => Failure::transient(broken(&e)),
            Error::Inner(e) => Failure::unknown(broken(&e)),
            refused => Failure::only_call(refused),
        })?;
        if answer.status().is_success() {
            return Ok(answer.json().await?);
        }
        Err(match told(answer).await {
            // The key has come before with other contents, an earlier release's perhaps. What that
            // call did stands.
            (StatusCode::UNPROCESSABLE_ENTITY, no) => Failure::unknown(no),
            // The participant's ledger answers all attempts of a key alike. So its no is the answer
            // to attempts before this one, whose answers were lost, too.
            (status, no) if status.is_client_error() => Failure::never_applied(no),
            // What our services answer before they have looked at a request.
            (StatusCode::SERVICE_UNAVAILABLE, no) => Failure::transient(no),
            (_, no) => Failure::unknown(no),
        })
    }

    /// Undoes the step with this key: `POST path/undo`.
    ///
    /// # Errors
    /// It is safe to send again.
    pub async fn undo(&self, step: &str, ids: &Ids, path: &str) -> Result<(), Failure> {
        let post = || {
            self.http
                .post(format!("{}{path}/undo", self.base))
                .headers(ids.headers())
                .header("idempotency-key", format!("{step}/undo"))
                .header("saga-step", step)
        };
        let answer = self.patiently(post).await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(Failure::unknown(told(answer).await.1)),
        }
    }

    /// Asks what became of the step with this key: `GET path?step=`. `None`: nothing, up to now.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn find<T: DeserializeOwned>(
        &self,
        step: &str,
        ids: &Ids,
        path: &str,
    ) -> Result<Option<T>, Failure> {
        let get = || {
            self.http
                // A step's key is of plain characters and slashes.
                .get(format!("{}{path}?step={step}", self.base))
                .headers(ids.headers())
        };
        let answer = self.patiently(get).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer.json().await?)),
            _ => Err(Failure::unknown(told(answer).await.1)),
        }
    }

    /// Sends it. Where nobody is there it waits a while for the service to come back: an attempt that
    /// nobody saw should not count as one.
    async fn patiently(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let begun = now();
        loop {
            match self.patient.run(|| whole(request())).await {
                Err(Error::Inner(e)) if e.is_connect() && begun.elapsed() < OUTAGE => {
                    pause(Duration::from_millis(100)).await;
                }
                Err(Error::Inner(e)) => return Err(Failure::unknown(broken(&e))),
                answer => return answer.map_err(Failure::only_call),
            }
        }
    }

    /// The breaker's state, in a word.
    pub fn state(&self) -> &'static str {
        self.breaker.state().as_str()
    }

    /// Which states the breaker has gone through.
    pub fn history(&self) -> Vec<String> {
        self.changes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// How long a service may take to answer.
const ATTEMPT: Duration = Duration::from_millis(500);
/// How long one attempt of an undo waits for a service that is not there.
const OUTAGE: Duration = Duration::from_secs(5);

/// Sends, and reads the whole answer, so that a body that breaks off counts as a failed attempt.
async fn whole(request: reqwest::RequestBuilder) -> reqwest::Result<reqwest::Response> {
    let mut answer = request.send().await?;
    let mut whole = http::Response::new(Vec::new());
    *whole.status_mut() = answer.status();
    *whole.headers_mut() = std::mem::take(answer.headers_mut());
    *whole.body_mut() = answer.bytes().await?.to_vec();
    Ok(whole.into())
}

/// A no, as `out of stock (409)`.
async fn told(answer: reqwest::Response) -> (StatusCode, String) {
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    let why = body.get("error").and_then(|text| text.as_str());
    let why = why.unwrap_or("no reason given");
    (status, format!("{why} ({})", status.as_u16()))
}

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

#[allow(clippy::disallowed_methods, reason = "it waits for others")]
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// What an observer has heard of a breaker.
#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Vec<String>>>);

impl Changes {
    fn observer(&self) -> impl seawall::Observer + use<> {
        let Changes(changes) = self.clone();
        move |_: seawall::Name, event: &Event<'_>| {
            if let Event::StateChanged {
                policy, from, to, ..
            } = event
            {
                let (from, to) = (from.as_str(), to.as_str());
                log!(Name::Orders, "breaker {policy}: {from} -> {to}");
                changes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(to.to_owned());
            }
        }
    }
}
