//! The only file that reads a clock.
//!
//! It is tokio's, so that under a paused tokio clock everything this crate times follows the test:
//! deadlines, backoffs, windows, break durations. Where no runtime exists it is the system's
//! monotonic clock. No decision hangs on the wall clock but the reading of HTTP dates, and those that
//! have to hold through a restart: a saga's timers, deadlines and retention.
//!
//! ```
//! use seawall::{CircuitBreaker, circuit_breaker::State, clock::Instant};
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let breaker = CircuitBreaker::new("db").consecutive_failures(1).build()?;
//! let _ = breaker.run(async || Err::<(), _>("down")).await;
//! let next: Option<Instant> = breaker.snapshot().next_attempt_at;
//! tokio::time::advance(Duration::from_secs(60)).await; // takes no time
//! assert_eq!(next, Some(Instant::now() - Duration::from_secs(30)));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

/// A reading of the monotonic clock: tokio's, so that tests can pause it.
pub use tokio::time::Instant;

use std::hash::{Hash, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

static EPOCH: LazyLock<Epoch> = LazyLock::new(Epoch::new);

/// What nanoseconds are counted from: two hours before this process first counted. The system's clock,
/// since one that a test has paused starts there and goes ahead.
struct Epoch {
    at: Instant,
    /// It as a [`Count`], where that counts nanoseconds.
    count: Option<u64>,
}

impl Epoch {
    #[allow(clippy::disallowed_methods)] // the one place
    #[cold]
    fn new() -> Self {
        let now = std::time::Instant::now();
        // Readings from before are told apart this far back. Some systems have none before their start.
        let earlier = [7200, 600, 60, 1].map(Duration::from_secs);
        let at = earlier.into_iter().find_map(|span| now.checked_sub(span));
        let at = at.unwrap_or(now).into();
        Epoch {
            at,
            count: Count::is_right_from(at, Instant::checked_add).then(|| Count::of(at)),
        }
    }

    /// 0 for what was before.
    #[inline(always)]
    fn nanos(&self, at: Instant) -> u64 {
        match self.count {
            // Readings lie within 292 years of the epoch, on either side of it.
            Some(count) => match Count::of(at).wrapping_sub(count) {
                since if since <= i64::MAX.cast_unsigned() => since,
                _ => before(),
            },
            None => nanos_since(self.at, at),
        }
    }
}

/// Apart, so that nobody else waits for the comparison.
#[cold]
fn before() -> u64 {
    0
}

/// What an instant is made of, as one number.
///
/// An `Instant` shows nothing but its distance to another, by two calls into the standard library that
/// are never inlined: 1 to 3 ns of a call that looks at the clock. It hashes what it is made of, though,
/// and on every system of today these are its seconds and its nanoseconds. Whether it is so is asked
/// once ([`is_right_from`](Count::is_right_from)); where it is not, the distance is taken.
#[derive(Default)]
struct Count(u64);

impl Count {
    #[inline(always)]
    fn of(at: impl Hash) -> u64 {
        let mut count = Count::default();
        at.hash(&mut count);
        count.finish()
    }

    fn is_right_from<I: Hash>(start: I, add: fn(&I, Duration) -> Option<I>) -> bool {
        const SPANS: [u64; 5] = [
            1,
            999_999_999,
            1_000_000_000,
            1_000_000_001,
            1_123_200_000_000_007,
        ];
        SPANS.into_iter().all(|span| {
            let end = add(&start, Duration::from_nanos(span));
            end.is_some_and(|end| Count::of(end).wrapping_sub(Count::of(&start)) == span)
        })
    }
}

impl Hasher for Count {
    #[inline(always)]
    fn write_u64(&mut self, n: u64) {
        self.0 = self.0.wrapping_mul(1_000_000_000).wrapping_add(n);
    }

    #[inline(always)]
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n.cast_unsigned());
    }

    #[inline(always)]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }

    /// Of something else.
    fn write(&mut self, _: &[u8]) {}

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Now, on the monotonic clock.
#[inline]
#[allow(clippy::disallowed_methods)] // the one place
pub(crate) fn now() -> Instant {
    #[cfg(all(test, seawall_shuttle))]
    return crate::schedules::now(Instant::now);
    #[cfg(not(all(test, seawall_shuttle)))]
    Instant::now()
}

/// Now, on the wall clock: for HTTP dates, and for what a saga's journal writes down.
#[cfg(any(feature = "http", feature = "saga"))]
#[allow(clippy::disallowed_methods)] // the one place
pub(crate) fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// Whole nanoseconds, `u64::MAX` for 584 years and more.
#[inline]
pub(crate) fn nanos(d: Duration) -> u64 {
    // Not `as_nanos`: its 128-bit product costs more than all the rest of a timeout.
    d.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(d.subsec_nanos()))
}

/// Nanoseconds from `epoch` to `now`; 0 if time arrives out of order.
#[inline]
pub(crate) fn nanos_since(epoch: Instant, now: Instant) -> u64 {
    nanos(now.saturating_duration_since(epoch))
}

/// Now, as nanoseconds from the epoch.
#[inline]
pub(crate) fn now_nanos() -> u64 {
    EPOCH.nanos(now())
}

/// An instant as nanoseconds from the epoch: below [`NEVER`], for 584 years.
#[inline]
pub(crate) fn nanos_of(at: Instant) -> u64 {
    nanos_since(EPOCH.at, at).min(NEVER - 1)
}

/// The instant so many nanoseconds from the epoch; `None` for [`NEVER`], and where there is none.
pub(crate) fn instant_of(nanos: u64) -> Option<Instant> {
    if nanos == NEVER {
        return None;
    }
    EPOCH.at.checked_add(Duration::from_nanos(nanos))
}

/// No instant.
pub(crate) const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_counted_in_nanoseconds() {
        assert!(EPOCH.count.is_some(), "this system hashes something else");
        let (before, reading, after) = (nanos_of(now()), now_nanos(), nanos_of(now()));
        assert!(before <= reading && reading <= after);
    }

    #[test]
    fn counting_and_taking_the_distance_come_to_the_same() {
        let counting = Epoch::new();
        let distance = Epoch {
            at: counting.at,
            count: None,
        };
        for span in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_001] {
            let after = counting.at + Duration::from_nanos(span);
            assert_eq!((counting.nanos(after), distance.nanos(after)), (span, span));
        }
        for span in [1, 999_999_999, 3_600_000_000_000] {
            let before = counting.at.checked_sub(Duration::from_nanos(span));
            let before = before.unwrap_or(counting.at);
            assert_eq!((counting.nanos(before), distance.nanos(before)), (0, 0));
        }
    }

    /// Instants of a system that there is not.
    #[derive(Clone, Copy, Hash)]
    struct Parts<A, B>(A, B);

    #[test]
    fn what_is_not_seconds_and_nanoseconds_is_not_counted() {
        const S: u64 = 1_000_000_000;
        let asked = [
            Count::is_right_from(Parts(5u64, 7u32), |p, d| {
                let sum = p.0 * S + u64::from(p.1) + d.as_nanos() as u64;
                Some(Parts(sum / S, (sum % S) as u32))
            }),
            // Ticks of a hundred nanoseconds; the wrong way round; bytes.
            Count::is_right_from(70u64, |p, d| Some(p + d.as_nanos() as u64 / 100)),
            Count::is_right_from(Parts(7u32, 5u64), |p, d| {
                let sum = p.1 * S + u64::from(p.0) + d.as_nanos() as u64;
                Some(Parts((sum % S) as u32, sum / S))
            }),
            Count::is_right_from([5u8; 8], |p, d| {
                Some((u64::from_be_bytes(*p) + d.as_nanos() as u64).to_be_bytes())
            }),
            Count::is_right_from(5u64, |_, _| None),
        ];
        assert_eq!(asked, [true, false, false, false, false]);
    }

    #[test]
    fn the_latest_instant_is_not_taken_for_none() {
        let late = EPOCH
            .at
            .checked_add(Duration::from_secs(700 * 365 * 86_400));
        assert_eq!(nanos_of(late.unwrap()), NEVER - 1);
        assert_eq!(instant_of(NEVER), None);
        let soon = EPOCH.at + Duration::from_nanos(7);
        assert_eq!((nanos_of(soon), instant_of(7)), (7, Some(soon)));
    }

    #[test]
    fn readings_of_the_last_two_hours_are_told_apart() {
        let (now, hours) = (now(), Duration::from_secs(7_200));
        // Not of a clock that has just begun.
        if now.checked_sub(hours).is_some() {
            assert!(nanos_of(now - Duration::from_secs(7_000)) > 0);
        }
    }
}
