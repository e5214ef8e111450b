use super::{retry_after::retry_after, unsent::proves_unsent};
use crate::{Class, Classify, Inspect, Replay, clock};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use std::any::Any;

/// HTTP as RFC 9110 has it, over the `http` types and, with the feature `reqwest`, reqwest's.
///
/// # What may be repeated
/// Decided from the request, before it is sent.
///
/// | request | [`Replay`] |
/// |---|---|
/// | `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE` (idempotent: RFC 9110, 9.2.2) | `Always` |
/// | any method, with an `Idempotency-Key` that is not empty | `Always` |
/// | `POST`, `PATCH` and all others | `IfUnsent` |
/// | a reqwest request whose body is a stream | `Never` |
/// | the closure form, `run` | `Always`: the caller's promise |
/// | the closure form, `run_once` | `Never` |
///
/// A body that cannot be copied is sent once: guard reqwest's client with
/// `layer_with(reqwest::Request::try_clone)`.
///
/// # What an answer means
///
/// | answer | `Always` | `IfUnsent` | `Never` |
/// |---|---|---|---|
/// | 1xx, 2xx, 3xx | `Success` | `Success` | `Success` |
/// | 408, and 5xx but for the row below | `Transient` | `Failed` | `Failed` |
/// | 503 with a `Retry-After` that can be read | `Throttled(hint)` | `Failed` | `Throttled(hint)` |
/// | 429 | `Throttled(hint)` | `Throttled(hint)` | `Throttled(hint)` |
/// | other 4xx | `Permanent` | `Permanent` | `Permanent` |
/// | no connection came about | `Transient` | `Transient` | `Failed` |
/// | any other error: a reset, a timeout, a cut answer | `Transient` | `Failed` | `Failed` |
/// | reqwest: a request that could not be built | `Ignored` | `Ignored` | `Ignored` |
/// | reqwest: a redirect too many | `Permanent` | `Permanent` | `Permanent` |
///
/// - *429* says of the request that it was counted and turned away (RFC 6585, section 4), which is
///   the means RFC 9110 asks for to detect that it was never applied: a `POST` may follow.
/// - *503* is not such a proof. RFC 9110 (15.6.4) has the server be "unable to handle the request",
///   but gateways also answer 503 for a connection that broke after the request had gone through
///   (Envoy: "disconnect/reset before headers"). So a `POST` is not repeated, `Retry-After` or not.
/// - *503 with `Retry-After`* is a server that is still in command and asks for a pause, as 429
///   does. Only [`Class::Throttled`] carries a hint, so it is that, and no failure to a breaker.
/// - *408* may be sent for a gateway's own timeout behind which the request was done, so it is
///   repeated only where that is harmless.
///
/// `Retry-After` counts on 429 and 503 alone, in seconds or as an HTTP-date. A date that has passed
/// is zero, an unreadable value no hint.
///
/// # What is known of errors
/// Errors of any type will do. "No connection came about" is recognised in [`std::io::Error`] (a
/// refused connection), in boxed errors with such a source, and in reqwest's errors
/// (`is_connect`: also names that do not resolve, failed TLS handshakes, connect timeouts). An error
/// of another type counts as one after the request was sent; box it (`map_err(BoxError::from)`) and
/// its sources are read. A client that follows redirects may fail to connect to the *second*
/// server: turn that off for a `POST` that must not be repeated. Refused HTTP/2 streams are
/// repeated by reqwest itself; with another client they count as sent.
///
/// ```
/// use seawall::{Class, Classify, Inspect, Replay, dialect::Http};
///
/// let post = http::Request::post("/orders").body(())?;
/// let keyed = http::Request::post("/orders").header("idempotency-key", "7f3a").body(())?;
/// assert_eq!(Http.inspect(&post), Replay::IfUnsent);
/// assert_eq!(Http.inspect(&keyed), Replay::Always);
///
/// let failed: Result<_, std::io::Error> = Ok(http::Response::builder().status(500).body(())?);
/// assert_eq!(Http.classify(&failed, Replay::Always), Class::Transient);
/// assert_eq!(Http.classify(&failed, Replay::IfUnsent), Class::Failed);
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http;

impl<B> Inspect<http::Request<B>> for Http {
    fn inspect(&self, request: &http::Request<B>) -> Replay {
        of_request(request.method(), request.headers())
    }
}

/// All attempts of a step have the same key.
#[cfg(feature = "saga")]
#[cfg_attr(docsrs, doc(cfg(feature = "saga")))]
impl<Req> Inspect<crate::saga::StepCall<Req>> for Http {
    fn inspect(&self, _: &crate::saga::StepCall<Req>) -> Replay {
        Replay::Always
    }
}

impl<B, E: 'static> Classify<http::Response<B>, E> for Http {
    #[inline]
    fn classify(&self, result: &Result<http::Response<B>, E>, replay: Replay) -> Class {
        match result {
            Ok(answer) => of_answer(answer.status(), answer.headers(), replay),
            Err(e) => of_error(e, replay),
        }
    }
}

/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn of_request(method: &Method, headers: &HeaderMap) -> Replay {
    let keyed = || headers.get(IDEMPOTENCY_KEY).is_some_and(|k| !k.is_empty());
    if method.is_idempotent() || keyed() {
        Replay::Always
    } else {
        Replay::IfUnsent
    }
}

#[inline]
pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, replay: Replay) -> Class {
    if status.as_u16() < 400 {
        Class::Success
    } else {
        of_bad_answer(status, Some(headers), replay)
    }
}

/// `headers`: `None` where a client's error has kept the status and no more.
#[cold]
pub(super) fn of_bad_answer(
    status: StatusCode,
    headers: Option<&HeaderMap>,
    replay: Replay,
) -> Class {
    let hint = || headers.and_then(|headers| retry_after(headers, clock::wall));
    match status.as_u16() {
        429 => Class::Throttled(hint()),
        503 if replay != Replay::IfUnsent => match hint() {
            None => failure(replay),
            hint => Class::Throttled(hint),
        },
        408 | 500.. => failure(replay),
        400.. => Class::Permanent,
        _ => Class::Success,
    }
}

#[cold]
pub(super) fn of_error(error: &dyn Any, replay: Replay) -> Class {
    if replay == Replay::IfUnsent && proves_unsent(error) {
        Class::Transient
    } else {
        failure(replay)
    }
}

/// A failure after the request may have been handled.
pub(super) fn failure(replay: Replay) -> Class {
    match replay {
        Replay::Always => Class::Transient,
        Replay::IfUnsent | Replay::Never => Class::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Failed, Permanent, Success, Throttled, Transient};
    use std::{io, time::Duration};

    fn read(status: u16, retry_after: Option<&str>, replay: Replay) -> Class {
        let mut answer = http::Response::builder().status(status);
        if let Some(value) = retry_after {
            answer = answer.header("retry-after", value);
        }
        Http.classify(&Ok::<_, io::Error>(answer.body(()).unwrap()), replay)
    }

    #[test]
    fn answers_are_classed_as_the_table_says() {
        let pause = Throttled(Some(Duration::from_secs(9)));
        let table = [
            // status, Retry-After, Always, IfUnsent, Never
            (101, None, Success, Success, Success),
            (200, None, Success, Success, Success),
            (200, Some("9"), Success, Success, Success),
            (301, Some("9"), Success, Success, Success),
            (304, None, Success, Success, Success),
            (400, None, Permanent, Permanent, Permanent),
            (404, Some("9"), Permanent, Permanent, Permanent),
            (408, Some("9"), Transient, Failed, Failed),
            (413, Some("9"), Permanent, Permanent, Permanent),
            (425, None, Permanent, Permanent, Permanent),
            (429, None, Throttled(None), Throttled(None), Throttled(None)),
            (429, Some("9"), pause, pause, pause),
            (
                429,
                Some("soon"),
                Throttled(None),
                Throttled(None),
                Throttled(None),
            ),
            (500, Some("9"), Transient, Failed, Failed),
            (501, None, Transient, Failed, Failed),
            (502, None, Transient, Failed, Failed),
            (503, None, Transient, Failed, Failed),
            (503, Some("soon"), Transient, Failed, Failed),
            (503, Some("9"), pause, Failed, pause),
            (504, Some("9"), Transient, Failed, Failed),
            (599, None, Transient, Failed, Failed),
            (999, None, Transient, Failed, Failed),
        ];
        for (status, hint, always, if_unsent, never) in table {
            let read = |replay| read(status, hint, replay);
            assert_eq!(read(Replay::Always), always, "{status} {hint:?}");
            assert_eq!(read(Replay::IfUnsent), if_unsent, "{status} {hint:?}");
            assert_eq!(read(Replay::Never), never, "{status} {hint:?}");
        }
    }

    #[test]
    fn a_date_in_the_future_is_a_hint_and_one_in_the_past_is_none_to_wait_for() {
        let wall = clock::wall() + Duration::from_secs(600);
        let Throttled(Some(hint)) = read(503, Some(&httpdate::fmt_http_date(wall)), Replay::Always)
        else {
            panic!("a date is a hint");
        };
        assert!(hint > Duration::from_secs(590) && hint <= Duration::from_secs(600));
        let past = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            read(429, past, Replay::Always),
            Throttled(Some(Duration::ZERO))
        );
    }

    #[test]
    fn a_request_says_whether_it_may_be_repeated() {
        let table = [
            ("GET", None, Replay::Always),
            ("HEAD", None, Replay::Always),
            ("OPTIONS", None, Replay::Always),
            ("TRACE", None, Replay::Always),
            ("PUT", None, Replay::Always),
            ("DELETE", None, Replay::Always),
            ("POST", None, Replay::IfUnsent),
            ("PATCH", None, Replay::IfUnsent),
            ("CONNECT", None, Replay::IfUnsent),
            ("PURGE", None, Replay::IfUnsent),
            ("POST", Some("7f3a"), Replay::Always),
            ("PATCH", Some("7f3a"), Replay::Always),
            ("POST", Some(""), Replay::IfUnsent),
        ];
        for (method, key, expected) in table {
            let mut request = http::Request::builder().method(method);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let request = request.body(()).unwrap();
            assert_eq!(Http.inspect(&request), expected, "{method} {key:?}");
        }
    }

    #[test]
    fn an_error_is_repeated_as_the_request_allows() {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset};
        let table = [
            (ConnectionRefused, Replay::Always, Transient),
            (ConnectionRefused, Replay::IfUnsent, Transient),
            (ConnectionRefused, Replay::Never, Failed),
            (ConnectionReset, Replay::Always, Transient),
            (ConnectionReset, Replay::IfUnsent, Failed),
            (ConnectionReset, Replay::Never, Failed),
        ];
        for (kind, replay, class) in table {
            let result: Result<http::Response<()>, _> = Err(io::Error::from(kind));
            assert_eq!(Http.classify(&result, replay), class, "{kind} {replay:?}");
        }
    }

    #[test]
    fn an_error_type_need_be_nothing_but_static() {
        struct Opaque;
        let result: Result<http::Response<()>, Opaque> = Err(Opaque);
        assert_eq!(Http.classify(&result, Replay::Always), Transient);
        assert_eq!(Http.classify(&result, Replay::IfUnsent), Failed);
    }
}
