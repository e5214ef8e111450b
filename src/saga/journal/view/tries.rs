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
