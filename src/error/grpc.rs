//! A refusal as a gRPC status.
use super::{Reason, Rejected};
use crate::dialect::PUSHBACK;
use std::sync::Arc;
use tonic::{Code, Status, metadata::AsciiMetadataValue};

impl Rejected {
    /// The code of the [`Status`] that a refusal converts into.
    ///
    /// | refused by | code |
    /// |---|---|
    /// | a rate limit, before anything was sent | `RESOURCE_EXHAUSTED` |
    /// | a timeout, or a wait that would not fit one | `DEADLINE_EXCEEDED` |
    /// | anything else | `UNAVAILABLE` |
    pub fn grpc_code(&self) -> Code {
        match self.reason {
            // As with HTTP's 429: only this says that nothing was done.
            Reason::RateLimited { .. } | Reason::ExceedsBurst { .. } if self.never_sent() => {
                Code::ResourceExhausted
            }
            Reason::TimedOut { .. } | Reason::DeadlineTooClose { .. } | Reason::Expired => {
                Code::DeadlineExceeded
            }
            _ => Code::Unavailable,
        }
    }
}

/// The [code](Rejected::grpc_code), the refusal's text as the message, and the refusal itself as the
/// source. Where it is known when to come back, `grpc-retry-pushback-ms` (gRFC A6) says so in
/// milliseconds, rounded up; -1 where the call will never be let through.
///
/// ```
/// use seawall::{Reason, Rejected};
/// use std::{error::Error, time::Duration};
/// use tonic::{Code, Status};
///
/// let open = Reason::CircuitOpen { retry_after: Some(Duration::from_millis(1_500)) };
/// let status = Status::from(Rejected::new("stock".into(), open));
/// assert_eq!(status.code(), Code::Unavailable);
/// assert_eq!(status.message(), "circuit breaker `stock` is open; try again in 1.5s");
/// assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1500");
/// assert!(status.source().unwrap().is::<Rejected>());
/// ```
impl From<Rejected> for Status {
    #[cold]
    fn from(r: Rejected) -> Self {
        let mut status = Status::new(r.grpc_code(), r.to_string());
        let pushback = match (r.reason, r.retry_after()) {
            (Reason::ExceedsBurst { .. }, _) => Some(AsciiMetadataValue::from(-1_i64)),
            (_, Some(after)) => {
                let millis = after.as_nanos().div_ceil(1_000_000);
                Some(i64::try_from(millis).unwrap_or(i64::MAX).into())
            }
            (_, None) => None,
        };
        if let Some(pushback) = pushback {
            status.metadata_mut().insert(PUSHBACK, pushback);
        }
        status.set_source(Arc::new(r));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const D: Duration = Duration::from_millis(1);

    #[test]
    fn each_reason_has_its_code_and_its_pushback() {
        let almost_two = Some(Duration::from_micros(1_001));
        let table = [
            (
                Reason::RateLimited { retry_after: D },
                Code::ResourceExhausted,
                Some("1"),
            ),
            (
                Reason::ExceedsBurst {
                    weight: 3,
                    burst: 2,
                },
                Code::ResourceExhausted,
                Some("-1"),
            ),
            (Reason::TimedOut { after: D }, Code::DeadlineExceeded, None),
            (
                Reason::DeadlineTooClose { wait: D },
                Code::DeadlineExceeded,
                Some("1"),
            ),
            (Reason::Expired, Code::DeadlineExceeded, None),
            (
                Reason::CircuitOpen {
                    retry_after: almost_two,
                },
                Code::Unavailable,
                Some("2"),
            ),
            (
                Reason::CircuitOpen { retry_after: None },
                Code::Unavailable,
                None,
            ),
            (Reason::CircuitIsolated, Code::Unavailable, None),
            (Reason::BulkheadFull, Code::Unavailable, None),
            (Reason::QueueTimeout { after: D }, Code::Unavailable, None),
            (Reason::NoTimer, Code::Unavailable, None),
            (Reason::Other("draining"), Code::Unavailable, None),
        ];
        for (reason, code, pushback) in table {
            let refused = Rejected::new("p".into(), reason);
            let status = Status::from(refused);
            assert_eq!(status.code(), code, "{reason:?}");
            let metadata = status.metadata().get(PUSHBACK);
            assert_eq!(
                metadata.map(|v| v.to_str().unwrap()),
                pushback,
                "{reason:?}"
            );
            assert_eq!(status.message(), refused.to_string());
        }
    }

    #[test]
    fn a_rate_limit_that_refuses_a_later_attempt_does_not_say_that_nothing_was_done() {
        let spent = Rejected::new("p".into(), Reason::RateLimited { retry_after: D });
        let status = Status::from(spent.with_started(1));
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1");
    }
}
