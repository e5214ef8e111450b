use super::CircuitBreaker;
use super::settings::Settings;
use crate::{BuildError, Name, Observer, clock};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a [`CircuitBreaker`].
///
/// # Defaults
/// - rules: [`failure_rate`](Self::failure_rate) 0.5, if no rule is set, or a window and no rate;
///   [`consecutive_failures`](Self::consecutive_failures) and
///   [`slow_call_rate`](Self::slow_call_rate) off
/// - [`count_window`](Self::count_window): 100 calls, if a rate is in force and no window is set
/// - [`time_window`](Self::time_window): off; [`time_buckets`](Self::time_buckets): 10
/// - [`minimum_calls`](Self::minimum_calls): 20, or all of a shorter count window
/// - [`break_for`](Self::break_for): 30 s; [`break_growth`](Self::break_growth): none;
///   [`break_jitter`](Self::break_jitter): 0.0
/// - [`half_open_probes`](Self::half_open_probes): 3; [`probe_lease`](Self::probe_lease): 60 s
/// - [`open_on_retry_after`](Self::open_on_retry_after): off
/// - [`seed`](Self::seed): drawn when it is built
/// - [`observer`](Self::observer): nobody
/// - [`name`](Self::name): the one given to [`CircuitBreaker::new`]
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct CircuitBreakerConfig {
    name: Name,
    pub(super) settings: Settings,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl CircuitBreakerConfig {
    pub(super) fn new(name: Name) -> Self {
        CircuitBreakerConfig {
            name,
            settings: Settings::default(),
            observer: None,
        }
    }

    /// The label in refusals, events and metrics.
    ///
    /// Default: the one given to [`CircuitBreaker::new`].
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Trips on so many failures in a row; at least 1.
    ///
    /// The cheapest rule: a success costs no write. Default: off.
    pub fn consecutive_failures(mut self, failures: u32) -> Self {
        self.settings.consecutive_failures = Some(failures);
        self
    }

    /// Trips when at least this share of the calls in a window has failed: above 0.0, at most 1.0.
    ///
    /// The probes are judged by it too. Default: 0.5, where no rule is set, or a window and no
    /// rate.
    pub fn failure_rate(mut self, ratio: f64) -> Self {
        self.settings.failure_rate = Some(ratio);
        self
    }

    /// Trips when at least this share of the calls in a window took longer than `slower_than`.
    ///
    /// Failed or not, strictly longer, and from the breaker's own place in the stack. The ratio is
    /// above 0.0 and at most 1.0. The probes are judged by it too. Default: off.
    ///
    /// Reads the clock at both ends of a call, once per poll of its future: an operation that is
    /// ready at its first poll took no time, however long that poll was. Right for calls of up to
    /// 76 hours.
    pub fn slow_call_rate(mut self, ratio: f64, slower_than: Duration) -> Self {
        self.settings.slow_call_rate = Some((ratio, slower_than));
        self
    }

    /// Rates are taken over the last so many calls, exactly: 1 to 1,048,576.
    ///
    /// A quarter of a byte each, or half a byte with [`slow_call_rate`](Self::slow_call_rate).
    /// Default: 100, where a rate is in force and no window is set.
    ///
    /// With [`time_window`](Self::time_window) too, each rate is tested over both.
    pub fn count_window(mut self, calls: u32) -> Self {
        self.settings.count_window = Some(calls);
        self
    }

    /// Rates are taken over the calls of the last so much time.
    ///
    /// It is kept in [`time_buckets`](Self::time_buckets): a call is forgotten at most one bucket
    /// early and never late. Reads the clock at the end of a call. Default: off.
    pub fn time_window(mut self, window: Duration) -> Self {
        self.settings.time_window = Some(window);
        self
    }

    /// How many buckets the time window has, 2 to 1,000.
    ///
    /// The window's error is at most its length divided by this. Default: 10.
    pub fn time_buckets(mut self, buckets: u32) -> Self {
        self.settings.time_buckets = buckets;
        self
    }

    /// A rate of fewer calls trips nothing; at least 1, at most the count window.
    ///
    /// Default: 20, or all of a shorter count window.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.settings.minimum_calls = Some(calls);
        self
    }

    /// How long it stays open after the first trip, from the trip. Default: 30 s.
    pub fn break_for(mut self, length: Duration) -> Self {
        self.settings.break_for = length;
        self
    }

    /// Each trip since the breaker was last closed multiplies the break by `factor`, at least 1.0.
    ///
    /// No break is above `max`, jitter included. Default: every break is the same, uncapped.
    pub fn break_growth(mut self, factor: f64, max: Duration) -> Self {
        self.settings.break_growth = Some((factor, max));
        self
    }

    /// Spreads breaks evenly between `1 - ratio` and `1 + ratio` times their length.
    ///
    /// 0.0 to 1.0, so that the breakers of many instances do not probe at once. Default: 0.0.
    pub fn break_jitter(mut self, ratio: f64) -> Self {
        self.settings.break_jitter = ratio;
        self
    }

    /// Half-open lets exactly so many calls through, 1 to 10,000.
    ///
    /// When all have answered, their failure rate (against [`failure_rate`](Self::failure_rate), or
    /// 0.5) and their slow-call rate decide. Default: 3.
    pub fn half_open_probes(mut self, probes: u32) -> Self {
        self.settings.half_open_probes = probes;
        self
    }

    /// A probe that has not ended by then gives its slot to the next call.
    ///
    /// Longer than any call should take. Default: 60 s.
    pub fn probe_lease(mut self, lease: Duration) -> Self {
        self.settings.probe_lease = lease;
        self
    }

    /// A throttled answer that says when to come back opens the breaker for that long.
    ///
    /// At most for `max`, closed or half-open. Default: off; throttled calls are no failures.
    pub fn open_on_retry_after(mut self, max: Duration) -> Self {
        self.settings.open_on_retry_after = Some(max);
        self
    }

    /// Where jitter starts, so that a run can be repeated.
    ///
    /// Default: drawn when it is built; the handle's `Debug` shows it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Who hears of calls made with this breaker alone, and of changes made by hand.
    ///
    /// Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The breaker, closed.
    ///
    /// # Errors
    /// A number or a span is out of the range its setter names, or the minimum is above the count
    /// window, or the longest break is below the first. All of them are told at once.
    pub fn build(self) -> Result<CircuitBreaker, BuildError> {
        let CircuitBreakerConfig {
            name,
            settings,
            observer,
        } = self;
        settings.check(name)?;
        let seed = settings.seed.unwrap_or_else(|| fastrand::u64(..));
        let (meter, machine) = settings.resolve(seed, clock::now_nanos());
        Ok(CircuitBreaker::of(meter, machine, seed, name, observer))
    }
}

impl fmt::Debug for CircuitBreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerConfig")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Observers are not compared.
impl PartialEq for CircuitBreakerConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.settings) == (other.name, &other.settings)
    }
}
