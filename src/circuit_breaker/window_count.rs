//! The last so many calls: an exact ring of bits, in atomics.
//!
//! A call takes the place at the cursor, writes whether it failed and whether it was slow, and
//! moves the counts by what it replaced. Where neither the old nor the new call is marked, the
//! cursor is the only write.
//!
//! Between threads the order of the steps matters once: a count is read before the cursor, so that
//! the calls read are never fewer than those whose failures are counted. A failure that is not
//! counted yet is judged by the call that counts it. In a full ring a mark that is being replaced
//! counts until its successor is written, so what is read is exact but for the calls that are being
//! recorded at that moment.
use super::snapshot::Counts;
use super::tagged::{Generation, Tagged, VALUE};

/// A ring of `size` calls.
#[derive(Debug)]
pub(super) struct CountWindow {
    size: u32,
    /// calls in the window << 24 | next place
    cursor: Tagged,
    failed: Marks,
    slow: Option<Marks>,
}

impl CountWindow {
    /// `size` is at least 1 and at most [`MAX_SIZE`].
    pub(super) fn new(size: u32, slow: bool) -> Self {
        let size = size.clamp(1, MAX_SIZE);
        CountWindow {
            size,
            cursor: Tagged::default(),
            failed: Marks::new(size),
            slow: slow.then(|| Marks::new(size)),
        }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// `Some`: there is something to judge.
    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        failed: bool,
        slow: bool,
    ) -> Option<Counts> {
        let size = u64::from(self.size);
        let (before, _) = self.cursor.change(generation, |cursor| {
            let next = place(cursor) + 1;
            let next = if next == size { 0 } else { next };
            (calls(cursor) + 1).min(size) << PLACE_BITS | next
        })?;
        let place = place(before);
        let mut marked = self.failed.set(generation, place, failed);
        if let Some(marks) = &self.slow {
            marked |= marks.set(generation, place, slow);
        }
        marked.then(|| self.counts())
    }

    #[inline]
    pub(super) fn counts(&self) -> Counts {
        let failures = self.failed.count();
        let slow_calls = self.slow.as_ref().map_or(0, Marks::count);
        // Last: see the module.
        let calls = calls(self.cursor.peek());
        Counts {
            calls,
            failures: failures.min(calls),
            slow_calls: slow_calls.min(calls),
        }
    }

    /// Counted bit by bit.
    #[cfg(all(test, seawall_loom))]
    pub(super) fn failures_marked(&self) -> u64 {
        let ones = self.failed.bits.iter().map(|cell| cell.peek().count_ones());
        ones.map(u64::from).sum()
    }

    pub(super) fn reset(&self, generation: Generation) {
        self.failed.reset(generation);
        if let Some(marks) = &self.slow {
            marks.reset(generation);
        }
        self.cursor.reset(generation);
    }

    /// What it holds stays readable; late answers find no place in it.
    pub(super) fn freeze(&self, generation: Generation) {
        self.cursor.freeze(generation);
        self.failed.count.freeze(generation);
        if let Some(marks) = &self.slow {
            marks.count.freeze(generation);
        }
    }
}

/// One bit a call, and how many of them are set.
#[derive(Debug)]
struct Marks {
    bits: Box<[Tagged]>,
    count: Tagged,
}

impl Marks {
    fn new(size: u32) -> Self {
        Marks {
            bits: (0..size.div_ceil(32)).map(|_| Tagged::default()).collect(),
            count: Tagged::default(),
        }
    }

    /// Whether any is set then.
    #[inline(always)]
    fn set(&self, generation: Generation, place: u64, mark: bool) -> bool {
        let bit = 1 << (place % 32);
        if let Some(cell) = self.bits.get((place / 32) as usize)
            && (mark || cell.peek() & bit != 0)
        {
            self.flip(cell, generation, bit, mark);
        }
        self.count.peek() != 0
    }

    #[cold]
    fn flip(&self, cell: &Tagged, generation: Generation, bit: u64, mark: bool) {
        let put = |bits: u64| if mark { bits | bit } else { bits & !bit };
        match cell.change(generation, put) {
            Some((old, new)) if old & bit < new & bit => {
                self.count.change(generation, |n| n.wrapping_add(1));
            }
            // Whose place it was may not have been counted yet: below zero for that moment.
            Some((old, new)) if old & bit > new & bit => {
                self.count.change(generation, |n| n.wrapping_sub(1));
            }
            _ => {}
        }
    }

    /// How many are marked. What is below zero is about to be counted.
    #[inline(always)]
    fn count(&self) -> u64 {
        match self.count.peek() {
            n if n > VALUE / 2 => 0,
            n => n,
        }
    }

    fn reset(&self, generation: Generation) {
        for cell in &self.bits {
            cell.reset(generation);
        }
        self.count.reset(generation);
    }
}

#[inline(always)]
const fn place(cursor: u64) -> u64 {
    cursor & ((1 << PLACE_BITS) - 1)
}

#[inline(always)]
const fn calls(cursor: u64) -> u64 {
    cursor >> PLACE_BITS
}

const PLACE_BITS: u32 = 24;

/// The longest ring: 2^20 calls, 256 KiB, and as much again where slow calls are counted.
pub(super) const MAX_SIZE: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const G: Generation = Generation::of(0);

    fn counted(history: &VecDeque<(bool, bool)>) -> Counts {
        let count = |p: fn(&(bool, bool)) -> bool| history.iter().filter(|c| p(c)).count() as u64;
        Counts {
            calls: count(|_| true),
            failures: count(|c| c.0),
            slow_calls: count(|c| c.1),
        }
    }

    #[test]
    fn a_count_that_is_below_zero_for_a_moment_reads_as_zero() {
        let marks = Marks::new(8);
        let read = |count| {
            marks.count.change(G, |_| count);
            marks.count()
        };
        assert_eq!([read(0), read(3), read(VALUE / 2)], [0, 3, VALUE / 2]);
        assert_eq!([read(VALUE / 2 + 1), read(VALUE)], [0, 0]);
    }

    proptest! {
        #[test]
        fn the_ring_is_the_last_calls_of_the_whole_history(
            size in 1u32..100,
            calls in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.2)), 0..400),
        ) {
            let window = CountWindow::new(size, true);
            let mut history = VecDeque::new();
            for call in calls {
                let judged = window.record(G, call.0, call.1);
                history.push_back(call);
                if history.len() > size as usize {
                    history.pop_front();
                }
                let counts = counted(&history);
                prop_assert_eq!(window.counts(), counts);
                prop_assert_eq!(judged.unwrap_or(counts), counts);
                prop_assert_eq!(judged.is_none(), counts.failures + counts.slow_calls == 0);
            }
        }
    }

    #[test]
    fn a_late_answer_finds_no_place() {
        let window = CountWindow::new(3, false);
        window.record(G, true, false);
        let before = window.counts();
        window.freeze(G.next());
        assert_eq!(window.record(G, true, false), None);
        assert_eq!(window.counts(), before);
        window.reset(G.next());
        assert_eq!(window.record(G, true, false), None);
        assert_eq!(window.counts(), Counts::default());
    }

    #[test]
    fn threads_lose_no_call_and_no_mark() {
        let window = CountWindow::new(997, true);
        std::thread::scope(|scope| {
            for t in 0..4u32 {
                let window = &window;
                scope.spawn(move || {
                    for i in 0..5_000u32 {
                        let now = window.record(G, (i + t) % 3 == 0, i % 5 == 0);
                        assert!(now.is_none_or(|n| n.failures <= n.calls));
                    }
                });
            }
        });
        let set = |marks: &Marks| -> u64 {
            let ones = marks.bits.iter().map(|c| c.peek().count_ones());
            ones.map(u64::from).sum()
        };
        let counts = window.counts();
        assert_eq!(counts.calls, 997);
        assert_eq!(set(&window.failed), counts.failures);
        assert_eq!(set(window.slow.as_ref().unwrap()), counts.slow_calls);
    }

    #[test]
    fn under_threads_a_rate_is_never_higher_than_it_was() {
        // Never more than one call in two has failed: every failure follows a success of its thread.
        let window = CountWindow::new(MAX_SIZE, false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        window.record(G, false, false);
                        if let Some(now) = window.record(G, true, false) {
                            assert!(now.failures * 2 <= now.calls, "{now:?}");
                        }
                    }
                });
            }
        });
    }
}
