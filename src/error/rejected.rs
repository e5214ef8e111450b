use crate::Name;
use std::{fmt, time::Duration};

/// Why a policy said no.
///
/// The attempt that was refused was not sent, but for [`TimedOut`](Reason::TimedOut),
/// [`Expired`](Reason::Expired) and [`NoTimer`](Reason::NoTimer); earlier attempts of the same call may have been:
/// [`Rejected::started`] counts all of them. Whatever the policies held has been given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A circuit breaker is open, or half-open with all its probes out. `None`: it is half-open,
    /// and nobody knows when a probe comes back. Trying again earlier than that is refused again.
    CircuitOpen {
        /// When it will let a probe through.
        retry_after: Option<Duration>,
    },
    /// A circuit breaker was opened by hand and stays so until it is closed by hand. No retry
    /// repeats it.
    CircuitIsolated,
    /// All of a bulkhead's permits are out and its queue has no place left, or its limit is zero.
    /// Trying again makes sense once calls have ended; at once, it only makes the load heavier.
    BulkheadFull,
    /// The turn in a bulkhead's queue did not come within the longest wait. The place is given up:
    /// whoever tries again stands at the end of the line.
    QueueTimeout {
        /// The longest wait.
        after: Duration,
    },
    /// A rate limit is spent. Nothing was taken from it.
    RateLimited {
        /// When a call of this weight will be let through, if nobody comes before.
        retry_after: Duration,
    },
    /// The call weighs more than a rate limit's burst: it will never be let through, and no retry
    /// repeats it. Send less at a time.
    ExceedsBurst {
        /// The call's weight.
        weight: u32,
        /// The limit's burst.
        burst: u32,
    },
    /// A timeout ended the call, or the wait it was in. An attempt that was cut off may have done its
    /// work, and may go on doing it: repeat only what may be done twice.
    TimedOut {
        /// The time allowed.
        after: Duration,
    },
    /// A wait that a policy asked for would end after an enclosing deadline, so it was not begun and
    /// holds nothing. With a later deadline, or after that time, it may be let through.
    DeadlineTooClose {
        /// The wait that did not fit.
        wait: Duration,
    },
    /// The time a policy asked for has passed, and it gave no reason of its own: for policies written
    /// elsewhere. As [`TimedOut`](Reason::TimedOut), the attempt may have been sent.
    Expired,
    /// The call has to wait, and there is no tokio runtime with a time driver to wake it. An attempt
    /// that was under way has been dropped. Build the runtime with `enable_time`; no retry repeats it.
    NoTimer,
    /// For policies written elsewhere.
    Other(&'static str),
}

impl Reason {
    /// When trying again may make sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match *self {
            Reason::CircuitOpen { retry_after } => retry_after,
            Reason::RateLimited { retry_after } => Some(retry_after),
            Reason::DeadlineTooClose { wait } => Some(wait),
            _ => None,
        }
    }
}

/// A policy's refusal. Never the dependency's own error.
///
/// Small and `Copy`: every guarded call's `Result` has room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// Who refused.
    pub policy: Name,
    /// Why.
    pub reason: Reason,
    /// How many attempts had reached the operation when the call was refused. 0: it was certainly
    /// never sent. A service that never became ready was not reached.
    ///
    /// Counted by the pipeline that refused, or by the policy where it stands alone. What another
    /// layer around that had sent through it before is not in it: put policies into one pipeline.
    pub started: u32,
}

impl Rejected {
    /// A refusal by `policy`, before anything was sent.
    pub const fn new(policy: Name, reason: Reason) -> Self {
        Rejected {
            policy,
            reason,
            started: 0,
        }
    }

    /// The same, when so many attempts had been sent.
    #[inline(always)]
    pub(crate) const fn with_started(self, started: u32) -> Self {
        Rejected { started, ..self }
    }

    /// When trying again may make sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.reason.retry_after()
    }

    /// The dependency cannot have done anything: no attempt had reached it.
    ///
    /// True of the call that was refused, see [`started`](Rejected::started).
    pub fn never_sent(&self) -> bool {
        self.started == 0
    }

    /// A timeout's doing, or a wait that did not fit into one.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.reason,
            Reason::TimedOut { .. } | Reason::DeadlineTooClose { .. }
        )
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy.as_str();
        match self.reason {
            Reason::CircuitOpen {
                retry_after: Some(_),
            } => {
                write!(f, "circuit breaker `{policy}` is open")?;
            }
            Reason::CircuitOpen { retry_after: None } => {
                write!(
                    f,
                    "circuit breaker `{policy}` is half-open and its probes are out"
                )?;
            }
            Reason::CircuitIsolated => {
                write!(
                    f,
                    "circuit breaker `{policy}` was opened by hand and stays open until closed by hand"
                )?;
            }
            Reason::BulkheadFull => write!(f, "bulkhead `{policy}` is full")?,
            Reason::QueueTimeout { after } => {
                write!(f, "bulkhead `{policy}` had no free permit within {after:?}")?;
            }
            Reason::RateLimited { .. } => write!(f, "rate limit `{policy}` is spent")?,
            Reason::ExceedsBurst { weight, burst } => {
                write!(
                    f,
                    "rate limit `{policy}` can never admit a call of weight {weight}: its burst is {burst}"
                )?;
            }
            Reason::TimedOut { after } => {
                write!(f, "timeout `{policy}` ended the call after {after:?}")?
            }
            Reason::DeadlineTooClose { wait } => {
                write!(
                    f,
                    "`{policy}` asked for a wait of {wait:.1?}, which does not fit the deadline"
                )?;
            }
            Reason::Expired => write!(f, "the time that `{policy}` allowed has passed")?,
            Reason::NoTimer => {
                write!(
                    f,
                    "`{policy}` has to wait, and there is no tokio runtime with its time driver enabled"
                )?;
            }
            Reason::Other(why) => write!(f, "`{policy}` refused: {why}")?,
        }
        if let Some(after) = self.retry_after() {
            write!(f, "; try again in {after:.1?}")?;
        }
        match self.started {
            0 => Ok(()),
            1 => f.write_str(" (1 attempt had been sent)"),
            n => write!(f, " ({n} attempts had been sent)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_why_and_when() {
        let open = Reason::CircuitOpen {
            retry_after: Some(Duration::from_millis(12_345)),
        };
        let mut r = Rejected::new(Name::from_static("payments"), open);
        assert_eq!(
            r.to_string(),
            "circuit breaker `payments` is open; try again in 12.3s"
        );
        r.started = 2;
        assert!(r.to_string().ends_with("(2 attempts had been sent)"));
    }

    /// A wait is what is left until some instant, and was told to the nanosecond.
    #[test]
    fn a_wait_that_does_not_fit_is_told_as_exactly_as_anybody_reads_it() {
        let wait = Duration::from_nanos(59_999_994_762);
        let r = Rejected::new(
            Name::from_static("geocoder"),
            Reason::DeadlineTooClose { wait },
        );
        assert_eq!(
            r.to_string(),
            "`geocoder` asked for a wait of 60.0s, which does not fit the deadline; try again in 60.0s"
        );
    }

    #[test]
    fn what_a_timeout_ended_or_would_have_ended_is_its_doing_and_nothing_else() {
        let is_timeout = |reason| Rejected::new(Name::from_static("p"), reason).is_timeout();
        assert!(is_timeout(Reason::TimedOut {
            after: Duration::ZERO
        }));
        assert!(is_timeout(Reason::DeadlineTooClose {
            wait: Duration::ZERO
        }));
        assert!(!is_timeout(Reason::QueueTimeout {
            after: Duration::ZERO
        }));
        assert!(!is_timeout(Reason::BulkheadFull));
    }

    #[test]
    fn a_refusal_is_small() {
        assert!(size_of::<Rejected>() <= 48);
    }
}
