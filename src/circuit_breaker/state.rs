use std::{fmt, time::Duration};

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Lets calls through and counts them.
    Closed,
    /// Refuses, until the break is over and a call comes.
    Open,
    /// Lets a fixed number of probes through, and refuses the rest.
    HalfOpen,
    /// Refuses, until told otherwise by hand.
    Isolated,
    /// Lets everything through and counts nothing, until told otherwise by hand.
    Disabled,
    /// Lets everything through, counts, and never trips, until told otherwise by hand.
    MetricsOnly,
}

impl State {
    /// The label in events, metrics and logs.
    ///
    /// `closed`, `open`, `half_open`, `isolated`, `disabled` or `metrics_only`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
            State::Isolated => "isolated",
            State::Disabled => "disabled",
            State::MetricsOnly => "metrics_only",
        }
    }

    pub(super) const fn bits(self) -> u64 {
        match self {
            State::Closed => CLOSED,
            State::Open => OPEN,
            State::HalfOpen => HALF_OPEN,
            State::Isolated => 3,
            State::Disabled => 4,
            State::MetricsOnly => METRICS_ONLY,
        }
    }

    pub(super) const fn from_bits(bits: u64) -> State {
        match bits {
            CLOSED => State::Closed,
            OPEN => State::Open,
            HALF_OPEN => State::HalfOpen,
            3 => State::Isolated,
            4 => State::Disabled,
            _ => State::MetricsOnly,
        }
    }

    /// Whether calls are counted.
    pub(super) const fn counts(self) -> bool {
        matches!(self, State::Closed | State::MetricsOnly)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub(super) const CLOSED: u64 = 0;
const OPEN: u64 = 1;
pub(super) const HALF_OPEN: u64 = 2;
pub(super) const METRICS_ONLY: u64 = 5;

/// Why a state changed, with the numbers that decided it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// [`consecutive_failures`](super::CircuitBreakerConfig::consecutive_failures) tripped.
    ConsecutiveFailures {
        /// How many there were in a row.
        failures: u64,
    },
    /// [`failure_rate`](super::CircuitBreakerConfig::failure_rate) tripped.
    FailureRate {
        /// Failures in the window.
        failures: u64,
        /// Calls in the window.
        calls: u64,
        /// Which window.
        window: Window,
    },
    /// [`slow_call_rate`](super::CircuitBreakerConfig::slow_call_rate) tripped.
    SlowCallRate {
        /// Slow calls in the window.
        slow: u64,
        /// Calls in the window.
        calls: u64,
        /// Which window.
        window: Window,
    },
    /// The dependency asked for less, and
    /// [`open_on_retry_after`](super::CircuitBreakerConfig::open_on_retry_after) obeyed.
    RetryAfter {
        /// The break: what it asked for, capped.
        break_for: Duration,
    },
    /// The break is over and a call came: half-open.
    BreakOver,
    /// All probes have answered: closed, or open again.
    Probes {
        /// How many there were.
        probes: u64,
        /// How many of them failed.
        failures: u64,
        /// How many probes were slow, failed or not.
        slow: u64,
    },
    /// [`isolate`](super::CircuitBreaker::isolate), [`close`](super::CircuitBreaker::close),
    /// [`reset`](super::CircuitBreaker::reset), [`disable`](super::CircuitBreaker::disable) or
    /// [`metrics_only`](super::CircuitBreaker::metrics_only).
    ByHand,
}

/// What a rate was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last so many calls.
    Calls(u32),
    /// The calls of the last so much time.
    Time(Duration),
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Calls(calls) => write!(f, "window of {calls} calls"),
            Window::Time(time) => write!(f, "window of {time:?}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::ConsecutiveFailures { failures } => write!(f, "{failures} failures in a row"),
            Cause::FailureRate {
                failures,
                calls,
                window,
            } => write!(f, "{failures} of {calls} calls failed in a {window}"),
            Cause::SlowCallRate {
                slow,
                calls,
                window,
            } => write!(f, "{slow} of {calls} calls were slow in a {window}"),
            Cause::RetryAfter { break_for } => write!(f, "asked to wait for {break_for:?}"),
            Cause::BreakOver => f.write_str("the break is over"),
            Cause::Probes {
                probes,
                failures,
                slow,
            } => write!(
                f,
                "of {probes} probes, {failures} failed and {slow} were slow"
            ),
            Cause::ByHand => f.write_str("by hand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 6] = [
        State::Closed,
        State::Open,
        State::HalfOpen,
        State::Isolated,
        State::Disabled,
        State::MetricsOnly,
    ];

    #[test]
    fn every_state_survives_the_way_through_its_bits() {
        for state in ALL {
            assert_eq!(State::from_bits(state.bits()), state);
        }
    }

    #[test]
    fn a_cause_reads_as_half_a_sentence() {
        let cause = Cause::FailureRate {
            failures: 12,
            calls: 20,
            window: Window::Calls(100),
        };
        assert_eq!(
            format!("{}: {cause}", State::Open),
            "open: 12 of 20 calls failed in a window of 100 calls"
        );
    }
}
