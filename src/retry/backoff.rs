use super::jitter::{Chance, Jitter};
use super::shape::Shape;
use crate::clock::nanos;
use crate::error::Check;
use std::{sync::Arc, time::Duration};

/// The wait before each further attempt: how it grows, how it is spread, where it ends.
///
/// | constructor | waits, before jitter |
/// |---|---|
/// | [`none`](Backoff::none) | 0, 0, 0, .. |
/// | [`constant`](Backoff::constant)`(b)` | b, b, b, .. |
/// | [`linear`](Backoff::linear)`(b)` | b, 2b, 3b, 4b, .. |
/// | [`exponential`](Backoff::exponential)`(b)` | b, b·f, b·f², .. with [factor](Backoff::factor) f |
/// | [`fibonacci`](Backoff::fibonacci)`(b)` | b, b, 2b, 3b, 5b, 8b, .. |
/// | [`decorrelated`](Backoff::decorrelated)`(b)` | between b and three times the wait before |
/// | [`from_fn`](Backoff::from_fn), [`from_iter`](Backoff::from_iter) | your own |
///
/// Growth stops at [`max`](Backoff::max), jitter is drawn from there, and what the jitter adds is
/// cut at `max` again: no wait is ever above it. At whatever attempt number, nothing overflows.
///
/// A wait is a function of the attempt and a seed: nothing is kept between attempts.
///
/// ```
/// use seawall::retry::Backoff;
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let backoff = Backoff::exponential(ms(50)).max(ms(300));
/// let waits: Vec<_> = (1..=4).filter_map(|attempt| backoff.delay(attempt, 0)).collect();
/// assert_eq!(waits, [ms(50), ms(100), ms(200), ms(300)]);
/// assert!(backoff.jitter().delay(4, 7).is_some_and(|wait| wait <= ms(300)));
/// ```
///
/// # Defaults
/// - [`factor`](Backoff::factor): 2
/// - [`max`](Backoff::max): 30 s for the shapes that grow, none for the others
/// - [`jitter`](Backoff::jitter), [`equal_jitter`](Backoff::equal_jitter),
///   [`proportional_jitter`](Backoff::proportional_jitter): none
/// - [`seed`](Backoff::seed): chance
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a backoff does nothing until it is given to a retry"]
pub struct Backoff {
    shape: Shape,
    factor: Option<f64>,
    max: Option<Duration>,
    jitter: Jitter,
    seed: Option<u64>,
}

const FACTOR: f64 = 2.0;
const MAX: Duration = Duration::from_secs(30);

impl Backoff {
    const fn of(shape: Shape) -> Self {
        Backoff {
            shape,
            factor: None,
            max: None,
            jitter: Jitter::None,
            seed: None,
        }
    }

    /// No wait: the next attempt starts at once.
    pub const fn none() -> Self {
        Backoff::of(Shape::None)
    }

    /// The same wait each time.
    pub const fn constant(wait: Duration) -> Self {
        Backoff::of(Shape::Constant(wait))
    }

    /// Longer by `step` each time; the first wait is `step`.
    pub const fn linear(step: Duration) -> Self {
        Backoff::of(Shape::Linear(step))
    }

    /// Longer by a [factor](Backoff::factor) each time; the first wait is `base`.
    pub const fn exponential(base: Duration) -> Self {
        Backoff::of(Shape::Exponential(base))
    }

    /// `base` times the Fibonacci numbers 1, 1, 2, 3, 5, ..: grows by a factor near 1.6.
    pub const fn fibonacci(base: Duration) -> Self {
        Backoff::of(Shape::Fibonacci(base))
    }

    /// Each wait is drawn between `base` and three times the wait before it.
    ///
    /// "Decorrelated jitter", AWS Architecture Blog, "Exponential Backoff And Jitter", 2015. Takes
    /// no further jitter.
    ///
    /// From the 257th attempt on, the wait is drawn by a walk over the last 256.
    pub const fn decorrelated(base: Duration) -> Self {
        Backoff::of(Shape::Decorrelated(base))
    }

    /// Your own function of the number of attempts made, from 1.
    ///
    /// It is called once per wait, in the task that makes the call; a panic in it is contained, and
    /// the call gives up.
    pub fn from_fn(wait: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Backoff::of(Shape::Function(Arc::new(wait)))
    }

    /// Your own waits; where they end, the attempts end.
    ///
    /// `waits` makes a fresh iterator for each wait, whose n-th item stands after the n-th attempt:
    /// for a list, say, not for a long computation. A panic in it is contained, and the call gives
    /// up.
    ///
    /// ```
    /// use seawall::retry::Backoff;
    /// use std::time::Duration;
    ///
    /// let twice = Backoff::from_iter(|| [10, 250].map(Duration::from_millis));
    /// assert_eq!(twice.delay(2, 0), Some(Duration::from_millis(250)));
    /// assert_eq!(twice.delay(3, 0), None);
    /// ```
    #[allow(clippy::should_implement_trait)] // it takes a maker of iterators
    pub fn from_iter<F, I>(waits: F) -> Self
    where
        F: Fn() -> I + Send + Sync + 'static,
        I: IntoIterator<Item = Duration>,
    {
        let nth = move |n: u32| {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            waits().into_iter().nth(n.saturating_sub(1))
        };
        Backoff::of(Shape::Iterator(Arc::new(nth)))
    }

    /// By how much an exponential backoff grows: finite, at least 1. Default: 2.
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = Some(factor);
        self
    }

    /// The longest wait; not shorter than the first.
    ///
    /// Default: 30 s for the shapes that grow, none for the others.
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// Full jitter: each wait is drawn between zero and its length. Default: no jitter.
    ///
    /// Of the jitters it spreads callers best, and makes them wait half as long.
    pub const fn jitter(mut self) -> Self {
        self.jitter = Jitter::Full;
        self
    }

    /// Equal jitter: half of each wait is kept and half is drawn. Default: no jitter.
    pub const fn equal_jitter(mut self) -> Self {
        self.jitter = Jitter::Equal;
        self
    }

    /// Each wait is drawn up to this share below or above its length: above 0 and at most 1.
    ///
    /// Default: no jitter.
    pub const fn proportional_jitter(mut self, ratio: f64) -> Self {
        self.jitter = Jitter::Proportional(ratio);
        self
    }

    /// Draws the same waits in every call, as [`delay`](Backoff::delay) with this seed does.
    ///
    /// For tests and for replaying a run. Calls that share a seed wait in step, which is what
    /// jitter is to prevent. Default: every call draws anew.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The wait after so many attempts of a call with this seed, the first being 1.
    ///
    /// `None`: no further attempt.
    pub fn delay(&self, attempts: u32, seed: u64) -> Option<Duration> {
        let (attempts, cap) = (attempts.max(1), nanos(self.cap()));
        let factor = self.factor.unwrap_or(FACTOR);
        let wait = self.shape.wait(attempts, factor, cap, seed)?;
        let spread = match self.jitter {
            Jitter::None => wait,
            jitter => jitter.spread(wait, &mut Chance::new(seed, attempts)),
        };
        Some(Duration::from_nanos(spread.min(cap)))
    }

    pub(super) fn fixed_seed(&self) -> Option<u64> {
        self.seed
    }

    /// Whether all waits of a call need the same seed.
    pub(super) fn walks(&self) -> bool {
        self.shape.walks()
    }

    fn cap(&self) -> Duration {
        match self.max {
            Some(max) => max,
            None if self.shape.grows() => MAX,
            None => Duration::MAX,
        }
    }

    pub(crate) fn check(&self, check: &mut Check) {
        let (shape, base) = self.shape.base();
        if let Some(base) = base {
            check.positive(shape, base);
            let (max, allowed) = (self.cap(), format!("at least the first wait, {base:?}"));
            check.that(max >= base, "max", max, allowed);
        }
        if let Some(max) = self.max {
            check.positive("max", max);
        }
        if let Some(factor) = self.factor {
            let fits = matches!(self.shape, Shape::Exponential(_));
            check.that(
                fits,
                "factor",
                factor,
                "left out: only exponential takes one",
            );
            let range = factor.is_finite() && factor >= 1.0;
            check.that(range, "factor", factor, "finite and at least 1.0");
        }
        if let Jitter::Proportional(ratio) = self.jitter {
            check.ratio("proportional_jitter", ratio);
        }
        let twice = self.shape.walks() && self.jitter != Jitter::None;
        check.that(
            !twice,
            "jitter",
            format_args!("{:?}", self.jitter),
            "left out: decorrelated is jitter itself",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn shapes(base: Duration) -> [Backoff; 6] {
        [
            Backoff::constant(base),
            Backoff::linear(base),
            Backoff::exponential(base),
            Backoff::fibonacci(base),
            Backoff::decorrelated(base),
            Backoff::from_iter(move || std::iter::repeat_n(base, 1_000)),
        ]
    }

    #[test]
    fn the_defaults_are_as_documented() {
        let exponential = Backoff::exponential(MS);
        assert_eq!(
            exponential.delay(3, 9),
            exponential.clone().factor(2.0).delay(3, 0)
        );
        assert_eq!(exponential.delay(60, 0), Some(Duration::from_secs(30)));
        let day = Duration::from_secs(86_400);
        assert_eq!(Backoff::constant(day).delay(1, 0), Some(day));
        assert_eq!(exponential.fixed_seed(), None);
    }

    #[test]
    fn a_const_holds_a_backoff() {
        const SLOW: Backoff = Backoff::exponential(MS)
            .factor(3.0)
            .max(Duration::from_secs(1))
            .jitter()
            .seed(1);
        assert!(SLOW.delay(2, 0).unwrap() <= 3 * MS);
    }

    #[test]
    fn full_jitter_still_spreads_where_growth_has_stopped() {
        let backoff = Backoff::exponential(MS).max(100 * MS).jitter();
        let all: Vec<_> = (0..1_000)
            .filter_map(|seed| backoff.delay(5_000, seed))
            .collect();
        let low = all.iter().filter(|wait| **wait < 50 * MS).count();
        assert!((400..600).contains(&low), "{low} of 1000 below the middle");
    }

    #[test]
    fn the_cap_has_the_last_word_over_jitter() {
        let backoff = Backoff::constant(100 * MS)
            .max(100 * MS)
            .proportional_jitter(0.5);
        let all: Vec<_> = (0..100).filter_map(|seed| backoff.delay(1, seed)).collect();
        assert_eq!(all.iter().max(), Some(&(100 * MS)));
        assert!(all.iter().any(|wait| *wait < 80 * MS));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        for backoff in shapes(MS).map(|b| if b.walks() { b } else { b.jitter() }) {
            let waits = |seed| (1..20).map(|n| backoff.delay(n, seed)).collect::<Vec<_>>();
            assert_eq!(waits(5), waits(5));
            assert_ne!(waits(5), waits(6), "{backoff:?}");
        }
    }

    #[test]
    fn a_closure_equals_its_clone_alone() {
        let (a, b) = (Backoff::from_fn(|_| MS), Backoff::from_fn(|_| MS));
        assert_eq!(a, a.clone());
        assert_ne!(a, b);
        assert_ne!(Backoff::linear(MS), Backoff::constant(MS));
        assert_ne!(Backoff::linear(MS), Backoff::linear(MS).jitter());
    }

    proptest! {
        #[test]
        fn no_wait_is_ever_above_max(
            base: Duration, max: Duration, ratio: f64, seed: u64, attempt: u32,
        ) {
            for backoff in shapes(base) {
                for jittered in [
                    backoff.clone(),
                    backoff.clone().jitter(),
                    backoff.clone().equal_jitter(),
                    backoff.proportional_jitter(ratio),
                ] {
                    let wait = jittered.max(max).delay(attempt, seed);
                    prop_assert!(wait.is_none_or(|wait| wait <= max));
                }
            }
        }
    }
}
