//! The attempts of a step, by its journal.

/// How many attempts were used, as far as the journal tells: `used` when a row of `epoch` was
/// written. Each owner since may have begun one more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    pub(crate) used: u32,
    pub(crate) epoch: u32,
    /// An attempt may have been applied.
    pub(crate) tainted: bool,
    /// Nothing was under way when the saga left memory.
    pub(crate) left: bool,
}

impl Tries {
    /// The attempts used, in the eyes of an owner that took over in `epoch`. No restart lowers it.
    pub(crate) fn used_by(self, epoch: u32) -> u32 {
        let owners = epoch.saturating_sub(self.epoch);
        self.used
            .saturating_add(owners.saturating_sub(u32::from(self.left)))
    }

    /// Whether an attempt may have been begun and lost since.
    pub(crate) fn lost_one(self, epoch: u32) -> bool {
        self.used_by(epoch) > self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_that_vanished_may_have_used_one_attempt_more() {
        let tries = Tries {
            used: 2,
            epoch: 5,
            ..Tries::default()
        };
        assert_eq!([4, 5, 6, 8].map(|epoch| tries.used_by(epoch)), [2, 2, 3, 5]);
        assert_eq!([5, 6].map(|epoch| tries.lost_one(epoch)), [false, true]);
    }

    #[test]
    fn an_owner_that_left_in_between_has_used_none() {
        let tries = Tries {
            used: 2,
            epoch: 5,
            left: true,
            tainted: false,
        };
        assert_eq!([5, 6, 7].map(|epoch| tries.used_by(epoch)), [2, 2, 3]);
        assert_eq!([6, 7].map(|epoch| tries.lost_one(epoch)), [false, true]);
    }
}
