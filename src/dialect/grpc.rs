use super::http::failure;
use super::retry_info::retry_delay;
use crate::error::Target;
use crate::service::SendOnce;
use crate::{BuildError, Class, Classify, Error, GuardLayer, Inspect, Pipeline, Replay};
use http::HeaderMap;
use std::{error::Error as _, time::Duration};
use tonic::{Code, Status, metadata::MetadataMap};

/// gRPC over tonic.
///
/// After gRFC A6 ("client retries") and the meanings that google.rpc.Code gives its codes.
///
/// | code | class | why |
/// |---|---|---|
/// | `OK` | `Success` | |
/// | `CANCELLED` | `Ignored` | the caller went away |
/// | `CANCELLED` with a source: tonic's own timeout (`Endpoint`, `Request`), a connection that closed | `Failed` | too slow or broken; nobody went away |
/// | `UNAVAILABLE` | `Transient`; with a hint `Throttled` or `Pushback` | the one code that asks to be tried again |
/// | `RESOURCE_EXHAUSTED` | with a hint `Throttled` or `Pushback`, else `Pushback(None)` | slow down; without a hint repeating would only spend more of what is spent |
/// | `UNKNOWN`, `INTERNAL`, `DATA_LOSS` | `Failed` | broken; nobody says that repeating would help |
/// | `DEADLINE_EXCEEDED` | `Failed` | too slow; the work may still be going on |
/// | `ABORTED` | `Permanent` | repeat the transaction, not the call |
/// | `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `PERMISSION_DENIED`, `UNAUTHENTICATED`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`, `UNIMPLEMENTED` | `Permanent` | it worked and said no |
///
/// `Failed` counts as a failure in a breaker and is not repeated. A *hint* is the server's word on
/// when to come back:
/// - `grpc-retry-pushback-ms` in the metadata (gRFC A6): exact, `Pushback`. A negative or unreadable
///   one means "do not try again": `Failed`, or `Pushback(None)`.
/// - else `google.rpc.RetryInfo` in the status' details.
///
/// It counts on `UNAVAILABLE` and `RESOURCE_EXHAUSTED` alone; on other codes A6 has the client not
/// look at it.
///
/// # The closure form
/// [`run`](Pipeline::run) around a generated client is the way to retry: each attempt makes the call
/// anew, its whole end is seen, trailers included. It is the caller's promise that repeating is
/// safe. For a call that must not be repeated there is [`run_once`](Pipeline::run_once): there
/// `UNAVAILABLE` is `Failed`.
///
/// # Around a `Channel`
/// [`layer_channel`](Pipeline::layer_channel) guards all calls of a client. The message is a stream,
/// so each request is sent once. An answer is judged by its *headers*: a refusal that a server sends
/// without a message ("trailers-only") has its status there, and so has an HTTP error of a proxy,
/// which is read as gRPC's "HTTP to gRPC status code mapping" says. A status in the trailers, after
/// a message has begun, is not seen; such a call is a success. Use the closure form where that
/// matters.
///
/// ```
/// use seawall::{Class, Classify, Replay, dialect::Grpc};
/// use tonic::{Response, Status};
///
/// let read = |status| Grpc.classify(&Err::<Response<()>, Status>(status), Replay::Always);
/// assert_eq!(read(Status::unavailable("restarting")), Class::Transient);
/// assert_eq!(read(Status::not_found("order 7")), Class::Permanent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grpc;

impl<T> Classify<tonic::Response<T>, Status> for Grpc {
    #[inline]
    fn classify(&self, result: &Result<tonic::Response<T>, Status>, replay: Replay) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(status) => of_status(status, replay),
        }
    }
}

impl<B, E> Classify<http::Response<B>, E> for Grpc {
    #[inline]
    fn classify(&self, result: &Result<http::Response<B>, E>, replay: Replay) -> Class {
        match result {
            Ok(answer) => of_headers(answer.status(), answer.headers(), replay),
            Err(_) => failure(replay),
        }
    }
}

/// The message is a stream: only what has not been sent can be sent again.
impl<B> Inspect<http::Request<B>> for Grpc {
    fn inspect(&self, _: &http::Request<B>) -> Replay {
        Replay::IfUnsent
    }
}

#[inline]
fn of_headers(http: http::StatusCode, headers: &HeaderMap, replay: Replay) -> Class {
    match headers.get(Status::GRPC_STATUS) {
        None if http == http::StatusCode::OK => Class::Success,
        _ => of_said_or_bad(http, headers, replay),
    }
}

/// The headers say the code already, or nothing that came from gRPC.
#[cold]
fn of_said_or_bad(http: http::StatusCode, headers: &HeaderMap, replay: Replay) -> Class {
    let status = Status::from_header_map(headers)
        .unwrap_or_else(|| Status::new(code_of_http(http.as_u16()), ""));
    of_status(&status, replay)
}

/// "HTTP to gRPC Status Code Mapping" (grpc/grpc, doc/http-grpc-status-mapping.md).
fn code_of_http(status: u16) -> Code {
    match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cold]
fn of_status(status: &Status, replay: Replay) -> Class {
    match status.code() {
        Code::Ok => Class::Success,
        // tonic made it of an error on this side. What came over the wire has no source.
        Code::Cancelled if status.source().is_some() => Class::Failed,
        Code::Cancelled => Class::Ignored,
        code @ (Code::Unavailable | Code::ResourceExhausted) => match hint(status) {
            Hint::Stop if code == Code::Unavailable => Class::Failed,
            // Whether it had been handled, nobody knows.
            _ if code == Code::Unavailable && replay == Replay::IfUnsent => Class::Failed,
            Hint::After(pause) => Class::Throttled(Some(pause)),
            Hint::Exactly(pause) => Class::Pushback(Some(pause)),
            Hint::None if code == Code::Unavailable => failure(replay),
            // Out of quota, and nobody says when there will be more.
            Hint::Stop | Hint::None => Class::Pushback(None),
        },
        Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::DataLoss => Class::Failed,
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Class::Permanent,
    }
}

/// When a server wants to be asked again.
enum Hint {
    None,
    After(Duration),
    Exactly(Duration),
    Stop,
}

fn hint(status: &Status) -> Hint {
    pushback(status.metadata())
        .unwrap_or_else(|| retry_delay(status.details()).map_or(Hint::None, Hint::After))
}

/// The metadata by which a server says when to try again (gRFC A6).
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";

fn pushback(metadata: &MetadataMap) -> Option<Hint> {
    let value = metadata.get(PUSHBACK)?;
    let millis = value.to_str().ok().and_then(|v| v.trim().parse().ok());
    Some(millis.map_or(Hint::Stop, |ms| Hint::Exactly(Duration::from_millis(ms))))
}

/// Errors leave as a [`Status`].
///
/// A refusal with its own code, any other error as tonic itself would tell it. What
/// [`layer_channel`](Pipeline::layer_channel) folds into.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsStatus;

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> Target<E> for AsStatus {
    type Error = Status;

    fn convert(error: Error<E>) -> Status {
        match error {
            Error::Inner(e) => Status::from_error(e.into()),
            Error::Rejected(r) => r.into(),
        }
    }
}

impl<M> Pipeline<Grpc, M> {
    /// Guards a tonic `Channel`: the generated client's calls are each sent once.
    ///
    /// A refusal reaches its user as a [`Status`] with a code, a message and
    /// [`Rejected`](crate::Rejected) as its source.
    ///
    /// ```
    /// use seawall::{Bulkhead, Pipeline, Timeout, dialect::Grpc};
    /// use std::time::Duration;
    /// use tonic::transport::Channel;
    /// use tower::ServiceBuilder;
    ///
    /// # tokio_test::block_on(async {
    /// let guard = Pipeline::builder("stock")
    ///     .with(Bulkhead::new(64))
    ///     .with(Timeout::after(Duration::from_secs(1)))
    ///     .classify(Grpc)
    ///     .build()?;
    /// let channel = Channel::from_static("http://stock.internal:50051").connect_lazy();
    /// let channel = ServiceBuilder::new().layer(guard.layer_channel()?).service(channel);
    /// // StockClient::new(channel)
    /// # let _ = tonic::client::Grpc::new(channel);
    /// # Ok::<_, seawall::BuildError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The pipeline holds a retry or a hedge, which could never do anything: retry in the closure
    /// form.
    pub fn layer_channel(&self) -> Result<GuardLayer<Grpc, AsStatus, SendOnce>, BuildError> {
        self.layer_once().map(GuardLayer::folding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Failed, Ignored, Permanent, Pushback, Success, Throttled, Transient};

    const CODES: [(Code, Class); 17] = [
        (Code::Ok, Success),
        (Code::Cancelled, Ignored),
        (Code::Unknown, Failed),
        (Code::InvalidArgument, Permanent),
        (Code::DeadlineExceeded, Failed),
        (Code::NotFound, Permanent),
        (Code::AlreadyExists, Permanent),
        (Code::PermissionDenied, Permanent),
        (Code::ResourceExhausted, Pushback(None)),
        (Code::FailedPrecondition, Permanent),
        (Code::Aborted, Permanent),
        (Code::OutOfRange, Permanent),
        (Code::Unimplemented, Permanent),
        (Code::Internal, Failed),
        (Code::Unavailable, Transient),
        (Code::DataLoss, Failed),
        (Code::Unauthenticated, Permanent),
    ];

    fn closure(status: Status, replay: Replay) -> Class {
        Grpc.classify(&Err::<tonic::Response<()>, _>(status), replay)
    }

    fn channel(answer: http::Response<()>, replay: Replay) -> Class {
        Grpc.classify(&Ok::<_, std::io::Error>(answer), replay)
    }

    fn pushed(code: Code, pushback: &str) -> Status {
        let mut status = Status::new(code, "");
        let value = pushback.parse().unwrap();
        status.metadata_mut().insert(PUSHBACK, value);
        status
    }

    #[test]
    fn every_code_has_its_class_in_the_closure_form_and_in_a_channels_headers() {
        for (code, class) in CODES {
            assert_eq!(closure(Status::new(code, ""), Replay::Always), class);
            let headers = Status::new(code, "").into_http();
            assert_eq!(channel(headers, Replay::Always), class, "{code:?}");
        }
    }

    #[test]
    fn what_tonic_calls_cancelled_on_this_side_is_nobody_who_went_away() {
        let cut_off = Status::from_error(tonic::TimeoutExpired(()).into());
        assert_eq!(cut_off.code(), Code::Cancelled);
        assert_eq!(closure(cut_off, Replay::Always), Failed);
    }

    #[test]
    fn an_http_status_is_the_code_that_grpc_says_it_is() {
        let codes = [200, 400, 401, 403, 404, 429, 500, 502, 503, 504].map(code_of_http);
        let expected = [
            Code::Unknown,
            Code::Internal,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
            Code::Unavailable,
            Code::Unknown,
            Code::Unavailable,
            Code::Unavailable,
            Code::Unavailable,
        ];
        assert_eq!(codes, expected);
    }

    #[test]
    fn what_must_not_be_repeated_is_never_transient() {
        for replay in [Replay::Never, Replay::IfUnsent] {
            let status = Status::unavailable("");
            assert_eq!(channel(status.into_http(), replay), Failed);
            let lost: Result<http::Response<()>, &str> = Err("connection lost");
            assert_eq!(Grpc.classify(&lost, replay), Failed);
        }
        assert_eq!(
            closure(pushed(Code::Unavailable, "5"), Replay::IfUnsent),
            Failed
        );
    }

    #[test]
    fn pushback_is_exact_and_a_negative_or_unreadable_one_ends_it() {
        let after = |ms| Pushback(Some(Duration::from_millis(ms)));
        let table = [
            (Code::Unavailable, "250", after(250)),
            (Code::Unavailable, "0", after(0)),
            (Code::ResourceExhausted, "250", after(250)),
            (Code::Unavailable, "-1", Failed),
            (Code::Unavailable, "soon", Failed),
            (Code::ResourceExhausted, "", Pushback(None)),
            (Code::ResourceExhausted, "1.5", Pushback(None)),
            (Code::NotFound, "250", Permanent),
            (Code::Internal, "250", Failed),
        ];
        for (code, pushback, class) in table {
            let status = || pushed(code, pushback);
            assert_eq!(
                closure(status(), Replay::Always),
                class,
                "{code:?} {pushback}"
            );
            let headers = status().into_http();
            assert_eq!(
                channel(headers, Replay::Always),
                class,
                "{code:?} {pushback}"
            );
        }
    }

    /// A google.rpc.Status that holds a RetryInfo of 1.5 s, as protobuf has it.
    fn retry_info() -> Vec<u8> {
        let delay = [0x0a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 1];
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let mut any = vec![0x0a, 40];
        any.extend_from_slice(url);
        any.extend_from_slice(&[0x12, delay.len() as u8]);
        any.extend_from_slice(&delay);
        let mut status = vec![0x08, 8, 0x1a, any.len() as u8];
        status.extend_from_slice(&any);
        status
    }

    #[test]
    fn retry_info_in_the_details_is_a_hint_that_pushback_outranks() {
        let detailed =
            || Status::with_details(Code::ResourceExhausted, "quota", retry_info().into());
        let hint = Throttled(Some(Duration::from_millis(1_500)));
        assert_eq!(closure(detailed(), Replay::Always), hint);
        assert_eq!(channel(detailed().into_http(), Replay::IfUnsent), hint);

        let mut both = detailed();
        both.metadata_mut().insert(PUSHBACK, 20.into());
        let pushed = Pushback(Some(Duration::from_millis(20)));
        assert_eq!(closure(both, Replay::Always), pushed);
    }

    #[test]
    fn headers_without_a_status_are_read_by_their_http_status() {
        let table = [
            (200, Success),
            (400, Failed),
            (401, Permanent),
            (403, Permanent),
            (404, Permanent),
            (429, Transient),
            (502, Transient),
            (503, Transient),
            (504, Transient),
            (500, Failed),
        ];
        for (status, class) in table {
            let answer = http::Response::builder().status(status).body(()).unwrap();
            assert_eq!(channel(answer, Replay::Always), class, "{status}");
        }
    }
}
