//! Chance in a delay, so that callers that failed together do not come back together.
//!
//! Everything here is a function of the delay and a seed: the same seed gives the same delay again.

/// How a delay is spread. The names are those of the AWS Architecture Blog, "Exponential Backoff
/// And Jitter" (2015), which measures them against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Jitter {
    None,
    /// Anything from zero to the delay.
    Full,
    /// At least half of the delay.
    Equal,
    /// The delay, give or take this share of it.
    Proportional(f64),
}

impl Jitter {
    /// `delay`, in nanoseconds, spread.
    pub(super) fn spread(self, delay: u64, chance: &mut Chance) -> u64 {
        match self {
            Jitter::None => delay,
            Jitter::Full => chance.up_to(delay),
            Jitter::Equal => {
                let half = delay / 2;
                half.saturating_add(chance.up_to(delay - half))
            }
            Jitter::Proportional(ratio) => {
                // A float becomes an integer by saturation: NaN is 0.
                let swing = ((delay as f64 * ratio) as u64).min(delay);
                (delay - swing).saturating_add(chance.up_to(swing.saturating_mul(2)))
            }
        }
    }
}

/// Draws for one attempt of one call.
pub(super) struct Chance(fastrand::Rng);

impl Chance {
    pub(super) fn new(seed: u64, attempt: u32) -> Self {
        Chance(fastrand::Rng::with_seed(
            mix(seed ^ mix(u64::from(attempt))),
        ))
    }

    /// An integer from 0 to `most`, both included.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.0.u64(0..=most)
    }

    /// A share of one, below 1.
    pub(super) fn share(&mut self) -> f64 {
        self.0.f64()
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", OOPSLA 2014): neighbouring seeds and attempts give unrelated draws.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELAY: u64 = 1_000_000;

    fn drawn(jitter: Jitter) -> (u64, u64, u64) {
        let all: Vec<u64> = (0..10_000)
            .map(|seed| jitter.spread(DELAY, &mut Chance::new(seed, 1)))
            .collect();
        let mean = all.iter().sum::<u64>() / 10_000;
        (*all.iter().min().unwrap(), mean, *all.iter().max().unwrap())
    }

    #[test]
    fn full_jitter_covers_everything_up_to_the_delay() {
        let (least, mean, most) = drawn(Jitter::Full);
        assert!(least < DELAY / 100 && most > DELAY / 100 * 99 && most <= DELAY);
        assert!(mean.abs_diff(DELAY / 2) < DELAY / 50, "{mean}");
    }

    #[test]
    fn equal_jitter_keeps_half() {
        let (least, mean, most) = drawn(Jitter::Equal);
        assert!((DELAY / 2..DELAY / 100 * 51).contains(&least) && most <= DELAY);
        assert!(mean.abs_diff(DELAY / 4 * 3) < DELAY / 50, "{mean}");
    }

    #[test]
    fn proportional_jitter_swings_both_ways_around_the_delay() {
        let (least, mean, most) = drawn(Jitter::Proportional(0.2));
        assert!((800_000..810_000).contains(&least) && (1_190_000..=1_200_000).contains(&most));
        assert!(mean.abs_diff(DELAY) < DELAY / 50, "{mean}");
    }

    /// The first numbers of SplitMix64, seeded with 0, by the generator of its authors.
    #[test]
    fn the_mixer_is_that_of_splitmix() {
        let seeds = [0, 0x9e37_79b9_7f4a_7c15];
        let known = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4];
        assert_eq!(seeds.map(mix), known);
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_attempt_draws_anew() {
        let draw = |seed, attempt| Chance::new(seed, attempt).up_to(u64::MAX);
        assert_eq!(draw(7, 3), draw(7, 3));
        assert_ne!(draw(7, 3), draw(7, 4));
        assert_ne!(draw(7, 3), draw(8, 3));
    }

    proptest! {
        #[test]
        fn any_delay_ratio_and_seed_stay_in_bounds(
            delay: u64, ratio in prop_oneof![any::<f64>(), 0.0..=1.0], seed: u64, attempt: u32,
        ) {
            let mut chance = Chance::new(seed, attempt);
            prop_assert_eq!(Jitter::None.spread(delay, &mut chance), delay);
            prop_assert!(Jitter::Full.spread(delay, &mut chance) <= delay);
            let equal = Jitter::Equal.spread(delay, &mut chance);
            prop_assert!((delay / 2..=delay).contains(&equal));
            let swung = Jitter::Proportional(ratio).spread(delay, &mut chance);
            if ratio > 0.0 && ratio < 1.0 {
                let (delay, swung) = (delay as f64, swung as f64);
                prop_assert!(swung >= delay * (1.0 - ratio) * 0.999_999);
                prop_assert!(swung <= delay * (1.0 + ratio) * 1.000_001 + 1.0);
            }
        }
    }
}
