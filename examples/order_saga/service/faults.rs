//! Failures on purpose, in front of a service's handlers.
//!
//! The story sets them by `POST /admin/faults`. A bulk run gives a rate and a seed instead: then what
//! happens to the n-th attempt of a call follows from the seed, the service, the correlation id, the
//! path and n, and from nothing else, so a run can be repeated (keys of steps are random). After
//! [`MOST_IN_A_ROW`] bad attempts of one call the next are left alone: faults here pass, as most do.
use super::{log::log, problem::Contents, problem::Problem};
use crate::name::Name;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
    routing,
};
use serde::Deserialize;
use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// Set by hand. Each `POST` replaces all of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Answers 503 to everything.
    pub down: bool,
    /// Everything waits this long before it is looked at.
    pub delay_ms: u64,
    /// So many steps are applied, and then answered 500.
    pub lose_answers: u32,
    /// So many undos are answered 503 and not applied.
    pub refuse_undos: u32,
}

/// What goes wrong in this service.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    service: Name,
    rate: f64,
    seed: u64,
    plan: Mutex<Plan>,
    attempts: Mutex<HashMap<String, u32>>,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// 503, nothing applied.
    Refuse,
    /// Applied, then 500.
    Lose,
    /// Applied, then the connection ends in the middle of the answer.
    Cut,
    /// Applied after this time, also when the caller has long given up.
    Slow(Duration),
}

/// Bad attempts of one call, one after the other.
const MOST_IN_A_ROW: u32 = 6;
/// Longer than a caller allows an attempt to take.
const TOO_SLOW: Duration = Duration::from_millis(700);

impl Faults {
    pub fn new(service: Name, rate: f64, seed: u64) -> Faults {
        Faults(Arc::new(Inner {
            service,
            rate,
            seed,
            plan: Mutex::default(),
            attempts: Mutex::default(),
        }))
    }

    /// Where the plan is set.
    pub fn admin(&self) -> Router {
        let set = async |State(faults): State<Faults>, Contents(plan): Contents<Plan>| {
            *lock(&faults.0.plan) = plan;
            StatusCode::NO_CONTENT
        };
        Router::new()
            .route("/admin/faults", routing::post(set))
            .with_state(self.clone())
    }

    fn decide(&self, request: &Request) -> Fault {
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        let key = header("idempotency-key");
        let planned = lock(&self.0.plan).next(key.is_some(), header("saga-step").is_some());
        match (planned, key) {
            (Fault::None, Some(_)) if self.0.rate > 0.0 => {
                let about = header("x-correlation-id").unwrap_or("-");
                self.seeded(&format!("{about}:{}", request.uri().path()))
            }
            (planned, _) => planned,
        }
    }

    fn seeded(&self, call: &str) -> Fault {
        let attempt = {
            let mut attempts = lock(&self.0.attempts);
            let attempt = attempts.entry(call.to_owned()).or_default();
            *attempt += 1;
            *attempt
        };
        if attempt > MOST_IN_A_ROW {
            return Fault::None;
        }
        let text = format!("{}|{call}|{attempt}", self.0.service);
        let draw = hash(self.0.seed, &text);
        if fraction(draw) >= self.0.rate {
            return Fault::None;
        }
        let fault = match hash(draw, "kind") % 4 {
            0 => Fault::Refuse,
            1 => Fault::Lose,
            2 => Fault::Cut,
            _ => Fault::Slow(TOO_SLOW),
        };
        log!(
            self.0.service,
            "on purpose: {fault:?} call={call} attempt={attempt}"
        );
        fault
    }
}

impl Plan {
    fn next(&mut self, is_keyed: bool, is_undo: bool) -> Fault {
        let (count, fault) = match is_undo {
            true => (&mut self.refuse_undos, Fault::Refuse),
            false => (&mut self.lose_answers, Fault::Lose),
        };
        if self.down {
            Fault::Refuse
        } else if is_keyed && *count > 0 {
            *count -= 1;
            fault
        } else if self.delay_ms > 0 {
            Fault::Slow(Duration::from_millis(self.delay_ms))
        } else {
            Fault::None
        }
    }
}

/// The middleware.
pub async fn inject(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    match faults.decide(&request) {
        Fault::None => next.run(request).await,
        Fault::Refuse => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "out of order").into_response()
        }
        Fault::Lose => {
            next.run(request).await;
            internal("something went wrong".to_owned())
        }
        Fault::Cut => {
            next.run(request).await;
            Body::new(Torn).into_response()
        }
        Fault::Slow(delay) => {
            // In a task of its own: when the caller hangs up, this handler is dropped, but a real
            // service may well be past the point where it would notice.
            let late = tokio::spawn(async move {
                wait(delay).await;
                next.run(request).await
            });
            late.await.unwrap_or_else(|e| internal(e.to_string()))
        }
    }
}

fn internal(why: String) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
}

/// A body that breaks off, and the connection with it.
struct Torn;

impl HttpBody for Torn {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}

#[allow(clippy::disallowed_methods, reason = "being slow is what is asked for")]
async fn wait(delay: Duration) {
    tokio::time::sleep(delay).await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// FNV-1a, then the finisher of SplitMix64, which spreads what FNV leaves in the low bits.
/// The same on every machine and in every version, unlike std's hasher.
pub fn hash(seed: u64, text: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in text.bytes() {
        h = (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// In 0.0..1.0.
fn fraction(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
