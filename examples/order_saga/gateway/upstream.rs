//! A service behind the gateway: reqwest's client as a tower service, with a pipeline in front.
//!
//! Requests here are what clients send, so what may be repeated is read from each of them: a GET may,
//! a POST only with an `Idempotency-Key` ([`Http`] does that). Writes are not retried at all: an
//! order is a saga with retries of its own, and retries of retries multiply.
use crate::{clients, name::Name, service::ids::Ids, service::problem::Problem};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Method, Request, Response};
use seawall::{
    BuildError, Bulkhead, CircuitBreaker, Flat, Guard, Pipeline, Rejected, Retry, Timeout,
    dialect::Http, policy::Outcome, retry::Backoff, service::CopyWith,
};
use std::time::Duration;
use tower::{Layer as _, ServiceExt as _};

/// reqwest's client behind a pipeline. The type a user spells, if at all.
type Guarded = Guard<reqwest::Client, Http, Flat, CopyWith<fn(&Request) -> Option<Request>>>;

/// One service behind the gateway.
pub struct Upstream {
    pub name: Name,
    base: String,
    reads: Guarded,
    writes: Guarded,
}

impl Upstream {
    pub fn new(name: Name, base: String, http: reqwest::Client) -> Result<Upstream, BuildError> {
        let breaker = CircuitBreaker::new(name.as_str())
            .consecutive_failures(8)
            .break_for(Duration::from_secs(1))
            .build()?;
        let reads = Pipeline::builder(format!("{name} reads"))
            .with(Timeout::after(Duration::from_secs(2)).name("whole call"))
            .with(
                Retry::attempts(3)
                    .backoff(Backoff::exponential(Duration::from_millis(20)).jitter())
                    // Who is slow has enough to do, and is not asked again.
                    .retry_if(|outcome| !matches!(outcome, Outcome::TimedOut)),
            )
            .with(&breaker)
            // A slow service fills its own bulkhead, and nobody else's.
            .with(Bulkhead::new(8).queue(8).name(name.as_str()))
            .with(Timeout::after(Duration::from_millis(500)).name("attempt"))
            .classify(Http)
            .build()?;
        let writes = Pipeline::builder(format!("{name} writes"))
            .with(Timeout::after(Duration::from_secs(20)).name("whole call"))
            .with(&breaker)
            // As many in all as `orders` takes. A saga is long, so they wait here in line.
            .with(Bulkhead::new(256).queue(768).name(name.as_str()))
            .classify(Http)
            .build()?;
        let copy: fn(&Request) -> Option<Request> = Request::try_clone;
        Ok(Upstream {
            name,
            base,
            reads: reads.layer_with(copy).layer(http.clone()),
            writes: writes.layer_with(copy).layer(http),
        })
    }

    /// A request to this service, with the ids of the request that causes it.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        ids: &Ids,
        user: &str,
    ) -> Result<Request, Problem> {
        let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "this path leads nowhere");
        let url = format!("{}{path}", self.base).parse().map_err(bad)?;
        let mut request = Request::new(method, url);
        request.headers_mut().extend(ids.headers());
        if let Ok(user) = HeaderValue::from_str(user) {
            request.headers_mut().insert("x-user", user);
        }
        Ok(request)
    }

    /// Sends it through the pipeline.
    ///
    /// # Errors
    /// 503 or 504 for what a policy refuses or cuts off, 502 for a service that is not there.
    pub async fn send(&self, request: Request) -> Result<Response, Problem> {
        let guarded = if request.method().is_safe() {
            &self.reads
        } else {
            &self.writes
        };
        guarded.clone().oneshot(request).await.map_err(|e| match e {
            seawall::Error::Rejected(refused) => refusal(&refused),
            seawall::Error::Inner(error) => self.broken(&error),
        })
    }

    /// The whole body, too.
    pub async fn fetch(
        &self,
        request: Request,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Problem> {
        let mut answer = self.send(request).await?;
        let headers = std::mem::take(answer.headers_mut());
        let status = answer.status();
        let body = answer.bytes().await.map_err(|e| self.broken(&e))?;
        Ok((status, headers, body.to_vec()))
    }

    fn broken(&self, error: &reqwest::Error) -> Problem {
        let why = format!("{} {}", self.name, clients::broken(error));
        Problem::new(StatusCode::BAD_GATEWAY, why)
    }
}

/// A refusal as an answer: 429, 503 or 504, and when to come back where that is known.
pub fn refusal(refused: &Rejected) -> Problem {
    Problem::new(refused.http_status(), refused.to_string()).retry_after(refused.retry_after())
}
