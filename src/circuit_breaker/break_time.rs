//! How long a break is: fixed, or growing with each trip since the breaker was last closed.
//!
//! `break_for * factor^(trips - 1)`, then jitter, then the cap: a break is never above `max`.
use fastrand::Rng;

/// Draws the length of each break.
#[derive(Clone, Debug)]
pub(super) struct BreakTime {
    /// Nanoseconds.
    pub(super) base: u64,
    pub(super) factor: f64,
    /// Nanoseconds.
    pub(super) max: u64,
    pub(super) jitter_ratio: f64,
    pub(super) rng: Rng,
}

impl BreakTime {
    /// Nanoseconds; the first trip is 1.
    pub(super) fn draw(&mut self, trips: u32) -> u64 {
        let mut length = self.base;
        if trips > 1 && self.factor > 1.0 {
            // Beyond 2^31 trips any factor has long reached the cap.
            let grown = self
                .factor
                .powi(i32::try_from(trips - 1).unwrap_or(i32::MAX));
            length = times(length, grown);
        }
        if self.jitter_ratio > 0.0 {
            // Uniform between 1 - ratio and 1 + ratio.
            let swing = self.rng.f64().mul_add(2.0, -1.0);
            length = times(length, swing.mul_add(self.jitter_ratio, 1.0));
        }
        length.clamp(1, self.max.max(1))
    }
}

/// Saturates. What a float cannot hold exactly is beyond 104 days.
fn times(length: u64, by: f64) -> u64 {
    (length as f64 * by) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    fn fixed(base: u64) -> BreakTime {
        BreakTime {
            base,
            factor: 1.0,
            max: u64::MAX,
            jitter_ratio: 0.0,
            rng: Rng::with_seed(1),
        }
    }

    #[test]
    fn the_first_of_growing_breaks_is_exact() {
        let base = (1 << 60) + 1;
        let mut breaks = BreakTime {
            factor: 2.0,
            ..fixed(base)
        };
        assert_eq!(breaks.draw(1), base);
        assert_eq!(breaks.draw(2), 1 << 61);
    }

    #[test]
    fn a_fixed_break_stays_as_it_is() {
        for base in [1, 30_000_000_000, u64::MAX - 1] {
            let mut breaks = fixed(base);
            assert_eq!([1, 2, u32::MAX].map(|trips| breaks.draw(trips)), [base; 3]);
        }
    }

    #[test]
    fn a_growing_break_grows_up_to_its_cap_at_any_number_of_trips() {
        let mut breaks = BreakTime {
            factor: 2.0,
            max: 70,
            ..fixed(10)
        };
        assert_eq!(
            [1, 2, 3, 4, 5, u32::MAX].map(|trips| breaks.draw(trips)),
            [10, 20, 40, 70, 70, 70]
        );
    }

    proptest! {
        #[test]
        fn jitter_stays_in_its_bounds_and_under_the_cap(
            base in 1u64..1_000_000_000,
            ratio in 0.0..=1.0f64,
            trips in 1u32..40,
            seed: u64,
        ) {
            let max = base.saturating_mul(3);
            let rng = Rng::with_seed(seed);
            let mut breaks = BreakTime { factor: 1.5, max, jitter_ratio: ratio, rng, ..fixed(base) };
            let plain = base as f64 * 1.5f64.powi(trips as i32 - 1);
            let drawn = breaks.draw(trips);
            prop_assert!(drawn >= 1 && drawn <= max);
            prop_assert!(drawn as f64 + 2.0 >= (plain * (1.0 - ratio)).min(max as f64));
            prop_assert!(drawn as f64 <= (plain * (1.0 + ratio)).max(1.0) + 1.0);
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_breaks_and_they_differ() {
        let breaks = |seed| {
            let rng = Rng::with_seed(seed);
            let mut breaks = BreakTime {
                jitter_ratio: 0.5,
                rng,
                ..fixed(1_000_000)
            };
            [(); 4].map(|()| breaks.draw(1))
        };
        assert_eq!(breaks(7), breaks(7));
        assert_ne!(breaks(7), breaks(8));
        assert_ne!(breaks(7)[0], breaks(7)[1]);
    }
}
