//! One line a request, on stderr, which the parent process has made `DIR/NAME.log`.
use super::ids::Ids;
use crate::name::Name;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::Response,
};
use std::{
    fmt::Arguments,
    io::{self, Write as _},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A log line of a service.
macro_rules! log {
    ($service:expr, $($text:tt)*) => {
        $crate::service::log::line($service, format_args!($($text)*))
    };
}
pub(crate) use log;

pub fn line(service: Name, text: Arguments<'_>) {
    // In one piece: a process that is killed leaves no half of a line.
    let line = format!("{} {service:<13} {text}\n", clock());
    // A full disk stops no service, as it would with `eprintln!`.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Gives the request its ids, hands them to the handler and back to the caller, and writes the line.
pub async fn trace(State(service): State<Name>, mut request: Request, next: Next) -> Response {
    let ids = Ids::of(request.headers());
    let mut line = Line {
        service,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        key: key(request.headers()),
        ids: ids.clone(),
        begun: now(),
        status: None,
    };
    request.extensions_mut().insert(ids.clone());
    let mut response = next.run(request).await;
    line.status = Some(response.status().as_u16());
    response.headers_mut().extend(ids.headers());
    response
}

/// Written when it is dropped, so that a request whose caller has hung up leaves a line too.
struct Line {
    service: Name,
    method: Method,
    path: String,
    key: String,
    ids: Ids,
    begun: Instant,
    status: Option<u16>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) => status.to_string(),
            None => "hung-up".to_owned(),
        };
        let Line {
            method,
            path,
            key,
            ids,
            begun,
            ..
        } = self;
        let ms = millis(begun.elapsed());
        let Ids {
            request,
            correlation,
        } = ids;
        log!(
            self.service,
            "{method} {path} {status} {ms} key={key} request={request} correlation={correlation}"
        );
    }
}

fn key(headers: &HeaderMap) -> String {
    let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok());
    key.unwrap_or("-").to_owned()
}

/// A span as people read it.
pub fn millis(span: Duration) -> String {
    match span.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros => format!("{} ms", micros / 1_000),
    }
}

/// Now, for measuring.
#[allow(clippy::disallowed_methods, reason = "an example measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day in UTC, to the millisecond.
#[allow(
    clippy::disallowed_methods,
    reason = "a log line tells the time of day"
)]
fn clock() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (s, ms) = (since.as_secs() % 86_400, since.subsec_millis());
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}
