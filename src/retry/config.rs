use super::policy::{Limit, Retry, Settings};
use super::ticket::Timed;
use super::verdict::Rules;
use super::{Backoff, RetryBudget};
use crate::error::Check;
use crate::policy::Outcome;
use crate::{BuildError, Name, Observer};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a [`Retry`].
///
/// # Defaults
/// - attempts: as given to [`Retry::attempts`]; unlimited with [`Retry::within`]
/// - [`max_elapsed`](RetryConfig::max_elapsed): none with [`Retry::attempts`]
/// - [`backoff`](RetryConfig::backoff): exponential from 50 ms, factor 2, at most 30 s, full jitter
/// - [`budget`](RetryConfig::budget): none
/// - [`retry_if`](RetryConfig::retry_if): the [table](crate::retry)
/// - [`retry_refusals`](RetryConfig::retry_refusals), [`wait_for_circuit`](RetryConfig::wait_for_circuit):
///   refusals are not retried
/// - [`max_retry_after`](RetryConfig::max_retry_after): 60 s
/// - [`name`](RetryConfig::name): `"retry"`
/// - [`observer`](RetryConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct RetryConfig {
    name: Name,
    attempts: Option<u32>,
    max_elapsed: Option<Duration>,
    backoff: Backoff,
    budget: Option<RetryBudget>,
    rules: Rules,
    observer: Option<Arc<dyn Observer>>,
}

const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(50))
    .factor(2.0)
    .max(Duration::from_secs(30))
    .jitter();

impl Retry {
    /// At most so many attempts, the first one counted: `attempts(3)` repeats twice.
    pub const fn attempts(attempts: u32) -> RetryConfig {
        RetryConfig::new(Some(attempts), None)
    }

    /// As many attempts as start within this time of the first.
    ///
    /// See [`max_elapsed`](RetryConfig::max_elapsed).
    pub const fn within(max_elapsed: Duration) -> RetryConfig {
        RetryConfig::new(None, Some(max_elapsed))
    }
}

impl RetryConfig {
    const fn new(attempts: Option<u32>, max_elapsed: Option<Duration>) -> Self {
        RetryConfig {
            name: Name::from_static("retry"),
            attempts,
            max_elapsed,
            backoff: BACKOFF,
            budget: None,
            rules: Rules {
                refusals: false,
                circuit: false,
                max_retry_after: Duration::from_secs(60),
                retry_if: None,
            },
            observer: None,
        }
    }

    /// No attempt is planned for later than this after the first, to the microsecond.
    ///
    /// If the wait before the next would end no earlier, the call gives up now, without waiting. One
    /// that has been planned is made, however late a timer or a busy runtime wakes the call; and an
    /// attempt under way is not cut off. Both are a [`Timeout`](crate::Timeout)'s work.
    ///
    /// Costs one reading of the clock per call. At most 101 days, and with at most 4,095
    /// [`attempts`](Retry::attempts); [`Duration::MAX`] is no limit.
    /// Default: none with [`Retry::attempts`].
    pub const fn max_elapsed(mut self, max_elapsed: Duration) -> Self {
        self.max_elapsed = Some(max_elapsed);
        self
    }

    /// The wait before each further attempt.
    ///
    /// Default: exponential from 50 ms, factor 2, at most 30 s, full jitter.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// What retries may cost together, shared with whoever else has this budget. Default: none.
    pub fn budget(mut self, budget: &RetryBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Decides instead of the [table](crate::retry), from the outcome.
    ///
    /// Asked of every failure: `Transient`, `Throttled`, `Permanent`, `Ignored`, `TimedOut`; and of
    /// refusals where [`retry_refusals`](RetryConfig::retry_refusals) or
    /// [`wait_for_circuit`](RetryConfig::wait_for_circuit) let them through. Not asked where the
    /// answer is settled: a success, a cancellation, a panic, a refusal for good, and
    /// [`Class::Failed`](crate::Class::Failed), which must not be repeated. What a value or an error
    /// means is the dialect's to say. A panic in it is contained, and stops. Default: the table.
    ///
    /// ```
    /// use seawall::policy::Outcome;
    /// use seawall::retry::{Backoff, Retry};
    /// # tokio_test::block_on(async {
    /// // Only what a timeout inside has cut off.
    /// let retry = Retry::attempts(3)
    ///     .backoff(Backoff::none())
    ///     .retry_if(|outcome| matches!(outcome, Outcome::TimedOut))
    ///     .build()?;
    /// let mut attempts = 0;
    /// let answer = retry.run(|| { attempts += 1; async { Err::<(), _>("down") } }).await;
    /// assert!(answer.is_err() && attempts == 1);
    /// # Ok::<_, seawall::BuildError>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_if(
        mut self,
        again: impl Fn(&Outcome<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.retry_if = Some(Arc::new(again));
        self
    }

    /// Retries what policies further in refuse, too.
    ///
    /// A full bulkhead, a spent limit, an open circuit; not before the time they hint at. Not what no
    /// wait can mend: a circuit opened by hand, a call larger than a limit's burst, a missing timer.
    /// Default: refusals are returned.
    pub const fn retry_refusals(mut self) -> Self {
        self.rules.refusals = true;
        self
    }

    /// Retries the refusal of an open circuit further in, after exactly the time it hints at.
    ///
    /// Without backoff or jitter; after the backoff if it is half-open and gives no hint. Not
    /// capped by [`max_retry_after`](RetryConfig::max_retry_after): to come earlier is to be
    /// refused again. Default: refusals are returned.
    pub const fn wait_for_circuit(mut self) -> Self {
        self.rules.circuit = true;
        self
    }

    /// The longest that a hint (`Retry-After`, a spent limit's) may lengthen a wait.
    ///
    /// Where more is asked for, the attempt is made after this time. Default: 60 s.
    pub const fn max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.rules.max_retry_after = max_retry_after;
        self
    }

    /// The label in events and metrics. Default: `"retry"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Who hears of calls made with this retry alone. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// Everything that is wrong, at once: no attempts, no time, a backoff whose first wait is zero
    /// or above its `max`, a factor or a ratio outside its range, a setting that its shape does not
    /// take.
    pub fn build(self) -> Result<Retry, BuildError> {
        let (longest, most) = (Timed::LONGEST, Timed::LAST);
        let mut check = Check::new(self.name);
        if let Some(attempts) = self.attempts {
            check.that(attempts > 0, "attempts", attempts, "at least 1");
            let fits = self.limit().is_none() || attempts <= most;
            let allowed = format!("at most {most} together with max_elapsed");
            check.that(fits, "attempts", attempts, allowed);
        }
        if let Some(limit) = self.max_elapsed {
            let fits = limit <= longest || limit == Duration::MAX;
            check.positive("max_elapsed", limit).that(
                fits,
                "max_elapsed",
                limit,
                "at most 101 days, or Duration::MAX for no limit",
            );
        }
        self.backoff.check(&mut check);
        check.positive("max_retry_after", self.rules.max_retry_after);
        check.done()?;
        let limit = self.limit().map(Limit::new);
        let settings = Settings {
            attempts: self.attempts,
            backoff: self.backoff,
            rules: self.rules,
        };
        Ok(Retry::new(
            self.name,
            settings,
            limit,
            self.budget,
            self.observer,
        ))
    }

    fn limit(&self) -> Option<Duration> {
        self.max_elapsed.filter(|limit| *limit != Duration::MAX)
    }
}

impl fmt::Debug for RetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryConfig")
            .field("name", &self.name)
            .field("attempts", &self.attempts)
            .field("max_elapsed", &self.max_elapsed)
            .field("backoff", &self.backoff)
            .field("budget", &self.budget)
            .field("retry_refusals", &self.rules.refusals)
            .field("wait_for_circuit", &self.rules.circuit)
            .field("max_retry_after", &self.rules.max_retry_after)
            .finish_non_exhaustive()
    }
}

/// Budgets and predicates are equal to their own clones; observers are not compared.
impl PartialEq for RetryConfig {
    fn eq(&self, other: &Self) -> bool {
        let budgets = match (&self.budget, &other.budget) {
            (Some(a), Some(b)) => a.is(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        (self.name, self.attempts, self.max_elapsed)
            == (other.name, other.attempts, other.max_elapsed)
            && self.backoff == other.backoff
            && self.rules == other.rules
            && budgets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_are_as_documented() {
        let ms = Duration::from_millis(50);
        let backoff = Backoff::exponential(ms).factor(2.0).max(30 * S).jitter();
        let spelled = Retry::attempts(3)
            .backoff(backoff.clone())
            .max_retry_after(60 * S)
            .name("retry");
        assert_eq!(Retry::attempts(3), spelled);
        assert_eq!(spelled.attempts, Some(3));
        assert_eq!(spelled.max_elapsed, None);
        assert!(spelled.budget.is_none() && spelled.observer.is_none());
        assert!(!spelled.rules.refusals && !spelled.rules.circuit);
        assert!(spelled.rules.retry_if.is_none());
        let within = Retry::within(S);
        assert_eq!((within.attempts, within.max_elapsed), (None, Some(S)));
        assert_eq!(within.backoff, backoff);
    }

    fn wrong(config: RetryConfig) -> Vec<&'static str> {
        let error = config.build().unwrap_err();
        error.problems().iter().map(|p| p.field).collect()
    }

    #[test]
    fn every_wrong_setting_is_told_at_once() {
        let config = Retry::attempts(0)
            .max_elapsed(Duration::ZERO)
            .backoff(
                Backoff::exponential(Duration::ZERO)
                    .max(Duration::ZERO)
                    .factor(f64::NAN)
                    .proportional_jitter(1.5),
            )
            .max_retry_after(Duration::ZERO);
        assert_eq!(
            wrong(config),
            [
                "attempts",
                "max_elapsed",
                "exponential",
                "max",
                "factor",
                "proportional_jitter",
                "max_retry_after"
            ]
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let retry = Retry::attempts(2);
        let with = |backoff| wrong(retry.clone().backoff(backoff));
        assert_eq!(with(Backoff::constant(2 * S).max(S)), ["max"]);
        assert_eq!(with(Backoff::linear(31 * S)), ["max"]);
        assert_eq!(with(Backoff::linear(S).factor(2.0)), ["factor"]);
        assert_eq!(with(Backoff::exponential(S).factor(0.9)), ["factor"]);
        assert_eq!(with(Backoff::decorrelated(S).equal_jitter()), ["jitter"]);
        assert_eq!(wrong(Retry::attempts(4_096).max_elapsed(S)), ["attempts"]);
        assert_eq!(
            wrong(Retry::within(Duration::from_secs(u64::MAX))),
            ["max_elapsed"]
        );
    }

    #[test]
    fn the_largest_settings_build() {
        for config in [
            Retry::attempts(u32::MAX),
            Retry::attempts(4_095).max_elapsed(S),
            Retry::within(Duration::MAX),
            Retry::within(100 * 86_400 * S),
            Retry::attempts(1).backoff(Backoff::linear(Duration::MAX).max(Duration::MAX)),
        ] {
            config.build().unwrap();
        }
    }

    #[test]
    fn only_a_limit_bounds_it_in_time() {
        let bounded = |config: RetryConfig| config.build().unwrap().is_bounded_in_time();
        assert!(bounded(Retry::within(S)));
        assert!(!bounded(Retry::attempts(3)));
        assert!(!bounded(Retry::within(Duration::MAX)));
    }
}
