//! Words that know which generation they belong to.
//!
//! Every change of state begins a generation. A call's ticket, the word that says the state, and
//! each shared word of the windows carry its number, and the windows change only by
//! compare-and-exchange from a word of the same generation. So an answer to a call from before a
//! change cannot touch what is counted after it: check and write are one step.
//!
//! Generations are compared for equality alone and count in 16 bits. A late answer would be taken
//! for a current one if its call outlived a multiple of 65,536 changes, to the very change.
use crate::sync::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// The generation of a breaker's state: the upper bits of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl Generation {
    #[inline(always)]
    pub(super) const fn of(word: u64) -> Self {
        Generation(word & !VALUE)
    }

    pub(super) const fn next(self) -> Self {
        Generation(self.0.wrapping_add(1 << VALUE_BITS))
    }

    /// A word of this generation.
    #[inline(always)]
    pub(super) const fn with(self, value: u64) -> u64 {
        self.0 | value & VALUE
    }
}

/// The lower bits of a word.
#[inline(always)]
pub(super) const fn value(word: u64) -> u64 {
    word & VALUE
}

pub(super) const VALUE_BITS: u32 = 48;
pub(super) const VALUE: u64 = (1 << VALUE_BITS) - 1;

/// A shared number of 48 bits that belongs to a generation. Sequentially consistent, which the time
/// window needs and which costs the others nothing where it matters.
#[derive(Debug, Default)]
pub(super) struct Tagged(AtomicU64);

impl Tagged {
    /// The number, whatever its generation.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        value(self.0.load(SeqCst))
    }

    /// The number before and after the change; `None`: it belongs to another generation. `change`
    /// may run several times.
    #[inline(always)]
    pub(super) fn change(
        &self,
        generation: Generation,
        change: impl Fn(u64) -> u64,
    ) -> Option<(u64, u64)> {
        let mut word = self.0.load(SeqCst);
        loop {
            if Generation::of(word) != generation {
                return None;
            }
            let (old, new) = (value(word), value(change(value(word))));
            match self
                .0
                .compare_exchange_weak(word, generation.with(new), SeqCst, SeqCst)
            {
                Ok(_) => return Some((old, new)),
                Err(seen) => word = seen,
            }
        }
    }

    #[inline(always)]
    pub(super) fn increment(&self, generation: Generation) -> Option<u64> {
        let (_, new) = self.change(generation, |n| n.saturating_add(1).min(VALUE))?;
        Some(new)
    }

    /// Begins a generation at zero.
    pub(super) fn reset(&self, generation: Generation) {
        // A swap, so that model checkers see it in one order with late changes.
        self.0.swap(generation.with(0), SeqCst);
    }

    /// Takes the number away from its generation: it stays readable, and late changes fail.
    pub(super) fn freeze(&self, generation: Generation) {
        let retag = |word| Some(generation.with(value(word)));
        // Always `Some`, so it cannot fail.
        let _ = self.0.fetch_update(SeqCst, SeqCst, retag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_from_another_generation_fails() {
        let (old, new) = (Generation::default(), Generation::default().next());
        let word = Tagged::default();
        assert_eq!(word.increment(old), Some(1));
        word.freeze(new);
        assert_eq!((word.increment(old), word.peek()), (None, 1));
        assert_eq!(word.increment(new), Some(2));
        word.reset(old);
        assert_eq!((word.increment(new), word.peek()), (None, 0));
    }

    #[test]
    fn generations_wrap_without_touching_the_value() {
        let mut generation = Generation::default();
        for _ in 0..1 << 16 {
            generation = generation.next();
            assert_eq!(value(generation.with(7)), 7);
            assert_eq!(Generation::of(generation.with(7)), generation);
        }
        assert_eq!(generation, Generation::default());
    }

    #[test]
    fn a_number_at_its_end_stays_there() {
        let word = Tagged::default();
        word.change(Generation::default(), |_| VALUE);
        assert_eq!(word.increment(Generation::default()), Some(VALUE));
    }
}
