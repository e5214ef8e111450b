//! What a drain has to wait for beside the sagas in memory: those on their way there.
use super::Core;
use std::sync::atomic::Ordering::SeqCst;

/// A claim, a seizure or a start that has not come back.
pub(in crate::saga::engine) struct Taking<'a>(&'a Core);

impl Core {
    /// To be held while a saga is brought into memory, so that a drain waits for it. `None`: there is
    /// one already.
    pub(in crate::saga::engine) fn take(&self) -> Option<Taking<'_>> {
        self.taking.fetch_add(1, SeqCst);
        let taking = Taking(self);
        (!self.is_draining()).then_some(taking)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if self.0.taking.fetch_sub(1, SeqCst) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}
