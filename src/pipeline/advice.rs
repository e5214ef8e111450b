//! Orders of policies that are legal and rarely meant.
use super::slot::{Kind, Slot};
use crate::{Name, policy::Policy};
use std::{fmt, time::Duration};

/// A named warning about the order of a pipeline's policies: legal, and rarely meant.
///
/// See [`Pipeline::advice`](crate::Pipeline::advice).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// A limit stands outside the hedge: the hedge's further attempts pass it uncounted. Put it
    /// inside.
    #[non_exhaustive]
    LimitOutsideHedge {
        /// The limit.
        limit: Name,
        /// The hedge.
        hedge: Name,
    },
    /// The only timeouts stand inside the retry: each attempt is bounded and the whole call is not.
    /// Add one outside, or a longest elapsed time to the retry.
    #[non_exhaustive]
    NoTotalTimeout {
        /// The retry.
        retry: Name,
    },
    /// A timeout stands inside another that is not longer: it can never fire.
    #[non_exhaustive]
    TimeoutNeverFires {
        /// The inner one.
        inner: Name,
        /// The outer one.
        outer: Name,
    },
    /// A retry stands inside another: their attempts multiply.
    #[non_exhaustive]
    RetriesMultiply {
        /// The inner one.
        inner: Name,
        /// The outer one.
        outer: Name,
    },
    /// A breaker stands outside the retry: it sees a whole run of attempts as one call.
    #[non_exhaustive]
    BreakerOutsideRetry {
        /// The breaker.
        breaker: Name,
        /// The retry.
        retry: Name,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Advice::LimitOutsideHedge { limit, hedge } => {
                write!(
                    f,
                    "`{limit}` stands outside hedge `{hedge}`, whose further attempts pass it uncounted"
                )
            }
            Advice::NoTotalTimeout { retry } => {
                write!(
                    f,
                    "retry `{retry}` has timeouts inside it and none outside: the whole call is not bounded"
                )
            }
            Advice::TimeoutNeverFires { inner, outer } => {
                write!(
                    f,
                    "timeout `{inner}` stands inside `{outer}`, which is not longer: it never fires"
                )
            }
            Advice::RetriesMultiply { inner, outer } => {
                write!(
                    f,
                    "retry `{inner}` stands inside retry `{outer}`: their attempts multiply"
                )
            }
            Advice::BreakerOutsideRetry { breaker, retry } => {
                write!(
                    f,
                    "breaker `{breaker}` stands outside retry `{retry}` and sees its attempts as one call"
                )
            }
        }
    }
}

/// Outermost policy first.
pub(super) fn advise(policies: &[Slot]) -> Vec<Advice> {
    let mut advice = Vec::new();
    let (mut limits, mut breakers) = (Vec::new(), Vec::new());
    let mut timeout: Option<(Name, Duration)> = None;
    // The outermost retry, and the outermost of those that may go on for ever.
    let (mut retry, mut endless): (Option<Name>, Option<Name>) = (None, None);
    let mut unbounded = None;
    for slot in policies {
        let name = slot.name();
        match &slot.0 {
            Kind::Timeout(t) => {
                match timeout {
                    Some((outer, limit)) if limit <= t.limit() => {
                        advice.push(Advice::TimeoutNeverFires { inner: name, outer });
                    }
                    Some(_) => {}
                    None => unbounded = endless,
                }
                if timeout.is_none_or(|(_, limit)| t.limit() < limit) {
                    timeout = Some((name, t.limit()));
                }
            }
            Kind::Retry(r) => {
                if let Some(outer) = retry {
                    advice.push(Advice::RetriesMultiply { inner: name, outer });
                }
                retry = retry.or(Some(name));
                if !r.is_bounded_in_time() {
                    endless = endless.or(Some(name));
                }
                advice.extend(
                    breakers
                        .drain(..)
                        .map(|breaker| Advice::BreakerOutsideRetry {
                            breaker,
                            retry: name,
                        }),
                );
            }
            Kind::CircuitBreaker(_) => breakers.push(name),
            Kind::Bulkhead(_) | Kind::RateLimit(_) => limits.push(name),
            Kind::Hedge(_) => {
                advice.extend(
                    limits
                        .drain(..)
                        .map(|limit| Advice::LimitOutsideHedge { limit, hedge: name }),
                );
            }
            Kind::Custom(_) => {}
        }
    }
    advice.extend(unbounded.map(|retry| Advice::NoTotalTimeout { retry }));
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Builder, Pipeline};
    use crate::{Bulkhead, CircuitBreaker, Hedge, RateLimit, Retry, Timeout};
    use crate::{retry::RetryConfig, timeout::TimeoutConfig};

    const S: Duration = Duration::from_secs(1);

    fn name(name: &'static str) -> Name {
        Name::from_static(name)
    }

    fn of(stack: impl FnOnce(Builder) -> Builder) -> Vec<Advice> {
        stack(Pipeline::builder("p")).build().unwrap().advice()
    }

    fn retry(name: &'static str) -> RetryConfig {
        Retry::attempts(2).name(name)
    }

    fn timeout(name: &'static str, limit: Duration) -> TimeoutConfig {
        Timeout::after(limit).name(name)
    }

    #[test]
    fn a_retry_inside_another_is_told_bounded_in_time_or_not() {
        let (inner, outer) = (name("inner"), name("outer"));
        for first in [retry("outer"), retry("outer").max_elapsed(S)] {
            let advice = of(|p| p.with(first).with(retry("inner")));
            assert_eq!(advice, [Advice::RetriesMultiply { inner, outer }]);
        }
        assert_eq!(of(|p| p.with(retry("alone"))), []);
    }

    #[test]
    fn a_breaker_outside_the_retry_is_told_and_one_inside_is_not() {
        let of = |outside: bool| {
            let breaker = || CircuitBreaker::new("b").consecutive_failures(5);
            of(|p| match outside {
                true => p.with(breaker()).with(retry("r")),
                false => p.with(retry("r")).with(breaker()),
            })
        };
        let (breaker, retry) = (name("b"), name("r"));
        assert_eq!(of(true), [Advice::BreakerOutsideRetry { breaker, retry }]);
        assert_eq!(of(false), []);
    }

    #[test]
    fn a_timeout_never_fires_inside_one_that_is_not_longer() {
        let of = |limits: [u32; 3]| {
            let [a, b, c] = limits.map(|limit| limit * S / 2);
            let p = |p: Builder| p.with(timeout("a", a)).with(timeout("b", b));
            of(|builder| p(builder).with(timeout("c", c)))
        };
        let never = |inner, outer| Advice::TimeoutNeverFires {
            inner: name(inner),
            outer: name(outer),
        };
        assert_eq!(of([3, 2, 1]), []);
        assert_eq!(of([4, 2, 3]), [never("c", "b")]);
        assert_eq!(of([2, 4, 3]), [never("b", "a"), never("c", "a")]);
        assert_eq!(of([2, 2, 2]), [never("b", "a"), never("c", "a")]);
    }

    #[test]
    fn attempts_that_are_bounded_do_not_bound_the_call() {
        let retry = name("r");
        let inside = |r| of(|p| p.with(r).with(timeout("t", S)).with(timeout("u", S / 2)));
        assert_eq!(inside(self::retry("r")), [Advice::NoTotalTimeout { retry }]);
        assert_eq!(inside(self::retry("r").max_elapsed(S)), []);
        let total = of(|p| {
            p.with(timeout("all", 2 * S))
                .with(self::retry("r"))
                .with(timeout("t", S))
        });
        assert_eq!(total, []);
        assert_eq!(of(|p| p.with(timeout("t", S))), []);
    }

    #[test]
    fn limits_outside_a_hedge_are_told_and_those_inside_are_not() {
        let advice = of(|p| {
            p.with(Bulkhead::new(4).name("permits"))
                .with(RateLimit::per_second(9).name("rate"))
                .with(Hedge::after(S).name("h"))
                .with(Bulkhead::new(4).name("inside"))
        });
        let told = ["permits", "rate"].map(|limit| Advice::LimitOutsideHedge {
            limit: name(limit),
            hedge: name("h"),
        });
        assert_eq!(advice, told);
    }

    #[test]
    fn each_advice_names_who_stands_where() {
        let (inner, outer, retry) = (name("i"), name("o"), name("r"));
        let told = [
            Advice::LimitOutsideHedge {
                limit: name("l"),
                hedge: name("h"),
            },
            Advice::NoTotalTimeout { retry },
            Advice::TimeoutNeverFires { inner, outer },
            Advice::RetriesMultiply { inner, outer },
            Advice::BreakerOutsideRetry {
                breaker: name("b"),
                retry,
            },
        ];
        let said = told.map(|advice| advice.to_string());
        let expected = [
            "`l` stands outside hedge `h`",
            "retry `r` has timeouts inside it and none outside",
            "timeout `i` stands inside `o`, which is not longer",
            "retry `i` stands inside retry `o`",
            "breaker `b` stands outside retry `r`",
        ];
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
