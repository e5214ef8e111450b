//! Free permits and waiting calls in one word, so that both change in one step.
//!
//! ```text
//! 63                              30 29                     0
//! | free permits, signed (34 bits)  | waiting calls (30 bits) |
//! ```
//! The *free* permits are counted and not those in use: then neither entering nor leaving has to
//! know the limit. They fall below zero while a lowered limit lets calls drain.
//!
//! | step | free | waiting | allowed when |
//! |---|---|---|---|
//! | enter | −1 | | free > 0 and nobody waits |
//! | join the line | | +1 | not (free > 0 and nobody waits) |
//! | release | +1 | | always |
//! | hand over to the first | −1 | −1 | free > 0 |
//! | leave the line, or be refused in it | | −1 | somebody waits |
//! | new limit | + new − old | | always |

/// One permit, in a [`Word`].
pub(in crate::bulkhead) const ONE_PERMIT: i64 = 1 << 30;
/// One waiting call, in a [`Word`].
pub(in crate::bulkhead) const ONE_WAITING: i64 = 1;
/// More waiting calls than this do not fit.
pub(in crate::bulkhead) const MAX_PLACES: u32 = (1 << 30) - 1;

const WAITING: i64 = ONE_PERMIT - 1;

/// See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bulkhead) struct Word(pub(in crate::bulkhead) i64);

impl Word {
    pub(in crate::bulkhead) fn new(limit: u32) -> Self {
        Word(i64::from(limit) * ONE_PERMIT)
    }

    /// Permits nobody holds; negative while more calls are in flight than the limit allows.
    pub(in crate::bulkhead) fn free(self) -> i64 {
        self.0 >> 30
    }

    pub(in crate::bulkhead) fn waiting(self) -> u32 {
        // 30 bits, so nothing is lost.
        u32::try_from(self.0 & WAITING).unwrap_or(MAX_PLACES)
    }

    /// Whether somebody who comes by may take a permit: one is free, and nobody waits for it.
    #[inline]
    pub(in crate::bulkhead) fn may_enter(self) -> bool {
        self.0 & WAITING == 0 && self.0 > 0
    }

    /// What moves the free permits from one limit to another.
    pub(in crate::bulkhead) fn change(old: u32, new: u32) -> i64 {
        (i64::from(new) - i64::from(old)) * ONE_PERMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_do_not_touch_each_other() {
        let lowered = Word(Word::new(3).0 - 5 * ONE_PERMIT + 7 * ONE_WAITING);
        assert_eq!((lowered.free(), lowered.waiting()), (-2, 7));
        let raised = Word(lowered.0 + Word::change(3, u32::MAX));
        assert_eq!(
            (raised.free(), raised.waiting()),
            (i64::from(u32::MAX) - 5, 7)
        );
    }

    #[test]
    fn the_extremes_fit() {
        let idle = Word::new(u32::MAX);
        let spent = Word(idle.0 - i64::from(u32::MAX) * ONE_PERMIT);
        assert_eq!((spent.free(), spent.may_enter()), (0, false));
        // The limit goes to zero while all of them are out, and the line is full.
        let drained = Word(spent.0 + Word::change(u32::MAX, 0) + i64::from(MAX_PLACES));
        assert_eq!(drained.free(), -i64::from(u32::MAX));
        assert_eq!(drained.waiting(), MAX_PLACES);
    }

    #[test]
    fn a_free_permit_is_for_those_who_wait_first() {
        assert!(Word(ONE_PERMIT).may_enter());
        assert!(!Word(ONE_PERMIT + ONE_WAITING).may_enter());
        assert!(!Word(0).may_enter());
        assert!(!Word(-ONE_PERMIT).may_enter());
    }
}
