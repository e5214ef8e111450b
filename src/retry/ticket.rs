//! What a retry keeps between attempts: no more than fits into a ticket.
//!
//! ```text
//! Counted   | walk: 24 bits | drawn: 8 bits | attempt: 32 bits |    no limit of elapsed time
//! Timed     | start in microseconds: 44 bits | drawn: 8 bits | attempt: 12 bits |
//! ```
use super::budget::Drawn;
use crate::policy::Ticket;
use std::time::Duration;

/// Attempts are counted, and no clock is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) attempt: u32,
    /// When this attempt was drawn from the budget.
    pub(super) drawn: Drawn,
    /// The seed of all waits of this call, for a backoff that walks.
    pub(super) walk: u32,
}

/// Seeds of walks are below this.
pub(super) const WALKS: u32 = 1 << 24;

impl Counted {
    /// The first attempt's.
    pub(super) const FIRST: Ticket = Ticket(1);

    pub(super) const fn of(Ticket(bits): Ticket) -> Self {
        Counted {
            attempt: bits as u32, // the lower half
            drawn: Drawn((bits >> 32) as u8),
            walk: (bits >> 40) as u32,
        }
    }

    pub(super) const fn ticket(self) -> Ticket {
        let Drawn(drawn) = self.drawn;
        Ticket((self.walk as u64) << 40 | (drawn as u64) << 32 | self.attempt as u64)
    }

    pub(super) const fn next(self) -> Self {
        let attempt = self.attempt.saturating_add(1);
        Counted { attempt, ..self }
    }

    pub(super) const fn paid(self, drawn: Drawn) -> Self {
        Counted { drawn, ..self }
    }
}

/// Attempts are counted, and the first one's start is known. Numbers above [`Timed::LAST`] stay
/// there. The start wraps after 203 days, which a difference of two does not notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) attempt: u32,
    /// When this attempt was drawn from the budget.
    pub(super) drawn: Drawn,
    start_us: u64,
}

const ATTEMPT_BITS: u32 = 12;
const DRAWN_BITS: u32 = 8;
const START_AT: u32 = ATTEMPT_BITS + DRAWN_BITS;
const START: u64 = u64::MAX >> START_AT;

impl Timed {
    pub(super) const LAST: u32 = (1 << ATTEMPT_BITS) - 1;

    /// The longest limit that can be told from one that has passed: 101 days.
    pub(super) const LONGEST: Duration = Duration::from_micros(START / 2);

    pub(super) const fn first(now_us: u64) -> Self {
        Timed {
            attempt: 1,
            drawn: Drawn(0),
            start_us: now_us & START,
        }
    }

    pub(super) const fn of(Ticket(bits): Ticket) -> Self {
        Timed {
            attempt: (bits & Self::LAST as u64) as u32,
            drawn: Drawn((bits >> ATTEMPT_BITS) as u8),
            start_us: bits >> START_AT,
        }
    }

    pub(super) const fn ticket(self) -> Ticket {
        let Drawn(drawn) = self.drawn;
        Ticket(self.start_us << START_AT | (drawn as u64) << ATTEMPT_BITS | self.attempt as u64)
    }

    pub(super) const fn next(self) -> Self {
        let attempt = if self.attempt < Self::LAST {
            self.attempt + 1
        } else {
            Self::LAST
        };
        Timed { attempt, ..self }
    }

    pub(super) const fn paid(self, drawn: Drawn) -> Self {
        Timed { drawn, ..self }
    }

    /// Since the first attempt; zero if time arrives out of order.
    pub(super) const fn elapsed(self, now_us: u64) -> Duration {
        let since = now_us.wrapping_sub(self.start_us) & START;
        Duration::from_micros(if since > START / 2 + DAY { 0 } else { since })
    }

    /// The start, for whoever needs a number that few other calls have.
    pub(super) const fn start_us(self) -> u64 {
        self.start_us
    }
}

/// An attempt may outlast the longest limit by this much and still count as late.
const DAY: u64 = 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attempt_numbers_saturate() {
        let last = Counted {
            attempt: u32::MAX,
            drawn: Drawn(8),
            walk: 7,
        };
        assert_eq!(last.next(), last);
        assert_eq!(Counted::of(Counted::FIRST).attempt, 1);
        let last = Timed {
            attempt: Timed::LAST,
            drawn: Drawn(8),
            start_us: START,
        };
        assert_eq!(last.next(), last);
    }

    #[test]
    fn time_out_of_order_is_no_time() {
        assert_eq!(Timed::first(1_000).elapsed(999), Duration::ZERO);
    }

    #[test]
    fn the_longest_limit_is_101_days_and_a_day_more_is_still_told() {
        let days = |span: Duration| span.as_secs() / 86_400;
        assert_eq!(days(Timed::LONGEST), 101);
        let last = START / 2 + DAY;
        let (told, not) = (
            Timed::first(0).elapsed(last),
            Timed::first(0).elapsed(last + 1),
        );
        assert_eq!((days(told), not), (102, Duration::ZERO));
        assert_eq!(told - Timed::LONGEST, Duration::from_secs(86_400));
    }

    proptest! {
        #[test]
        fn a_ticket_gives_back_what_it_was_given(
            attempt: u32, drawn: u8, later: u8, walk in 0..WALKS, now: u64,
        ) {
            let (drawn, later) = (Drawn(drawn), Drawn(later));
            let counted = Counted { attempt, drawn, walk };
            prop_assert_eq!(Counted::of(counted.ticket()), counted);
            let next = Counted { attempt: attempt.saturating_add(1), ..counted };
            prop_assert_eq!(counted.next(), next);
            prop_assert_eq!(counted.paid(later), Counted { drawn: later, ..counted });
            let timed = Timed { drawn, ..Timed::first(now) };
            prop_assert_eq!(Timed::of(timed.ticket()), timed);
            prop_assert_eq!(timed.next(), Timed { attempt: 2, ..timed });
            prop_assert_eq!(timed.paid(later), Timed { drawn: later, ..timed });
        }

        #[test]
        fn elapsed_time_survives_the_wrap(start: u64, spent in 0..=START / 2) {
            let elapsed = Timed::first(start).elapsed(start.wrapping_add(spent));
            prop_assert_eq!(elapsed, Duration::from_micros(spent));
        }
    }
}
