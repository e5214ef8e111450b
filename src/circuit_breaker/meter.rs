//! What a closed breaker counts: the streak and the windows that its rules need, and nothing else.
use super::rules::Rules;
use super::snapshot::Counts;
use super::tagged::{Generation, Tagged};
use super::window_count::CountWindow;
use super::window_time::TimeWindow;
use super::{Cause, Window};
use std::time::Duration;

/// All counters of one breaker, and the rules they are judged by.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) rules: Rules,
    streak: Tagged,
    only_streak: bool,
    calls: Option<CountWindow>,
    time: Option<(TimeWindow, Duration)>,
}

impl Meter {
    /// Its time window begins at `start`.
    pub(super) fn new(
        rules: Rules,
        calls: Option<u32>,
        time: Option<(Duration, u32)>,
        start: u64,
    ) -> Self {
        let slow = rules.slow.is_some();
        let time = time.map(|(span, buckets)| {
            let window = TimeWindow::new(crate::clock::nanos(span), buckets, start);
            (window, span)
        });
        Meter {
            rules,
            streak: Tagged::default(),
            only_streak: calls.is_none() && time.is_none(),
            calls: calls.map(|size| CountWindow::new(size, slow)),
            time,
        }
    }

    /// One call that said something. `Some`: a rule is broken. `now` is asked for only if a rule
    /// needs it.
    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        failed: bool,
        slow: bool,
        now: impl FnOnce() -> u64,
    ) -> Option<Cause> {
        let mut cause = None;
        if let Some(limit) = self.rules.consecutive {
            if failed {
                let failures = self.streak.increment(generation)?;
                cause = (failures >= limit).then_some(Cause::ConsecutiveFailures { failures });
            } else if self.streak.peek() != 0 {
                self.streak.change(generation, |_| 0)?;
            }
        }
        if let Some(window) = &self.calls
            && let Some(counts) = window.record(generation, failed, slow)
        {
            cause = cause.or_else(|| self.rules.judge(counts, Window::Calls(window.size())));
        }
        if let Some((window, span)) = &self.time {
            let now = now();
            if let Some(counts) = window.record(generation, failed, slow, now)
                && cause.is_none()
                && self.rules.judge(counts, Window::Time(*span)).is_some()
            {
                // The counts were read while others wrote. A trip is worth the lock.
                cause = self.rules.judge(window.counts(now), Window::Time(*span));
            }
        }
        cause
    }

    /// Only a streak is counted, and there is none: a quick success has nothing to write.
    #[inline(always)]
    pub(super) fn is_unmoved_by_success(&self) -> bool {
        self.only_streak && self.streak.peek() == 0
    }

    /// Begins to count, from nothing.
    pub(super) fn reset(&self, generation: Generation) {
        self.streak.reset(generation);
        if let Some(window) = &self.calls {
            window.reset(generation);
        }
        if let Some((window, _)) = &self.time {
            window.reset(generation);
        }
    }

    /// Ends to count; what was counted stays readable.
    pub(super) fn freeze(&self, generation: Generation) {
        self.streak.freeze(generation);
        if let Some(window) = &self.calls {
            window.freeze(generation);
        }
        if let Some((window, _)) = &self.time {
            window.freeze(generation);
        }
    }

    pub(super) fn streak(&self) -> Option<u64> {
        self.rules.consecutive.map(|_| self.streak.peek())
    }

    pub(super) fn count_window(&self) -> Option<Counts> {
        self.calls.as_ref().map(CountWindow::counts)
    }

    pub(super) fn time_window(&self, now: u64) -> Option<Counts> {
        self.time.as_ref().map(|(window, _)| window.counts(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Generation = Generation::of(0);

    fn meter() -> Meter {
        let rules = Rules {
            consecutive: Some(3),
            failures: Some(0.5),
            slow: Some(0.5),
            minimum: 4,
        };
        Meter::new(rules, Some(8), Some((Duration::from_nanos(100), 10)), 0)
    }

    #[test]
    fn each_rule_is_judged_and_the_streak_comes_first() {
        let m = meter();
        assert_eq!(m.record(G, true, false, || 0), None);
        assert_eq!(m.record(G, true, false, || 0), None);
        assert_eq!(
            m.record(G, true, false, || 0),
            Some(Cause::ConsecutiveFailures { failures: 3 })
        );
        // A success ends the streak; now the rate is to blame.
        assert_eq!(
            m.record(G, false, false, || 0),
            Some(Cause::FailureRate {
                failures: 3,
                calls: 4,
                window: Window::Calls(8)
            })
        );
    }

    #[test]
    fn the_window_of_time_trips_when_the_window_of_calls_does_not() {
        let m = meter();
        for _ in 0..6 {
            assert_eq!(m.record(G, false, false, || 0), None);
        }
        for _ in 0..2 {
            assert_eq!(m.record(G, false, true, || 110), None);
        }
        assert_eq!(m.record(G, false, false, || 110), None);
        assert_eq!(
            m.record(G, false, false, || 110),
            Some(Cause::SlowCallRate {
                slow: 2,
                calls: 4,
                window: Window::Time(Duration::from_nanos(100))
            })
        );
    }

    #[test]
    fn nothing_of_another_generation_is_counted_anywhere() {
        let m = meter();
        m.reset(G.next());
        for _ in 0..10 {
            assert_eq!(m.record(G, true, true, || 5), None);
        }
        assert_eq!(m.streak(), Some(0));
        assert_eq!(m.count_window(), Some(Counts::default()));
        assert_eq!(m.time_window(5), Some(Counts::default()));
    }

    #[test]
    fn a_success_has_nothing_to_write_where_only_a_streak_is_counted_and_there_is_none() {
        let rules = Rules {
            consecutive: Some(9),
            failures: None,
            slow: None,
            minimum: 1,
        };
        let m = Meter::new(rules, None, None, 0);
        assert!(m.is_unmoved_by_success());
        assert_eq!(m.record(G, true, false, || 0), None);
        assert!(!m.is_unmoved_by_success());
        assert_eq!(m.record(G, false, false, || 0), None);
        assert!(m.is_unmoved_by_success());
        let counted = [
            Meter::new(rules, Some(8), None, 0),
            Meter::new(rules, None, Some((Duration::from_secs(1), 10)), 0),
        ];
        assert!(!counted.iter().any(Meter::is_unmoved_by_success));
    }

    #[test]
    fn the_clock_is_read_only_for_a_window_of_time() {
        let rules = Rules {
            consecutive: Some(9),
            failures: Some(0.5),
            slow: None,
            minimum: 1,
        };
        let m = Meter::new(rules, Some(8), None, 0);
        assert!(m.record(G, true, false, || unreachable!()).is_some());
        assert!(m.record(G, false, false, || unreachable!()).is_some());
    }
}
