//! How one service calls another. This is the file to copy from.
//!
//! ```text
//! a step, from the outside in                      why it stands there
//!   Timeout    3 s    the whole call               the saga's caller is waiting
//!   Retry      3 x    only what may be repeated    every step has an idempotency key, so all may
//!   Breaker           sees each attempt            a dead service costs microseconds, not timeouts
//!   Bulkhead   16+32  calls at a time, in line     one slow service must not take all our memory
//!   Timeout    500 ms each attempt                 an answer that late is not coming
//! ```
//! An *undo* has none of it but the last. It must get through, sooner or later, so no breaker may
//! turn it away; and the saga scope repeats it far longer than a caller would wait.
mod step_error;

pub use step_error::{StepError, Why, broken};

use crate::{name::Name, service::ids::Ids, service::log::log};
use seawall::dialect::Http;
use seawall::retry::Backoff;
use seawall::{BuildError, Bulkhead, CircuitBreaker, Event, Pipeline, Retry, Timeout};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering::Relaxed},
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

/// One call of a saga: what it is about, and the key that makes its repetition harmless.
#[derive(Clone, Debug)]
pub struct Call {
    pub ids: Ids,
    /// `ORDER/STEP`.
    pub key: String,
}

/// A service that takes part in sagas. Clones share connections and policies.
#[derive(Clone)]
pub struct Participant {
    http: reqwest::Client,
    base: String,
    steps: Pipeline<Http>,
    undos: Pipeline<Http>,
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
            .with(Timeout::after(Duration::from_secs(3)).name("whole call"))
            .with(
                Retry::attempts(3).backoff(
                    Backoff::exponential(Duration::from_millis(20))
                        .max(Duration::from_millis(200))
                        .jitter(),
                ),
            )
            .with(&breaker)
            .with(Bulkhead::new(16).queue(32).name(name.as_str()))
            .with(Timeout::after(ATTEMPT).name("attempt"))
            .observer(changes.observer())
            .classify(Http)
            .build()?;
        for advice in steps.advice() {
            log!(Name::Orders, "pipeline {name}: {advice}");
        }
        let undos = Pipeline::builder(format!("undo at {name}"))
            .with(Timeout::after(ATTEMPT).name("attempt"))
            .classify(Http)
            .build()?;
        Ok(Participant {
            http,
            base,
            steps,
            undos,
            breaker,
            changes,
        })
    }

    /// Does a step: `POST path` with the call's key, as often as the pipeline likes.
    ///
    /// # Errors
    /// [`StepError`] tells whether the step may have been applied all the same.
    pub async fn step<T: DeserializeOwned>(
        &self,
        path: &str,
        call: &Call,
        body: &impl Serialize,
    ) -> Result<T, StepError> {
        // Raised by every attempt that may have been applied, however it ended: answered 500, cut
        // off, dropped by a timeout. One look at the last error would forget the attempts before.
        let doubt = AtomicBool::new(false);
        let answer = self
            .steps
            .run(|| async {
                let mut attempt = Attempt {
                    doubt: &doubt,
                    clean: false,
                };
                let sent = self
                    .http
                    .post(format!("{}{path}", self.base))
                    .headers(call.ids.headers())
                    .header("idempotency-key", &call.key)
                    .json(body);
                let answer = whole(sent).await;
                attempt.clean = match &answer {
                    // No connection came about.
                    Err(error) => error.is_connect(),
                    Ok(answer) => !answer.status().is_server_error(),
                };
                answer
            })
            .await;
        step_error::read(answer, doubt.load(Relaxed)).await
    }

    /// Undoes a step: `POST path/undo`, once. The saga scope repeats it.
    ///
    /// # Errors
    /// [`StepError`]; it is safe to send again.
    pub async fn undo(&self, path: &str, call: &Call) -> Result<(), StepError> {
        let answer = self
            .undos
            .run(|| {
                whole(
                    self.http
                        .post(format!("{}{path}/undo", self.base))
                        .headers(call.ids.headers())
                        .header("idempotency-key", format!("{}/undo", call.key))
                        .header("saga-step", &call.key),
                )
            })
            .await;
        step_error::read::<serde_json::Value>(answer, true)
            .await
            .map(drop)
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

/// Sends, and reads the whole answer, so that a body that breaks off counts as a failed attempt.
async fn whole(request: reqwest::RequestBuilder) -> reqwest::Result<reqwest::Response> {
    let mut answer = request.send().await?;
    let mut whole = http::Response::new(Vec::new());
    *whole.status_mut() = answer.status();
    *whole.headers_mut() = std::mem::take(answer.headers_mut());
    *whole.body_mut() = answer.bytes().await?.to_vec();
    Ok(whole.into())
}

/// An attempt under way. Dropped without having been found clean, it leaves its doubt behind.
struct Attempt<'a> {
    doubt: &'a AtomicBool,
    clean: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.clean {
            self.doubt.store(true, Relaxed);
        }
    }
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
