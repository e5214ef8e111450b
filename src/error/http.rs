//! A refusal as an HTTP answer.
use super::{Reason, Rejected};
use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};

impl Rejected {
    /// The status of [`into_response`](Rejected::into_response).
    ///
    /// | refused by | status |
    /// |---|---|
    /// | a rate limit, before anything was sent | 429 Too Many Requests |
    /// | a timeout, or a wait that would not fit one | 504 Gateway Timeout |
    /// | anything else | 503 Service Unavailable |
    ///
    /// 429 proves to a client that nothing was done, so that a `POST` may follow. A rate limit that
    /// refuses a later attempt is no such proof: the earlier ones may have done the work.
    pub fn http_status(&self) -> StatusCode {
        match self.reason {
            Reason::RateLimited { .. } | Reason::ExceedsBurst { .. } if self.never_sent() => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Reason::TimedOut { .. } | Reason::DeadlineTooClose { .. } | Reason::Expired => {
                StatusCode::GATEWAY_TIMEOUT
            }
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// This refusal as the answer of a server.
    ///
    /// The [status](Rejected::http_status), an empty body, and `Retry-After` in whole seconds,
    /// rounded up, where it is known when to come back. The text of the refusal stays here: names
    /// of policies are no business of a client.
    ///
    /// ```
    /// use seawall::{RateLimit, Reason, Rejected, service::respond_with};
    /// use std::time::Duration;
    ///
    /// let spent = Reason::RateLimited { retry_after: Duration::from_millis(1_200) };
    /// let answer: http::Response<String> = Rejected::new("api".into(), spent).into_response();
    /// assert_eq!(answer.status(), 429);
    /// assert_eq!(answer.headers()["retry-after"], "2");
    ///
    /// // As a layer of a server, outside the guard:
    /// let layer = respond_with(Rejected::into_response::<String>);
    /// # let _ = layer;
    /// ```
    pub fn into_response<B: Default>(self) -> Response<B> {
        let mut answer = Response::new(B::default());
        *answer.status_mut() = self.http_status();
        if let Some(after) = self.retry_after() {
            let begun = u64::from(after.subsec_nanos() > 0);
            let seconds = HeaderValue::from(after.as_secs().saturating_add(begun));
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
        answer
    }
}

impl<B: Default> From<Rejected> for Response<B> {
    /// As [`into_response`](Rejected::into_response).
    fn from(r: Rejected) -> Self {
        r.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Classify, Replay, dialect::Http};
    use std::time::Duration;

    const D: Duration = Duration::from_secs(1);

    #[test]
    fn each_reason_has_its_status() {
        let table = [
            (Reason::RateLimited { retry_after: D }, 429),
            (
                Reason::ExceedsBurst {
                    weight: 3,
                    burst: 2,
                },
                429,
            ),
            (Reason::TimedOut { after: D }, 504),
            (Reason::DeadlineTooClose { wait: D }, 504),
            (Reason::Expired, 504),
            (Reason::CircuitOpen { retry_after: None }, 503),
            (Reason::CircuitIsolated, 503),
            (Reason::BulkheadFull, 503),
            (Reason::QueueTimeout { after: D }, 503),
            (Reason::NoTimer, 503),
            (Reason::Other("draining"), 503),
        ];
        for (reason, status) in table {
            let answer: Response<()> = Rejected::new("p".into(), reason).into();
            assert_eq!(answer.status(), status, "{reason:?}");
        }
    }

    #[test]
    fn a_rate_limit_that_refuses_a_later_attempt_promises_nobody_that_nothing_was_done() {
        let spent = Rejected::new("p".into(), Reason::RateLimited { retry_after: D });
        let read = |refused: Rejected, replay| {
            let answer = Ok::<_, std::io::Error>(refused.into_response::<()>());
            Http.classify(&answer, replay)
        };
        let hint = Class::Throttled(Some(Duration::from_secs(1)));
        assert_eq!(read(spent, Replay::IfUnsent), hint);
        assert_eq!(read(spent.with_started(1), Replay::IfUnsent), Class::Failed);
        assert_eq!(read(spent.with_started(1), Replay::Always), hint);
    }

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        let table = [
            (Duration::ZERO, "0"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_secs(5), "5"),
            (Duration::from_millis(5_001), "6"),
            (Duration::MAX, "18446744073709551615"),
        ];
        for (retry_after, header) in table {
            let open = Reason::CircuitOpen {
                retry_after: Some(retry_after),
            };
            let answer: Response<()> = Rejected::new("p".into(), open).into_response();
            assert_eq!(answer.headers()[RETRY_AFTER], header);
        }
        let full: Response<()> = Rejected::new("p".into(), Reason::BulkheadFull).into();
        assert!(full.headers().is_empty());
    }
}
