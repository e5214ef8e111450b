//! The calls of the last so much time: buckets, of which the oldest leaves whole.
//!
//! A call is forgotten when its bucket has left, between `window - window / buckets` and `window`
//! after it was counted: never later, and never all calls at once. Time that comes out of order
//! counts in the newest bucket.
//!
//! ```text
//! sealed: ring of buckets, and their sum        live: what the newest bucket has gained since
//! ├────┼────┼────┼────┼────┤                    ok │ failed │ slow │ failed and slow
//! ```
//! A call writes one of the four live words, the one of its kind, so that a call is never counted
//! in part. The first call past the bucket's end takes the live words, under the lock, into the
//! ring. Judging reads both without the lock, and then, if a rule seems to be broken, again under
//! it. All of that is sequentially consistent: of a call that counts and one that seals, at least
//! one sees the other.
use super::snapshot::Counts;
use super::tagged::{Generation, Tagged};
use crate::sync::{AtomicU64, Mutex};
use std::sync::atomic::Ordering::SeqCst;

/// Calls by kind: bit 0 failed, bit 1 slow.
type Kinds = [u64; 4];

/// A window of time with its shared front.
#[derive(Debug)]
pub(super) struct TimeWindow {
    live: [Tagged; 4],
    /// When the newest bucket ends, in nanoseconds; written under the lock.
    end: AtomicU64,
    /// The sum of the ring; written under the lock.
    sealed: [AtomicU64; 4],
    ring: Mutex<(Generation, Buckets)>,
}

impl TimeWindow {
    /// `span` nanoseconds in so many buckets, the first of which begins at `start`.
    pub(super) fn new(span: u64, buckets: u32, start: u64) -> Self {
        let ring = Buckets::new(span, buckets, start);
        TimeWindow {
            live: Default::default(),
            end: AtomicU64::new(ring.end()),
            sealed: Default::default(),
            ring: Mutex::new((Generation::default(), ring)),
        }
    }

    /// `Some`: there is something to judge.
    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        failed: bool,
        slow: bool,
        now: u64,
    ) -> Option<Counts> {
        if now >= self.end.load(SeqCst) {
            self.turn(generation, now);
        }
        let kind = usize::from(failed) | usize::from(slow) << 1;
        self.live.get(kind)?.increment(generation)?;
        let counts = sum(self.kinds());
        (counts.failures | counts.slow_calls != 0).then_some(counts)
    }

    /// Without the lock: while a bucket is being sealed its calls may be read twice or not at all.
    #[inline(always)]
    fn kinds(&self) -> Kinds {
        let mut kinds = [0; 4];
        for ((kind, live), sealed) in kinds.iter_mut().zip(&self.live).zip(&self.sealed) {
            *kind = live.peek().saturating_add(sealed.load(SeqCst));
        }
        kinds
    }

    #[cold]
    fn turn(&self, generation: Generation, now: u64) {
        let mut ring = self.ring.lock();
        if ring.0 == generation {
            self.seal(generation, &mut ring.1, now);
        }
    }

    /// Under the lock.
    fn seal(&self, generation: Generation, ring: &mut Buckets, now: u64) {
        if now < ring.end() {
            return;
        }
        let mut taken = [0; 4];
        for (taken, live) in taken.iter_mut().zip(&self.live) {
            *taken = live.change(generation, |_| 0).map_or(0, |(old, _)| old);
        }
        ring.add(&taken);
        ring.advance(now);
        self.publish(ring);
    }

    fn publish(&self, ring: &Buckets) {
        for (sealed, sum) in self.sealed.iter().zip(ring.sum) {
            sealed.store(sum, SeqCst);
        }
        self.end.store(ring.end(), SeqCst);
    }

    /// As of `now`, exactly and without moving anything.
    #[cold]
    pub(super) fn counts(&self, now: u64) -> Counts {
        let ring = self.ring.lock();
        let live = std::array::from_fn(|i| self.live.get(i).map_or(0, Tagged::peek));
        sum(ring.1.at(live, now))
    }

    pub(super) fn reset(&self, generation: Generation) {
        let mut ring = self.ring.lock();
        ring.0 = generation;
        ring.1.clear();
        for live in &self.live {
            live.reset(generation);
        }
        self.publish(&ring.1);
    }

    /// What it holds stays readable; late answers cannot change it.
    pub(super) fn freeze(&self, generation: Generation) {
        let mut ring = self.ring.lock();
        ring.0 = generation;
        for live in &self.live {
            live.freeze(generation);
        }
    }
}

#[inline(always)]
fn sum([ok, failed, slow, both]: Kinds) -> Counts {
    let failures = failed.saturating_add(both);
    Counts {
        calls: ok.saturating_add(slow).saturating_add(failures),
        failures,
        slow_calls: slow.saturating_add(both),
    }
}

/// A ring of buckets: the pure part.
#[derive(Debug)]
struct Buckets {
    /// Nanoseconds.
    width: u64,
    /// When bucket 0 begins. Not the clock's epoch: what falls into one bucket must not hang on when
    /// the process was started.
    start: u64,
    /// The newest bucket's number.
    newest: u64,
    ring: Box<[Kinds]>,
    sum: Kinds,
}

impl Buckets {
    fn new(span: u64, buckets: u32, start: u64) -> Self {
        let buckets = buckets.max(1);
        Buckets {
            width: (span / u64::from(buckets)).max(1),
            start,
            newest: 0,
            ring: (0..buckets).map(|_| Kinds::default()).collect(),
            sum: Kinds::default(),
        }
    }

    fn end(&self) -> u64 {
        let since = self.newest.saturating_add(1).saturating_mul(self.width);
        self.start.saturating_add(since)
    }

    /// The bucket of an instant; the first for those from before.
    fn number(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.start);
        since.checked_div(self.width).unwrap_or(0)
    }

    fn len(&self) -> u64 {
        self.ring.len() as u64
    }

    fn bucket(&mut self, number: u64) -> Option<&mut Kinds> {
        let at = number.checked_rem(self.len())?;
        self.ring.get_mut(at as usize)
    }

    /// To the newest bucket.
    fn add(&mut self, calls: &Kinds) {
        if let Some(bucket) = self.bucket(self.newest) {
            shift(bucket, calls, u64::saturating_add);
            shift(&mut self.sum, calls, u64::saturating_add);
        }
    }

    /// Lets the buckets leave that are too old. At most as many steps as there are buckets.
    fn advance(&mut self, now: u64) {
        let number = self.number(now);
        let steps = number.saturating_sub(self.newest).min(self.len());
        for left in (0..steps).rev() {
            let mut gone = Kinds::default();
            if let Some(bucket) = self.bucket(number.saturating_sub(left)) {
                gone = std::mem::take(bucket);
            }
            shift(&mut self.sum, &gone, u64::saturating_sub);
        }
        self.newest = self.newest.max(number);
    }

    /// What of it, with `live` in the newest bucket, is in the window at `now`: the sum, less the
    /// buckets that have left since.
    fn at(&self, live: Kinds, now: u64) -> Kinds {
        let number = self.number(now).max(self.newest);
        if number.saturating_sub(self.newest) >= self.len() {
            return Kinds::default();
        }
        let mut kinds = self.sum;
        shift(&mut kinds, &live, u64::saturating_add);
        for left in self.newest.saturating_add(1)..=number {
            let at = left.checked_rem(self.len()).unwrap_or(0);
            if let Some(bucket) = self.ring.get(at as usize) {
                shift(&mut kinds, bucket, u64::saturating_sub);
            }
        }
        kinds
    }

    /// Time goes on; the calls are forgotten.
    fn clear(&mut self) {
        self.ring.fill(Kinds::default());
        self.sum = Kinds::default();
    }
}

fn shift(kinds: &mut Kinds, by: &Kinds, how: fn(u64, u64) -> u64) {
    for (kind, by) in kinds.iter_mut().zip(by) {
        *kind = how(*kind, *by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const G: Generation = Generation::of(0);

    fn record(window: &TimeWindow, failed: bool, now: u64) -> u64 {
        window.record(G, failed, false, now);
        window.counts(now).failures
    }

    #[test]
    fn the_oldest_bucket_leaves_whole_and_alone() {
        let window = TimeWindow::new(100, 10, 0);
        for now in [0, 9, 10, 55] {
            record(&window, true, now);
        }
        let at = |now| window.counts(now).failures;
        assert_eq!([at(55), at(99), at(100), at(109), at(110)], [4, 4, 2, 2, 1]);
        assert_eq!([at(149), at(150)], [1, 0]);
    }

    #[test]
    fn the_lock_is_taken_once_a_bucket() {
        let mut buckets = Buckets::new(100, 10, 7000);
        let ends = [6000, 7000, 7009, 7010, 7055, 7054].map(|now| {
            buckets.advance(now);
            buckets.end()
        });
        assert_eq!(ends, [7010, 7010, 7010, 7020, 7060, 7060]);
    }

    #[test]
    fn time_that_runs_backwards_counts_in_the_newest_bucket() {
        let window = TimeWindow::new(100, 10, 0);
        assert_eq!(record(&window, true, 95), 1);
        assert_eq!(record(&window, true, 3), 2);
        assert_eq!(window.counts(189).failures, 2);
        assert_eq!(window.counts(190).failures, 0);
    }

    #[test]
    fn the_longest_window_and_the_latest_time_do_no_harm() {
        let window = TimeWindow::new(u64::MAX, 10, 0);
        assert_eq!(record(&window, true, 0), 1);
        assert_eq!(record(&window, true, u64::MAX / 2), 2);
        assert_eq!(record(&TimeWindow::new(1, 10, 0), true, u64::MAX), 1);
    }

    #[test]
    fn a_late_answer_changes_nothing() {
        let window = TimeWindow::new(100, 10, 0);
        record(&window, true, 5);
        window.freeze(G.next());
        assert_eq!(window.record(G, true, false, 15), None);
        assert_eq!(window.counts(15).failures, 1);
        window.reset(G.next());
        assert_eq!(window.record(G, true, false, 15), None);
        assert_eq!(window.counts(15), Counts::default());
    }

    proptest! {
        /// The model keeps every call with the number of its bucket.
        #[test]
        fn the_buckets_are_the_whole_history_cut_at_the_window(
            buckets in 2u64..12,
            width in 1u64..20,
            start in 0u64..50,
            calls in prop::collection::vec((0u64..60, any::<bool>(), any::<bool>(), any::<bool>()), 0..200),
        ) {
            let window = TimeWindow::new(buckets * width, buckets as u32, start);
            let (mut history, mut clock, mut newest) = (Vec::new(), 0u64, 0);
            for (step, back, failed, slow) in calls {
                let now = if back { clock.saturating_sub(step) } else { clock + step };
                clock = clock.max(now);
                newest = newest.max(now.saturating_sub(start) / width);
                history.push((newest, failed, slow));
                window.record(G, failed, slow, now);
                let later = newest + step / 5;
                for at in [newest, later] {
                    let held = history.iter().filter(|(n, ..)| n + buckets > at);
                    let expected = Counts {
                        calls: held.clone().count() as u64,
                        failures: held.clone().filter(|c| c.1).count() as u64,
                        slow_calls: held.filter(|c| c.2).count() as u64,
                    };
                    prop_assert_eq!(window.counts(start + at * width), expected);
                    if at == newest {
                        prop_assert_eq!(sum(window.kinds()), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn threads_that_seal_lose_no_call() {
        let window = TimeWindow::new(200_000, 20, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for now in 0..20_000 {
                        window.record(G, now % 2 == 0, false, now * 4);
                    }
                });
            }
        });
        let counts = window.counts(80_000);
        assert_eq!((counts.calls, counts.failures), (80_000, 40_000));
    }
}
