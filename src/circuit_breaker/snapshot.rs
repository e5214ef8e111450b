use super::{Cause, State};
use crate::clock::Instant;

/// What a breaker looked like at one moment. Taking it moves nothing.
///
/// Counters are read one after the other, without stopping calls: under load they can be apart by
/// the calls that were being counted at that moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does with calls. An open breaker whose break is over is open until a call comes.
    pub state: State,
    /// Why it is in this state; `None`: it was built or reset so.
    pub cause: Option<Cause>,
    /// How many times its state has changed: the `sequence` of the last
    /// [`StateChanged`](crate::Event::StateChanged).
    pub sequence: u64,
    /// How many times it has tripped since it was last closed: what a growing break grows with.
    pub trips: u32,
    /// When the next call is let through, if it is open: now, if the break is over. `None` where
    /// that is beyond the clock's range.
    pub next_attempt_at: Option<Instant>,
    /// Failures since the last success, if
    /// [`consecutive_failures`](super::CircuitBreakerConfig::consecutive_failures) is set.
    pub consecutive_failures: Option<u64>,
    /// What the count window holds, if there is one. It is as it was at the trip until the breaker
    /// counts again.
    pub count_window: Option<Counts>,
    /// What the time window holds now, if there is one.
    pub time_window: Option<Counts>,
    /// The probes, if it is half-open.
    pub probes: Option<Probes>,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that said something about the dependency.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Those of them, failed or not, that took longer than allowed; 0 where no
    /// [`slow_call_rate`](super::CircuitBreakerConfig::slow_call_rate) is set.
    pub slow_calls: u64,
}

impl Counts {
    /// The share that failed; `None` without calls.
    pub fn failure_rate(&self) -> Option<f64> {
        self.share(self.failures)
    }

    /// The share that was slow; `None` without calls.
    pub fn slow_call_rate(&self) -> Option<f64> {
        self.share(self.slow_calls)
    }

    // A quotient and not a product: `3 / 30` is the very number that `0.1` is, so that an inclusive
    // test of a rate is exact.
    #[inline]
    fn share(&self, of: u64) -> Option<f64> {
        (self.calls > 0).then(|| of as f64 / self.calls as f64)
    }
}

/// The probes of a half-open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probes {
    /// How many probes have to answer.
    pub needed: u32,
    /// How many probes are under way.
    pub out: u32,
    /// Those that have answered.
    pub answered: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_calls_there_is_no_rate() {
        assert_eq!(Counts::default().failure_rate(), None);
        let counts = Counts {
            calls: 4,
            failures: 1,
            slow_calls: 2,
        };
        assert_eq!(counts.failure_rate(), Some(0.25));
        assert_eq!(counts.slow_call_rate(), Some(0.5));
    }
}
