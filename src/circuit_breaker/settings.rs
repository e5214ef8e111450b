//! What was set: whether it can be, and what it comes to.
use super::break_time::BreakTime;
use super::machine::Machine;
use super::meter::Meter;
use super::probes::Probes;
use super::rules::Rules;
use super::tagged::Generation;
use super::{State, window_count};
use crate::clock::nanos;
use crate::error::Check;
use crate::{BuildError, Name};
use std::time::Duration;

/// As given; `None` is not given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) consecutive_failures: Option<u32>,
    pub(super) failure_rate: Option<f64>,
    pub(super) slow_call_rate: Option<(f64, Duration)>,
    pub(super) count_window: Option<u32>,
    pub(super) time_window: Option<Duration>,
    pub(super) time_buckets: u32,
    pub(super) minimum_calls: Option<u32>,
    pub(super) break_for: Duration,
    pub(super) break_growth: Option<(f64, Duration)>,
    pub(super) break_jitter: f64,
    pub(super) half_open_probes: u32,
    pub(super) probe_lease: Duration,
    pub(super) open_on_retry_after: Option<Duration>,
    pub(super) seed: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            consecutive_failures: None,
            failure_rate: None,
            slow_call_rate: None,
            count_window: None,
            time_window: None,
            time_buckets: 10,
            minimum_calls: None,
            break_for: Duration::from_secs(30),
            break_growth: None,
            break_jitter: 0.0,
            half_open_probes: 3,
            probe_lease: Duration::from_secs(60),
            open_on_retry_after: None,
            seed: None,
        }
    }
}

impl Settings {
    pub(super) fn check(&self, name: Name) -> Result<(), BuildError> {
        let mut check = Check::new(name);
        let one = |n: Option<u32>| n.is_none_or(|n| n >= 1);
        check.that(
            one(self.consecutive_failures),
            "consecutive_failures",
            self.consecutive_failures.unwrap_or_default(),
            "at least 1",
        );
        if let Some(ratio) = self.failure_rate {
            check.ratio("failure_rate", ratio);
        }
        if let Some((ratio, slower_than)) = self.slow_call_rate {
            check
                .ratio("slow_call_rate", ratio)
                .positive("slow_call_rate", slower_than);
        }
        let calls = self.count_window.unwrap_or(COUNT_WINDOW);
        check.that(
            (1..=window_count::MAX_SIZE).contains(&calls),
            "count_window",
            calls,
            "between 1 and 1048576",
        );
        if let Some(window) = self.time_window {
            check.that(
                nanos(window) >= u64::from(self.time_buckets.max(1)),
                "time_window",
                window,
                "at least 1ns for each of its buckets",
            );
        }
        check.that(
            (2..=1_000).contains(&self.time_buckets),
            "time_buckets",
            self.time_buckets,
            "between 2 and 1000",
        );
        self.check_minimum(&mut check);
        self.check_break(&mut check);
        check
            .that(
                (1..=10_000).contains(&self.half_open_probes),
                "half_open_probes",
                self.half_open_probes,
                "between 1 and 10000",
            )
            .positive("probe_lease", self.probe_lease);
        if let Some(max) = self.open_on_retry_after {
            check.positive("open_on_retry_after", max);
        }
        check.done()
    }

    fn check_minimum(&self, check: &mut Check) {
        let Some(minimum) = self.minimum_calls else {
            return;
        };
        check.that(minimum >= 1, "minimum_calls", minimum, "at least 1");
        if let Some(window) = self.effective_count_window() {
            check.that(
                minimum <= window.max(1),
                "minimum_calls",
                minimum,
                format!("at most the count window, {window}"),
            );
        }
    }

    fn check_break(&self, check: &mut Check) {
        check.positive("break_for", self.break_for);
        if let Some((factor, max)) = self.break_growth {
            check
                .that(
                    factor >= 1.0 && factor.is_finite(),
                    "break_growth",
                    factor,
                    "a finite factor of at least 1.0",
                )
                .that(
                    max >= self.break_for,
                    "break_growth",
                    max,
                    format!("at least the first break, {:?}", self.break_for),
                );
        }
        check.that(
            (0.0..=1.0).contains(&self.break_jitter),
            "break_jitter",
            self.break_jitter,
            "at least 0.0 and at most 1.0",
        );
    }

    /// A window asks for a rate, and a breaker for a rule.
    fn effective_failure_rate(&self) -> Option<f64> {
        let windowed = self.count_window.is_some() || self.time_window.is_some();
        let wanted =
            self.slow_call_rate.is_none() && (windowed || self.consecutive_failures.is_none());
        self.failure_rate.or(wanted.then_some(FAILURE_RATE))
    }

    fn effective_count_window(&self) -> Option<u32> {
        let rated = self.effective_failure_rate().is_some() || self.slow_call_rate.is_some();
        let wanted = rated && self.time_window.is_none();
        self.count_window.or(wanted.then_some(COUNT_WINDOW))
    }

    pub(super) fn resolve(&self, seed: u64, now: u64) -> (Meter, Machine) {
        let calls = self.effective_count_window();
        let minimum = MINIMUM_CALLS.min(calls.unwrap_or(MINIMUM_CALLS));
        let rules = Rules {
            consecutive: self.consecutive_failures.map(u64::from),
            failures: self.effective_failure_rate(),
            slow: self.slow_call_rate.map(|(ratio, _)| ratio),
            minimum: u64::from(self.minimum_calls.unwrap_or(minimum)),
        };
        let time = self.time_window.map(|window| (window, self.time_buckets));
        let (factor, max) = self.break_growth.unwrap_or((1.0, Duration::MAX));
        let machine = Machine {
            generation: Generation::default(),
            state: State::Closed,
            cause: None,
            sequence: 0,
            trips: 0,
            open_until: 0,
            probes: Probes::new(self.half_open_probes, nanos(self.probe_lease)),
            breaks: BreakTime {
                base: nanos(self.break_for),
                factor,
                max: nanos(max),
                jitter_ratio: self.break_jitter,
                rng: fastrand::Rng::with_seed(seed),
            },
            rules,
            slow_after: self.slow_call_rate.map(|(_, limit)| nanos(limit)),
            heed: self.open_on_retry_after.map(nanos),
        };
        (Meter::new(rules, calls, time, now), machine)
    }
}

pub(super) const FAILURE_RATE: f64 = 0.5;
const COUNT_WINDOW: u32 = 100;
const MINIMUM_CALLS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit_breaker::{CircuitBreaker, CircuitBreakerConfig};

    const S: Duration = Duration::from_secs(1);

    fn config() -> CircuitBreakerConfig {
        CircuitBreaker::new("payments")
    }

    #[test]
    fn the_listed_defaults_are_what_is_built() {
        let explicit = config()
            .time_buckets(10)
            .break_for(30 * S)
            .break_jitter(0.0)
            .half_open_probes(3)
            .probe_lease(60 * S);
        assert_eq!(config(), explicit);
        let of = |c: CircuitBreakerConfig| format!("{:?}", c.settings.resolve(7, 0));
        let explicit = explicit
            .failure_rate(0.5)
            .count_window(100)
            .minimum_calls(20);
        assert_eq!(of(config()), of(explicit));
        // No growth is a factor of one without a cap.
        assert_eq!(of(config()), of(config().break_growth(1.0, Duration::MAX)));
        assert_eq!(config().settings.open_on_retry_after, None);
        assert_eq!(config().settings.seed, None);
        assert!(config().observer.is_none());
        assert_eq!(config().build().unwrap().name().as_str(), "payments");
    }

    #[test]
    fn a_window_asks_for_a_rate_and_a_rate_for_a_window() {
        let of = |c: CircuitBreakerConfig| {
            let s = c.settings;
            (s.effective_failure_rate(), s.effective_count_window())
        };
        assert_eq!(of(config()), (Some(0.5), Some(100)));
        assert_eq!(of(config().consecutive_failures(5)), (None, None));
        let windowed = config().consecutive_failures(5).time_window(S);
        assert_eq!(of(windowed), (Some(0.5), None));
        assert_eq!(of(config().slow_call_rate(0.5, S)), (None, Some(100)));
        let both = config().failure_rate(0.1).time_window(S).count_window(7);
        assert_eq!(of(both), (Some(0.1), Some(7)));
    }

    #[test]
    fn the_minimum_fits_a_short_window() {
        let minimum = |c: CircuitBreakerConfig| c.settings.resolve(0, 0).1.rules.minimum;
        assert_eq!(minimum(config().count_window(5)), 5);
        assert_eq!(minimum(config().count_window(50)), 20);
        assert_eq!(minimum(config().time_window(S)), 20);
        assert_eq!(minimum(config().minimum_calls(7)), 7);
        assert!(config().count_window(5).minimum_calls(5).build().is_ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let error = config()
            .consecutive_failures(0)
            .failure_rate(f64::NAN)
            .slow_call_rate(1.5, Duration::ZERO)
            .count_window(10)
            .minimum_calls(11)
            .time_window(Duration::from_nanos(1))
            .time_buckets(1_001)
            .break_for(Duration::ZERO)
            .break_jitter(-0.1)
            .half_open_probes(0)
            .probe_lease(Duration::ZERO)
            .open_on_retry_after(Duration::ZERO)
            .build()
            .unwrap_err();
        let told: Vec<_> = error.problems().iter().map(|p| p.to_string()).collect();
        let but = |what: &str| format!("`payments`: {}", what.replace(" <> ", ", but has to be "));
        let expected = [
            "consecutive_failures is 0 <> at least 1",
            "failure_rate is NaN <> above 0.0 and at most 1.0",
            "slow_call_rate is 1.5 <> above 0.0 and at most 1.0",
            "slow_call_rate is 0ns <> longer than zero",
            "time_window is 1ns <> at least 1ns for each of its buckets",
            "time_buckets is 1001 <> between 2 and 1000",
            "minimum_calls is 11 <> at most the count window, 10",
            "break_for is 0ns <> longer than zero",
            "break_jitter is -0.1 <> at least 0.0 and at most 1.0",
            "half_open_probes is 0 <> between 1 and 10000",
            "probe_lease is 0ns <> longer than zero",
            "open_on_retry_after is 0ns <> longer than zero",
        ];
        assert_eq!(told, expected.map(but));
    }

    #[test]
    fn each_bound_is_kept() {
        let refused = |c: CircuitBreakerConfig| c.build().unwrap_err().problems()[0].field;
        assert_eq!(refused(config().count_window(0)), "count_window");
        let long = window_count::MAX_SIZE;
        assert_eq!(refused(config().count_window(long + 1)), "count_window");
        assert_eq!(refused(config().minimum_calls(0)), "minimum_calls");
        assert_eq!(refused(config().minimum_calls(101)), "minimum_calls");
        assert_eq!(refused(config().time_buckets(1)), "time_buckets");
        assert_eq!(refused(config().failure_rate(0.0)), "failure_rate");
        assert_eq!(refused(config().break_growth(0.9, 60 * S)), "break_growth");
        assert_eq!(refused(config().break_growth(2.0, 29 * S)), "break_growth");
        for factor in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                refused(config().break_growth(factor, 60 * S)),
                "break_growth"
            );
        }
        assert_eq!(refused(config().break_jitter(f64::NAN)), "break_jitter");
        assert_eq!(
            refused(config().half_open_probes(10_001)),
            "half_open_probes"
        );
        let longest = config()
            .time_window(Duration::MAX)
            .break_for(Duration::MAX)
            .probe_lease(Duration::MAX)
            .slow_call_rate(1.0, Duration::MAX);
        assert!(longest.build().is_ok());
    }
}
