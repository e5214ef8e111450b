//! The usual stack around an HTTP client, in the order that needs no advice.
use super::{Builder, Pipeline};
use crate::dialect::Http;
use crate::retry::Backoff;
use crate::{Bulkhead, CircuitBreaker, Name, Retry, Timeout};
use std::time::Duration;

impl Pipeline {
    /// The usual stack around an HTTP client: a builder that already holds five policies.
    ///
    /// Those that [`with`](Builder::with) adds stand further in.
    ///
    /// For a client of one host, in a service without figures of its own yet. Not for many hosts:
    /// one that is down would open the breaker for all of them. Where other figures are known,
    /// write the five lines out.
    ///
    /// # Defaults
    /// Outermost first; the order and the figures are those of .NET's standard resilience handler
    /// (Microsoft.Extensions.Http.Resilience).
    ///
    /// | policy | name | figures |
    /// |---|---|---|
    /// | [`Bulkhead`] | `NAME-calls` | 1000 calls at once, nobody waits |
    /// | [`Timeout`] | `NAME-total` | 30 s for the whole call |
    /// | [`Retry`] | `NAME-retry` | 4 attempts; exponential from 2 s, jittered |
    /// | [`CircuitBreaker`] | `NAME` | opens for 5 s at 10 % failures of at least 100 calls in 30 s |
    /// | [`Timeout`] | `NAME-attempt` | 10 s for each attempt |
    ///
    /// ```
    /// use seawall::Pipeline;
    ///
    /// let guard = Pipeline::standard_http("shop").build()?;
    /// assert!(guard.advice().is_empty());
    /// let layer = guard.layer_with(|request: &http::Request<String>| Some(request.clone()));
    /// # let _ = layer;
    /// # Ok::<_, seawall::BuildError>(())
    /// ```
    pub fn standard_http(name: impl Into<Name>) -> Builder<Http> {
        let name = name.into();
        let part = |part: &str| Name::from(format!("{}-{part}", name.as_str()));
        let breaker = CircuitBreaker::new(name)
            .failure_rate(0.1)
            .minimum_calls(100)
            .time_window(Duration::from_secs(30))
            .break_for(Duration::from_secs(5));
        Pipeline::builder(name)
            .with(Bulkhead::new(1000).name(part("calls")))
            .with(Timeout::after(Duration::from_secs(30)).name(part("total")))
            .with(
                Retry::attempts(4)
                    .backoff(Backoff::exponential(Duration::from_secs(2)).jitter())
                    .name(part("retry")),
            )
            .with(breaker)
            .with(Timeout::after(Duration::from_secs(10)).name(part("attempt")))
            .classify(Http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_stack_stands_in_order_and_needs_no_advice() {
        let guard = Pipeline::standard_http("shop").build().unwrap();
        let names: Vec<_> = guard.policies().map(Name::as_str).collect();
        assert_eq!(
            names,
            [
                "shop-calls",
                "shop-total",
                "shop-retry",
                "shop",
                "shop-attempt"
            ]
        );
        assert_eq!(guard.advice(), []);
    }
}
