//! How the wait grows from attempt to attempt, before jitter. In whole nanoseconds; saturating.
use super::jitter::Chance;
use crate::{clock::nanos, event::contain};
use std::{fmt, ops::Range, sync::Arc, time::Duration};

#[derive(Clone)]
pub(super) enum Shape {
    None,
    Constant(Duration),
    Linear(Duration),
    Exponential(Duration),
    Fibonacci(Duration),
    Decorrelated(Duration),
    Function(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
    /// Gives the n-th item of a fresh iterator, from 1.
    Iterator(Arc<dyn Fn(u32) -> Option<Duration> + Send + Sync>),
}

/// A walk is replayed from this many attempts back at most.
const LONGEST_WALK: u32 = 256;

impl Shape {
    /// The wait after `attempt` attempts, at most `cap`. `None`: no further attempt.
    pub(super) fn wait(&self, attempt: u32, factor: f64, cap: u64, seed: u64) -> Option<u64> {
        let wait = match self {
            Shape::None => 0,
            Shape::Constant(base) => nanos(*base),
            Shape::Linear(base) => nanos(*base).saturating_mul(u64::from(attempt)),
            Shape::Exponential(base) => {
                let grown = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
                // A float becomes an integer by saturation, infinity included.
                (nanos(*base) as f64 * factor.powi(grown)) as u64
            }
            Shape::Fibonacci(base) => nanos(*base).saturating_mul(fibonacci(attempt)),
            Shape::Decorrelated(base) => walk(nanos(*base), attempt, cap, seed),
            Shape::Function(f) => nanos(contain(None, || Some(f(attempt)))?),
            Shape::Iterator(nth) => nanos(contain(None, || nth(attempt))?),
        };
        Some(wait.min(cap))
    }

    /// Whether the wait grows without a bound of its own.
    pub(super) const fn grows(&self) -> bool {
        matches!(
            self,
            Shape::Linear(_) | Shape::Exponential(_) | Shape::Fibonacci(_) | Shape::Decorrelated(_)
        )
    }

    /// Whether a wait depends on the one before, so that all of a call need the same seed.
    pub(super) const fn walks(&self) -> bool {
        matches!(self, Shape::Decorrelated(_))
    }

    /// Its constructor's name and argument.
    pub(super) const fn base(&self) -> (&'static str, Option<Duration>) {
        match self {
            Shape::None => ("none", None),
            Shape::Constant(base) => ("constant", Some(*base)),
            Shape::Linear(base) => ("linear", Some(*base)),
            Shape::Exponential(base) => ("exponential", Some(*base)),
            Shape::Fibonacci(base) => ("fibonacci", Some(*base)),
            Shape::Decorrelated(base) => ("decorrelated", Some(*base)),
            Shape::Function(_) => ("from_fn", None),
            Shape::Iterator(_) => ("from_iter", None),
        }
    }
}

/// 1, 1, 2, 3, 5, ..
fn fibonacci(n: u32) -> u64 {
    let (mut a, mut b) = (0_u64, 1_u64);
    // The 94th no longer fits.
    for _ in 0..n.min(94) {
        (a, b) = (b, a.saturating_add(b));
    }
    a
}

/// "Decorrelated jitter": each wait is drawn between the base and three times the wait before it,
/// the first between the base and three times the base.
///
/// Nothing is kept between attempts: the walk is made again from its seed. Of a longer one, the
/// last [`LONGEST_WALK`] attempts are: by then it has met the cap, and forgotten its beginning.
fn walk(base: u64, attempt: u32, cap: u64, seed: u64) -> u64 {
    let steps = attempt.saturating_sub(LONGEST_WALK)..attempt;
    replay(base, steps, cap, seed)
}

fn replay(base: u64, steps: Range<u32>, cap: u64, seed: u64) -> u64 {
    let (low, high) = (base as f64, cap as f64);
    let mut wait = low;
    for step in steps {
        let most = (wait * 3.0).max(low);
        wait = (low + Chance::new(seed, step).share() * (most - low)).min(high);
    }
    wait as u64
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base() {
            (name, Some(base)) => write!(f, "{name}({base:?})"),
            (name, None) => f.write_str(name),
        }
    }
}

/// Closures are equal to their own clones; whatever else differs, differs in its base.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Shape::Function(a), Shape::Function(b)) => Arc::ptr_eq(a, b),
            (Shape::Iterator(a), Shape::Iterator(b)) => Arc::ptr_eq(a, b),
            _ => self.base() == other.base(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);
    const NO_CAP: u64 = u64::MAX;

    /// In whole milliseconds.
    fn waits(shape: &Shape, attempts: impl IntoIterator<Item = u32>) -> Vec<u64> {
        attempts
            .into_iter()
            .map(|n| shape.wait(n, 2.0, NO_CAP, 0).unwrap() / 1_000_000)
            .collect()
    }

    #[test]
    fn each_shape_grows_as_its_name_says() {
        assert_eq!(waits(&Shape::None, 1..=3), [0, 0, 0]);
        assert_eq!(waits(&Shape::Constant(7 * MS), 1..=3), [7, 7, 7]);
        assert_eq!(waits(&Shape::Linear(7 * MS), 1..=4), [7, 14, 21, 28]);
        let exponential = Shape::Exponential(50 * MS);
        assert_eq!(waits(&exponential, 1..=5), [50, 100, 200, 400, 800]);
        let fibonacci = Shape::Fibonacci(10 * MS);
        assert_eq!(waits(&fibonacci, 1..=7), [10, 10, 20, 30, 50, 80, 130]);
        let squares = Shape::Function(Arc::new(|n| n * n * MS));
        assert_eq!(waits(&squares, 1..=3), [1, 4, 9]);
    }

    #[test]
    fn doubling_is_exact_to_the_nanosecond() {
        let shape = Shape::Exponential(Duration::from_nanos(3));
        for n in 0..50 {
            assert_eq!(shape.wait(n + 1, 2.0, NO_CAP, 0), Some(3 << n));
        }
    }

    #[test]
    fn the_last_attempt_number_saturates() {
        let shapes: [fn(Duration) -> Shape; 4] = [
            Shape::Linear,
            Shape::Exponential,
            Shape::Fibonacci,
            Shape::Decorrelated,
        ];
        for shape in shapes {
            let shape = shape(Duration::MAX);
            assert_eq!(
                shape.wait(u32::MAX, 1.5, NO_CAP, 1),
                Some(u64::MAX),
                "{shape:?}"
            );
        }
        assert_eq!(
            (fibonacci(93), fibonacci(94)),
            (12_200_160_415_121_876_738, u64::MAX)
        );
    }

    #[test]
    fn the_end_of_an_iterator_and_a_panic_end_the_attempts() {
        let two = Shape::Iterator(Arc::new(|n| [MS, 2 * MS].into_iter().nth(n as usize - 1)));
        assert_eq!(two.wait(2, 2.0, NO_CAP, 0), Some(2_000_000));
        assert_eq!(two.wait(3, 2.0, NO_CAP, 0), None);
        let bad = Shape::Function(Arc::new(|_| panic!("a bad function")));
        assert_eq!(bad.wait(1, 2.0, NO_CAP, 0), None);
    }

    #[test]
    fn a_long_walk_is_the_same_whether_replayed_whole_or_in_part() {
        let (base, cap) = (1_000_000, 1_000_000_000);
        for attempt in 257..2_000 {
            let whole = replay(base, 0..attempt, cap, 42);
            assert_eq!(walk(base, attempt, cap, 42), whole, "after {attempt}");
        }
    }

    #[test]
    fn a_walk_reaches_three_times_the_wait_before_it() {
        let base = 1_000_000;
        let longest = |n| (0..10_000).map(|seed| walk(base, n, NO_CAP, seed)).max();
        assert!((base * 29 / 10..=base * 3).contains(&longest(1).unwrap()));
        assert!((base * 8..=base * 9).contains(&longest(2).unwrap()));
    }

    #[test]
    fn closures_are_equal_to_their_own_clones_alone() {
        let function = || Shape::Function(Arc::new(|n| n * MS));
        let iterator = || Shape::Iterator(Arc::new(|_| Some(MS)));
        let all = [
            function(),
            function(),
            iterator(),
            iterator(),
            Shape::None,
            Shape::Constant(MS),
            Shape::Constant(2 * MS),
            Shape::Linear(MS),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(*a == b.clone(), i == j, "{a:?} and {b:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_above_the_cap_and_never_panics(
            base: Duration, factor: f64, cap: u64, seed: u64, attempt: u32,
        ) {
            for shape in [
                Shape::Constant(base),
                Shape::Linear(base),
                Shape::Exponential(base),
                Shape::Fibonacci(base),
                Shape::Decorrelated(base),
                Shape::Function(Arc::new(move |_| base)),
            ] {
                prop_assert!(shape.wait(attempt, factor, cap, seed).unwrap() <= cap);
            }
        }

        #[test]
        fn what_grows_never_shrinks(
            base in 1_u64.., factor in 1.0..100.0, attempt in prop_oneof![0..200_u32, any::<u32>()],
        ) {
            let base = Duration::from_nanos(base);
            for shape in [
                Shape::Linear(base), Shape::Exponential(base), Shape::Fibonacci(base),
            ] {
                let wait = |n| shape.wait(n, factor, NO_CAP, 0).unwrap();
                prop_assert!(wait(attempt) <= wait(attempt.saturating_add(1)), "{:?}", shape);
            }
        }

        #[test]
        fn a_walk_draws_between_its_base_and_three_times_the_wait_before(
            base in 1..1_000_000_000_u64, cap in 1_000_000_000..1_u64 << 50, seed: u64,
        ) {
            let mut before = base;
            for n in 1..100 {
                let wait = walk(base, n, cap, seed);
                prop_assert!((base..=cap.min(before * 3 + 3)).contains(&wait));
                before = wait;
            }
        }
    }
}
