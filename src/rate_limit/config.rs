use super::policy::{Core, RateLimit};
use super::state::{Gcra, LONGEST_REFILL, TICKS};
use crate::error::Check;
use crate::{BuildError, Name, Observer};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a [`RateLimit`].
///
/// # Defaults
/// - [`burst`](RateLimitConfig::burst): the permits of one span, so that "100 a minute" may come at
///   once
/// - [`max_wait`](RateLimitConfig::max_wait): zero, a call that comes too soon is refused at once
/// - [`name`](RateLimitConfig::name): `"rate_limit"`
/// - [`observer`](RateLimitConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct RateLimitConfig {
    name: Name,
    permits: u32,
    per: Duration,
    burst: Option<u32>,
    max_wait: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl RateLimitConfig {
    pub(super) const fn new(permits: u32, per: Duration) -> Self {
        RateLimitConfig {
            name: Name::from_static("rate_limit"),
            permits,
            per,
            burst: None,
            max_wait: Duration::ZERO,
            observer: None,
        }
    }

    /// How many permits may be spent at once after a quiet time, at least 1.
    ///
    /// The burst comes on top of the rate: in any time t, at most burst + rate × t. Default: the
    /// permits of one span.
    ///
    /// A burst of 1 spaces calls evenly. A spent burst has to come back within ten years.
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// How long a call may be made to wait for its turn.
    ///
    /// One whose turn comes later is refused at once and reserves nothing. Default: zero, nobody
    /// waits. [`Duration::MAX`] is no bound.
    ///
    /// Calls in wait hold memory: the longest wait × the rate is how many they can be.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// The label in refusals, events and metrics. Default: `"rate_limit"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Who hears of calls made with this limit alone. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The policy, with its whole burst there.
    ///
    /// # Errors
    /// No permits, a span or a burst of zero, more permits than 16 a nanosecond, or a burst that
    /// takes more than ten years to come back.
    pub fn build(self) -> Result<RateLimit, BuildError> {
        let RateLimitConfig {
            name,
            permits,
            per,
            burst,
            max_wait,
            observer,
        } = self;
        let burst = burst.unwrap_or(permits.max(1));
        let mut check = Check::new(name);
        check
            .that(permits > 0, "permits", permits, "at least 1")
            .positive("per", per)
            .that(burst > 0, "burst", burst, "at least 1");
        if permits > 0 && !per.is_zero() {
            let fastest = per.as_nanos().saturating_mul(u128::from(TICKS));
            check.that(
                u128::from(permits) <= fastest,
                "permits",
                permits,
                format!("at most {fastest} in {per:?}"),
            );
            let refill = per.as_nanos().saturating_mul(u128::from(burst)) / u128::from(permits);
            check.that(
                refill < LONGEST_REFILL.as_nanos(),
                "burst",
                burst,
                format!("so small that {permits} per {per:?} bring it back within ten years"),
            );
        }
        check.done()?;
        let gcra = Gcra::new(permits, per, burst);
        Ok(RateLimit::of(Core::new(name, gcra, max_wait, observer)))
    }
}

impl fmt::Debug for RateLimitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitConfig")
            .field("name", &self.name)
            .field("permits", &self.permits)
            .field("per", &self.per)
            .field("burst", &self.burst)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// Equal settings; who listens is not compared.
impl PartialEq for RateLimitConfig {
    fn eq(&self, other: &Self) -> bool {
        let settings = |c: &Self| (c.name, c.permits, c.per, c.burst, c.max_wait);
        settings(self) == settings(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_are_those_the_docs_list() {
        let default = RateLimit::new(100, 60 * S);
        let listed = RateLimit::new(100, 60 * S)
            .max_wait(Duration::ZERO)
            .name("rate_limit");
        assert_eq!(default, listed);
        assert!(default.observer.is_none());
        assert_eq!(default.build().unwrap().burst(), 100);
        assert_eq!(RateLimit::per_second(7), RateLimit::new(7, S));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let nothing = RateLimit::new(0, Duration::ZERO).burst(0).name("r");
        assert_eq!(
            nothing.build().unwrap_err().to_string(),
            "`r`: permits is 0, but has to be at least 1; \
             `r`: per is 0ns, but has to be longer than zero; \
             `r`: burst is 0, but has to be at least 1"
        );
        let day = 24 * 60 * 60 * S;
        assert_eq!(
            RateLimit::new(1, day)
                .burst(5_000)
                .build()
                .unwrap_err()
                .to_string(),
            "`rate_limit`: burst is 5000, but has to be so small that 1 per 86400s bring it back \
             within ten years"
        );
        let picoseconds = RateLimit::new(17, Duration::from_nanos(1)).build();
        assert_eq!(
            picoseconds.unwrap_err().to_string(),
            "`rate_limit`: permits is 17, but has to be at most 16 in 1ns"
        );
        assert!(
            RateLimit::new(1, Duration::MAX)
                .burst(u32::MAX)
                .build()
                .is_err()
        );
    }

    #[test]
    fn the_extremes_are_settings_like_others() {
        assert!(RateLimit::per_second(1_000_000_000).build().is_ok());
        assert!(
            RateLimit::per_second(u32::MAX)
                .burst(u32::MAX)
                .build()
                .is_ok()
        );
        let daily = || RateLimit::new(1, 24 * 60 * 60 * S);
        assert!(daily().max_wait(Duration::MAX).build().is_ok());
        // A burst that is back in ten years less a day.
        assert!(daily().burst(3_649).build().is_ok());
        assert!(daily().burst(3_650).build().is_err());
    }
}
