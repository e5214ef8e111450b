//! The generic cell rate algorithm as virtual scheduling (ITU-T I.371, annex A), in whole numbers.
//!
//! Time is a line on which every permit covers an *interval* (the span divided by the permits). The
//! only state is `full_at`, the end of what is covered, which I.371 calls the theoretical arrival
//! time: when it is past, the whole burst is there. A call of weight w covers the next w intervals:
//!
//! ```text
//! turn  = [start, end]   with  start = max(full_at, now),  end = start + w × interval
//! it may go once   now ≥ end − burst × interval            then  full_at = end
//! ```
//! | `end − burst × interval − now` | answer | `full_at` |
//! |---|---|---|
//! | not above zero | now | end |
//! | at most the longest wait | after that wait | end |
//! | longer | refused; come back after it | as it was |
//! | a turn is given back, and is the last | – | its start |
//! | a turn is given back, and others follow | lost | as it was |
//!
//! # Why no interval admits more than burst + rate × t
//! Turns do not overlap: each begins where the last one ended or later, and only the last is ever
//! taken off. (Its end equals `full_at`, and as no turn is empty, no other has that end.) A call is
//! let in at an instant a with `end − burst × interval ≤ a ≤ start`: at once, `start` is no earlier
//! than now; after a wait, a is the left bound, and the turn is no longer than the burst. So the
//! turns of all calls let in from t₁ to t₂ lie between t₁ and t₂ + burst × interval, and side by
//! side no more than `burst + (t₂ − t₁) / interval` permits fit there. Turns that were given back
//! or lost only leave gaps. An older `now` moves nothing back: `start` is never before `full_at`.
//!
//! # Precision
//! A tick is 1/16 ns, and the interval is rounded up to whole ticks: the rate is met exactly where
//! the permits divide 16 ns × the span, and is otherwise lower, never higher, by less than
//! 1/(16 × interval in ns): 6 parts in a million at 100,000 per second, 6 in a hundred at 10⁹. A
//! wait ends on a whole nanosecond, and the turn is moved back by as much as that takes. Limits count
//! for 36 years from the start of the process, and then refuse.
use crate::clock::nanos;
use std::time::Duration;

/// The rule, without the state: a decision is safe to make again when another call was faster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra {
    interval: u64,
    burst: u32,
    /// `burst × interval`.
    tolerance: u64,
}

/// What to do with a call. Spans and instants in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It has this turn, and may go after the wait, if any.
    Turn { end: u64, wait: u64 },
    /// Its turn would come only after this wait.
    TooSoon { wait: u64 },
}

/// Ticks in a nanosecond.
pub(super) const TICKS: u64 = 16;

/// The longest time in which a spent burst comes back, so that sums of ticks do not overflow.
pub(super) const LONGEST_REFILL: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl Gcra {
    /// Of settings that `build` has let through. Others saturate towards admitting less.
    pub(super) fn new(permits: u32, per: Duration, burst: u32) -> Self {
        let span = per.as_nanos().saturating_mul(u128::from(TICKS));
        let interval = span.div_ceil(u128::from(permits.max(1))).max(1);
        let interval = u64::try_from(interval).unwrap_or(u64::MAX);
        Gcra {
            interval,
            burst,
            tolerance: interval.saturating_mul(u64::from(burst)),
        }
    }

    #[inline]
    pub(super) fn burst(&self) -> u32 {
        self.burst
    }

    /// What a call of this weight covers.
    pub(super) fn cost(&self, weight: u32) -> u64 {
        self.interval.saturating_mul(u64::from(weight))
    }

    /// `cost` is that of a weight from 1 to the burst.
    #[inline]
    pub(super) fn decide(&self, cost: u64, max_wait: u64, full_at: u64, now: u64) -> Decision {
        let Some(end) = full_at.max(now).checked_add(cost) else {
            return Decision::TooSoon { wait: u64::MAX };
        };
        let wait = end.saturating_sub(now.saturating_add(self.tolerance));
        if wait == 0 {
            Decision::Turn { end, wait }
        } else if wait > max_wait {
            Decision::TooSoon { wait }
        } else {
            Self::after(end, wait)
        }
    }

    /// A turn that a timer can meet: its wait is whole nanoseconds.
    #[cold]
    fn after(end: u64, wait: u64) -> Decision {
        let pad = (TICKS - wait % TICKS) % TICKS;
        match end.checked_add(pad) {
            Some(end) => Decision::Turn {
                end,
                wait: wait.saturating_add(pad),
            },
            None => Decision::TooSoon { wait: u64::MAX },
        }
    }

    /// The permits a call would find now.
    pub(super) fn available(&self, full_at: u64, now: u64) -> u32 {
        let open = now
            .saturating_add(self.tolerance)
            .saturating_sub(full_at.max(now));
        let whole = open.checked_div(self.interval).unwrap_or_default();
        u32::try_from(whole).unwrap_or(u32::MAX).min(self.burst)
    }
}

/// Whole ticks, `u64::MAX` for 36 years and more.
#[inline]
pub(super) fn ticks(time: Duration) -> u64 {
    nanos(time).saturating_mul(TICKS)
}

/// Never shorter than the ticks.
pub(super) fn duration(ticks: u64) -> Duration {
    Duration::from_nanos(ticks.div_ceil(TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000 * TICKS;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn per_second(permits: u32, burst: u32) -> Gcra {
        Gcra::new(permits, Duration::from_secs(1), burst)
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_an_interval() {
        let (gcra, mut full_at) = (per_second(2, 3), 0);
        let mut at = |now| match gcra.decide(gcra.cost(1), 0, full_at, now) {
            Decision::Turn { end, wait: 0 } => {
                full_at = end;
                Ok(())
            }
            Decision::TooSoon { wait } => Err(wait),
            other => panic!("{other:?}"),
        };
        for _ in 0..3 {
            assert_eq!(at(9 * S), Ok(()));
        }
        assert_eq!(at(9 * S), Err(S / 2));
        assert_eq!(at(9 * S + S / 2 - 1), Err(1));
        assert_eq!(at(9 * S + S / 2), Ok(()));
        assert_eq!(at(9 * S), Err(S)); // an older reading of the clock
        assert_eq!(at(10 * S), Ok(()));
        assert_eq!(at(10 * S), Err(S / 2));
    }

    #[test]
    fn waits_are_spaced_and_a_wait_beyond_the_bound_reserves_nothing() {
        let (gcra, mut full_at) = (per_second(1, 1), 0);
        for n in 0..4 {
            let Decision::Turn { end, wait } = gcra.decide(gcra.cost(1), 3 * S, full_at, 0) else {
                panic!("within the bound");
            };
            assert_eq!(wait, n * S);
            full_at = end;
        }
        let refused = gcra.decide(gcra.cost(1), 3 * S, full_at, 0);
        assert_eq!(refused, Decision::TooSoon { wait: 4 * S });
    }

    #[test]
    fn rates_that_divide_do_not_drift() {
        for permits in [1, 7, 1_000, 64_000_000, 1_000_000_000] {
            let gcra = Gcra::new(permits, Duration::from_secs(7), 1);
            assert_eq!(gcra.cost(permits), 7 * S);
        }
        assert_eq!(per_second(1_000_000_000, 1).cost(5), 5 * TICKS);
    }

    #[test]
    fn rates_that_do_not_divide_are_a_little_lower_and_never_higher() {
        for permits in [
            3,
            7,
            999,
            123_457,
            100_000,
            7_654_321,
            999_999_999,
            u32::MAX,
        ] {
            let spent = per_second(permits, 1).cost(permits);
            assert!(spent >= S && spent - S < u64::from(permits), "{permits}");
        }
    }

    #[test]
    fn the_extremes_neither_overflow_nor_open_the_gate() {
        let slow = Gcra::new(1, DAY, 3650);
        assert_eq!(slow.available(0, 0), 3650);
        let rare = slow.cost(1);
        assert_eq!(slow.available(slow.cost(3650), ticks(DAY) - 1), 0);
        assert_eq!(slow.available(slow.cost(3650), ticks(DAY)), 1);
        // The end of countable time: refused, whatever the longest wait.
        let end = Decision::TooSoon { wait: u64::MAX };
        assert_eq!(slow.decide(rare, u64::MAX, u64::MAX - 1, 0), end);
        assert_eq!(slow.decide(rare, u64::MAX, 0, u64::MAX), end);
        let wide = per_second(u32::MAX, u32::MAX);
        assert_eq!(wide.available(0, 5), u32::MAX);
    }

    #[test]
    fn spans_are_rounded_up() {
        assert_eq!(duration(0), Duration::ZERO);
        assert_eq!(duration(1), Duration::from_nanos(1));
        assert_eq!(duration(TICKS + 1), Duration::from_nanos(2));
        assert_eq!(ticks(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_turn_that_is_waited_for_begins_where_a_timer_can_meet_it() {
        let gcra = per_second(3, 1);
        let first = gcra.decide(gcra.cost(1), S, 0, 0);
        assert_eq!(
            first,
            Decision::Turn {
                end: S.div_ceil(3),
                wait: 0
            }
        );
        let Decision::Turn { end, wait } = gcra.decide(gcra.cost(1), S, S.div_ceil(3), 0) else {
            panic!("within the bound");
        };
        assert_eq!(duration(wait), Duration::from_nanos(333_333_334));
        assert_eq!(wait % TICKS, 0);
        assert_eq!(end - gcra.cost(1), wait);
    }

    proptest! {
        /// The model is the other form of the algorithm in I.371, the continuous-state leaky
        /// bucket: it holds what was let in, loses one tick a tick, and takes a call that does not
        /// overfill it.
        #[test]
        fn it_agrees_with_the_leaky_bucket(
            permits in 1u32..50,
            burst in 1u32..10,
            calls in prop::collection::vec((0..S, 1u32..10), 0..100),
        ) {
            let gcra = per_second(permits, burst);
            let (mut full_at, mut now) = (0u64, 0u64);
            let (mut level, mut at) = (0i128, 0i128);
            for (gap, weight) in calls {
                let weight = weight.min(burst);
                now += gap;
                level = (level - (i128::from(now) - at)).max(0);
                at = i128::from(now);
                let over = level + i128::from(gcra.cost(weight)) - i128::from(gcra.tolerance);
                let room = -(level - i128::from(gcra.tolerance)) / i128::from(gcra.interval);
                prop_assert_eq!(i128::from(gcra.available(full_at, now)), room);
                match gcra.decide(gcra.cost(weight), 0, full_at, now) {
                    Decision::Turn { end, wait } => {
                        prop_assert!(over <= 0 && wait == 0);
                        level += i128::from(gcra.cost(weight));
                        full_at = end;
                    }
                    Decision::TooSoon { wait } => prop_assert_eq!(i128::from(wait), over),
                }
            }
        }
    }
}
