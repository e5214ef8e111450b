//! When is it enough?
use super::snapshot::Counts;
use super::{Cause, Window};

/// The rules of one breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    /// In a row.
    pub(super) consecutive: Option<u64>,
    /// Share of the calls in a window.
    pub(super) failures: Option<f64>,
    /// Share of the calls in a window.
    pub(super) slow: Option<f64>,
    /// No rate of fewer calls says anything.
    pub(super) minimum: u64,
}

impl Rules {
    /// The first rate rule that this window breaks.
    #[inline]
    pub(super) fn judge(&self, counts: Counts, window: Window) -> Option<Cause> {
        let Counts {
            calls,
            failures,
            slow_calls: slow,
        } = counts;
        if calls < self.minimum {
            return None;
        }
        if reached(counts.failure_rate(), self.failures) {
            return Some(Cause::FailureRate {
                failures,
                calls,
                window,
            });
        }
        reached(counts.slow_call_rate(), self.slow).then_some(Cause::SlowCallRate {
            slow,
            calls,
            window,
        })
    }

    /// Whether the probes' answers mean that it must stay open. Where no failure rate is set, half
    /// of them may not fail.
    pub(super) fn condemn(&self, answered: Counts) -> bool {
        let ratio = self.failures.unwrap_or(super::settings::FAILURE_RATE);
        reached(answered.failure_rate(), Some(ratio))
            || reached(answered.slow_call_rate(), self.slow)
    }
}

/// Inclusive.
#[inline(always)]
fn reached(rate: Option<f64>, limit: Option<f64>) -> bool {
    matches!((rate, limit), (Some(rate), Some(limit)) if rate >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        consecutive: None,
        failures: Some(0.1),
        slow: Some(0.3),
        minimum: 10,
    };

    fn judge(calls: u64, failures: u64, slow_calls: u64) -> Option<Cause> {
        let counts = Counts {
            calls,
            failures,
            slow_calls,
        };
        RULES.judge(counts, Window::Calls(100))
    }

    #[test]
    fn a_rate_is_tested_inclusively_and_exactly() {
        for calls in (10..=1_000).step_by(10) {
            assert!(judge(calls, calls / 10, 0).is_some(), "{calls}");
            assert!(judge(calls, calls / 10 - 1, 0).is_none(), "{calls}");
        }
    }

    #[test]
    fn nothing_is_judged_below_the_minimum() {
        assert_eq!(judge(9, 9, 9), None);
        assert!(judge(10, 9, 9).is_some());
    }

    #[test]
    fn the_cause_is_the_first_broken_rule_with_its_numbers() {
        let window = Window::Calls(100);
        assert_eq!(
            judge(10, 1, 9),
            Some(Cause::FailureRate {
                failures: 1,
                calls: 10,
                window
            })
        );
        assert_eq!(
            judge(10, 0, 3),
            Some(Cause::SlowCallRate {
                slow: 3,
                calls: 10,
                window
            })
        );
        assert_eq!(judge(10, 0, 2), None);
    }

    #[test]
    fn probes_are_condemned_by_either_rate() {
        let probes = |failures, slow_calls| Counts {
            calls: 20,
            failures,
            slow_calls,
        };
        assert!(RULES.condemn(probes(2, 0)) && RULES.condemn(probes(0, 6)));
        assert!(!RULES.condemn(probes(1, 5)));
        let consecutive = Rules {
            failures: None,
            slow: None,
            ..RULES
        };
        assert!(consecutive.condemn(probes(10, 0)) && !consecutive.condemn(probes(9, 20)));
    }
}
