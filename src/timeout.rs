//! An end for whatever is further in: the whole call or each attempt, by its place in the stack.
//!
//! Outside a retry a timeout bounds the call with all its attempts and backoffs; inside, each
//! attempt. What has not ended in time is dropped, and the refusal names the timeout that fired.
//!
//! - Time counts from the first moment the call has to wait; an operation that is ready at once
//!   costs neither a timer nor a reading of the clock.
//! - A result that is ready at the deadline wins, and one that is ready when the call is polled for
//!   the first time after it. Nothing is begun after it, but by a retry that repeats without a wait and
//!   has let others have a turn: that makes one more attempt, and its answer stands.
//! - To the policies around it a cut attempt is a failure
//!   ([`Outcome::TimedOut`]). A cut *wait*, in a
//!   bulkhead's line say, is none: the dependency was never asked.
//! - An operation that never yields cannot be cut: a future is only ever stopped between polls.
//!
//! | what ends, inside | what the policies outside hear |
//! |---|---|
//! | the operation, in time | its own outcome |
//! | the time, while an attempt runs | `TimedOut` |
//! | the time, while the call waits | `Rejected` |
//!
//! Unlike [`tokio::time::timeout`] it is told to the policies around it, shares one timer with all
//! other deadlines and backoffs of the call, and lets a retry see that its backoff would not fit.
//!
//! # Sources
//! Nygard, *Release It!* (2nd edition, chapter 5), "Timeouts". That a result wins over a deadline
//! of the same moment is as in `tokio::time::timeout`, which polls the operation first.
//!
//! # Example
//!
//! ```
//! use seawall::{Reason, Timeout};
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let limit = Timeout::after(Duration::from_millis(250)).name("search").build()?;
//! let error = limit.run(|| std::future::pending::<Result<(), ()>>()).await.unwrap_err();
//! let refused = error.rejected().expect("no answer came");
//! assert_eq!(refused.to_string(), "timeout `search` ended the call after 250ms (1 attempt had been sent)");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
use crate::error::Check;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{BuildError, Name, Observer, Reason};
use std::{fmt, sync::Arc, time::Duration};

/// A limit of time. Stateless: clones are equal, and one may stand in a pipeline twice.
#[derive(Clone)]
pub struct Timeout {
    name: Name,
    after: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl Timeout {
    /// Ends what is inside after this time.
    ///
    /// [`Duration::MAX`] is no timeout; zero is refused at build.
    #[allow(clippy::new_ret_no_self)]
    pub const fn after(after: Duration) -> TimeoutConfig {
        TimeoutConfig {
            name: Name::from_static("timeout"),
            after,
            observer: None,
        }
    }

    /// The time allowed.
    pub fn limit(&self) -> Duration {
        self.after
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeout({:?}, {:?})", self.name, self.after)
    }
}

impl Policy for Timeout {
    fn name(&self) -> Name {
        self.name
    }

    #[inline]
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Within(self.after)
    }

    fn resume(&self, _: Ticket, _: &Call<'_>) -> Enter {
        Enter::Reject(Reason::TimedOut { after: self.after })
    }

    #[inline]
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }
}

crate::pipeline::single!(Timeout, gate);

/// The settings of a [`Timeout`].
///
/// # Defaults
/// - [`name`](TimeoutConfig::name): `"timeout"`
/// - [`observer`](TimeoutConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct TimeoutConfig {
    name: Name,
    after: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl TimeoutConfig {
    /// The label in refusals, events and metrics.
    ///
    /// Name every timeout of a pipeline, so that a refusal tells which one fired. Default:
    /// `"timeout"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Who hears of calls made with this timeout alone. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// The time is zero.
    pub fn build(self) -> Result<Timeout, BuildError> {
        let TimeoutConfig {
            name,
            after,
            observer,
        } = self;
        Check::new(name).positive("after", after).done()?;
        Ok(Timeout {
            name,
            after,
            observer,
        })
    }
}

impl fmt::Debug for TimeoutConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutConfig")
            .field("name", &self.name)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

impl PartialEq for TimeoutConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.after) == (other.name, other.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_refused_and_the_longest_time_is_no_limit() {
        let error = Timeout::after(Duration::ZERO)
            .name("t")
            .build()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`t`: after is 0ns, but has to be longer than zero"
        );
        assert!(Timeout::after(Duration::MAX).build().is_ok());
    }
}
