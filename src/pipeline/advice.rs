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
    let mut retry: Option<Name> = None;
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
                    None if retry.is_some() => unbounded = unbounded.or(retry),
                    None => {}
                }
                if timeout.is_none_or(|(_, limit)| t.limit() < limit) {
                    timeout = Some((name, t.limit()));
                }
            }
            Kind::Retry(r) => {
                if let Some(outer) = retry {
                    advice.push(Advice::RetriesMultiply { inner: name, outer });
                }
                if !r.is_bounded_in_time() && retry.is_none() {
                    retry = Some(name);
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
