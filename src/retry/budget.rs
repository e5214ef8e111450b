#[cfg(all(test, seawall_loom))]
mod models;
mod window;

use crate::clock::{self, Instant};
use crate::error::Check;
use crate::sync::{AtomicU32, Mutex};
use crate::{BuildError, Name};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use window::Window;

/// What all retries of a dependency together may cost: a share of its traffic, and a floor.
///
/// Attempts bound one call; a budget bounds the load that retries add when every call fails. Each
/// first attempt deposits a share of a retry; each further attempt takes a whole one out, and is
/// not made if there is none: the caller gets the original error at once, and the observer
/// [`GaveUp`](crate::Event::GaveUp) with [`Budget`](crate::event::GaveUp::Budget). What was taken
/// for an attempt that was not made after all (dropped, or cut off, while it waited) comes back, as
/// long as it counts.
///
/// ```text
/// retries <= ratio × first attempts + floor_per_second × over,    all counted over the last `over`
/// ```
///
/// Deposits and retries both age out, in tenths of the window: at an age between nine tenths of it
/// and the whole. Under heavy traffic up to one first attempt in a hundred is entered late, and ages
/// from the entry before it, which saves a lock and a reading of the clock on nearly every call.
///
/// The algorithm is that of Finagle's `RetryBudget` (and of tower's `TpsBudget` after it), with the
/// floor reserved per window as there; Envoy's `retry_budget` bounds concurrent retries instead.
///
/// Clones share the books: give one budget to the retries of every pipeline that calls the same
/// dependency.
///
/// ```
/// use seawall::retry::{Backoff, Retry, RetryBudget};
/// use std::time::Duration;
///
/// # tokio_test::block_on(async {
/// let budget = RetryBudget::new(0.5).floor_per_second(0.0).build()?;
/// let retry = Retry::attempts(9).backoff(Backoff::none()).budget(&budget).build()?;
/// for _ in 0..4 {
///     retry.run(|| async { Ok::<_, &str>(()) }).await.unwrap();
/// }
/// assert_eq!(budget.available(), 2);
/// let mut attempts = 0;
/// let error = retry.run(|| { attempts += 1; async { Err::<(), _>("down") } }).await.unwrap_err();
/// assert_eq!((error.into_inner(), attempts, budget.available()), (Some("down"), 3, 0));
/// # Ok::<_, seawall::BuildError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Account>);

/// When a retry was drawn: the number of a tenth of the window, as much of it as fits into a ticket. It
/// comes round after 25 windows; of those who wait that long one in 25 gives back another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn(pub(super) u8);

struct Account {
    name: Name,
    /// First attempts that are not in the books yet, and how many may be.
    ///
    /// Both are hints to enter them and order nothing: the count is taken by a swap under the lock,
    /// so none is lost or entered twice.
    late: AtomicU32,
    slack: AtomicU32,
    books: Mutex<Window>,
}

impl RetryBudget {
    /// Retries as a share of first attempts: above 0.0 and at most 1.0.
    #[allow(clippy::new_ret_no_self)]
    pub const fn new(ratio: f64) -> RetryBudgetConfig {
        RetryBudgetConfig {
            name: Name::from_static("retry_budget"),
            ratio,
            over: Duration::from_secs(10),
            floor_per_second: 10.0,
        }
    }

    /// The label in errors of its configuration.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// How many retries could be made now. Reads the clock.
    pub fn available(&self) -> u64 {
        let now = clock::now();
        self.entered(now, |books| books.available(now))
    }

    /// A first attempt is made. One atomic operation, as long as there is slack.
    #[inline]
    pub(super) fn deposit(&self, now: impl FnOnce() -> Instant) {
        let late = self.0.late.fetch_add(1, Relaxed);
        if late >= self.0.slack.load(Relaxed) {
            self.entered(now(), |_| ());
        }
    }

    /// Another attempt wants to be made.
    pub(super) fn withdraw(&self, now: Instant) -> Option<Drawn> {
        let tenth = self.entered(now, |books| books.withdraw(now))?;
        Some(Drawn(tenth as u8)) // the lower bits
    }

    /// It was not made.
    pub(super) fn refund(&self, drawn: Drawn, now: Instant) {
        let mut books = self.0.books.lock();
        let begun = books.begun(now) as u8; // the lower bits
        books.refund(begun.wrapping_sub(drawn.0));
    }

    pub(super) fn is(&self, other: &RetryBudget) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The books, with every first attempt entered.
    #[cold]
    fn entered<T>(&self, now: Instant, then: impl FnOnce(&mut Window) -> T) -> T {
        let mut books = self.0.books.lock();
        let late = self.0.late.swap(0, Relaxed);
        // As many as there was slack for may have been made long ago: they count as made when the
        // books were last opened, so that none earns retries for longer than the window.
        let old = late.min(self.0.slack.load(Relaxed));
        books.deposit_late(u64::from(old));
        books.deposit(u64::from(late - old), now);
        let slack = u32::try_from(books.slack()).unwrap_or(u32::MAX);
        self.0.slack.store(slack.min(MOST_LATE), Relaxed);
        then(&mut books)
    }
}

/// Far from where the count of late attempts would wrap.
const MOST_LATE: u32 = 1 << 20;

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryBudget({:?})", self.0.name)
    }
}

/// The settings of a [`RetryBudget`].
///
/// # Defaults
/// - [`over`](RetryBudgetConfig::over): 10 s
/// - [`floor_per_second`](RetryBudgetConfig::floor_per_second): 10
/// - [`name`](RetryBudgetConfig::name): `"retry_budget"`
///
/// Window and floor are those of Finagle's `RetryBudget`, whose ratio is 0.2.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a configuration does nothing until it is built"]
pub struct RetryBudgetConfig {
    name: Name,
    ratio: f64,
    over: Duration,
    floor_per_second: f64,
}

impl RetryBudgetConfig {
    /// The time over which first attempts and retries are counted: from 1 ms to a day.
    ///
    /// Default: 10 s.
    pub const fn over(mut self, over: Duration) -> Self {
        self.over = over;
        self
    }

    /// Retries per second that are allowed whatever the traffic: finite, at most a million.
    ///
    /// So that a quiet service can retry at all. Those of a whole window may be made at once.
    /// Default: 10.
    pub const fn floor_per_second(mut self, floor_per_second: f64) -> Self {
        self.floor_per_second = floor_per_second;
        self
    }

    /// The label in errors of this configuration. Default: `"retry_budget"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// The budget, its window beginning now.
    ///
    /// # Errors
    /// Everything that is wrong, at once: a ratio that is not above 0 and at most 1, a window or a
    /// floor outside its range.
    pub fn build(self) -> Result<RetryBudget, BuildError> {
        let RetryBudgetConfig {
            name,
            ratio,
            over,
            floor_per_second: floor,
        } = self;
        let spans = Duration::from_millis(1)..=Duration::from_secs(86_400);
        Check::new(name)
            .ratio("ratio", ratio)
            .that(spans.contains(&over), "over", over, "from 1ms to a day")
            .that(
                (0.0..=1e6).contains(&floor),
                "floor_per_second",
                floor,
                "from 0.0 to 1000000.0",
            )
            .done()?;
        Ok(RetryBudget(Arc::new(Account {
            name,
            late: AtomicU32::new(0),
            slack: AtomicU32::new(0),
            books: Mutex::new(Window::new(ratio, over, floor, clock::now())),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_defaults_are_as_documented() {
        let spelled = RetryBudget::new(0.2)
            .over(Duration::from_secs(10))
            .floor_per_second(10.0)
            .name("retry_budget");
        assert_eq!(RetryBudget::new(0.2), spelled);
        assert_eq!(spelled.build().unwrap().available(), 100);
    }

    #[test]
    fn a_budget_is_its_own_clone_and_no_other() {
        let budget = || RetryBudget::new(0.2).build().unwrap();
        let (one, other) = (budget(), budget());
        assert!(one.is(&one.clone()) && !one.is(&other));
    }

    #[test]
    fn every_wrong_setting_is_told_at_once() {
        for ratio in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            let config = RetryBudget::new(ratio)
                .over(Duration::ZERO)
                .floor_per_second(f64::NAN);
            let error = config.build().unwrap_err();
            let fields: Vec<_> = error.problems().iter().map(|p| p.field).collect();
            assert_eq!(fields, ["ratio", "over", "floor_per_second"]);
        }
    }

    #[test]
    fn few_first_attempts_are_entered_at_once_and_many_are_entered_late() {
        let budget = RetryBudget::new(1.0).floor_per_second(0.0).build().unwrap();
        let (now, mut readings) = (clock::now(), 0);
        let mut deposit = |times: u32| {
            for _ in 0..times {
                budget.deposit(|| {
                    readings += 1;
                    now
                });
            }
            std::mem::take(&mut readings)
        };
        assert_eq!(deposit(128), 128);
        assert!(deposit(128 * 100) < 1_000);
        assert!(deposit(1_000) <= 10);
        assert!(budget.withdraw(now).is_some());
        assert_eq!(
            budget.0.books.lock().available(now),
            128 + 12_800 + 1_000 - 1
        );
    }

    /// First attempts that were to be entered late used to count from when they were entered, an
    /// hour of silence later, say.
    #[tokio::test(start_paused = true)]
    async fn first_attempts_that_are_entered_late_age_from_when_they_were_made() {
        let budget = RetryBudget::new(1.0).floor_per_second(0.0).build().unwrap();
        let late = || budget.0.late.load(Relaxed);
        for _ in 0..12_800 {
            budget.deposit(clock::now);
        }
        while late() < 10 {
            budget.deposit(clock::now);
        }
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(budget.available(), 0);
        tokio::time::advance(Duration::from_secs(3600)).await;
        budget.deposit(clock::now);
        assert_eq!(budget.available(), 1);
    }

    #[test]
    fn threads_lose_no_deposit_and_never_overdraw() {
        let budget = RetryBudget::new(0.5)
            .over(DAY)
            .floor_per_second(0.0)
            .build()
            .unwrap();
        let now = clock::now();
        let drawn: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let retries = (0..10_000).filter(|_| {
                            budget.deposit(|| now);
                            budget.withdraw(now).is_some()
                        });
                        retries.count()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        let left = budget.0.books.lock().available(now);
        assert_eq!(drawn as u64 + left, 20_000);
    }
}
