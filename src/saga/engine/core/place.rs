//! A saga's place in memory.
use super::{Core, Running};
use std::sync::{Arc, atomic::Ordering::SeqCst};
use tokio::sync::OwnedSemaphorePermit;

/// A saga's place in memory; given back when dropped.
pub(in crate::saga::engine) struct Place {
    core: Arc<Core>,
    name: String,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// With a turn among those that come into memory for the same reason.
    pub(in crate::saga::engine) fn with(mut self, turn: OwnedSemaphorePermit) -> Self {
        self._turn = Some(turn);
        self
    }
}

impl Core {
    /// A place for a saga, if there is room. `None`: it has to wait in the store.
    pub(in crate::saga::engine) fn place(self: &Arc<Self>, name: &str) -> Option<Place> {
        let mut running = self.running.lock();
        if running.total >= self.max_running || running.of(name) >= self.most_of(name) {
            return None;
        }
        Some(self.take_place(&mut running, name))
    }

    /// A place, whatever the limits: for what an operator does.
    pub(in crate::saga::engine) fn extra_place(self: &Arc<Self>, name: &str) -> Place {
        self.take_place(&mut self.running.lock(), name)
    }

    fn take_place(self: &Arc<Self>, running: &mut Running, name: &str) -> Place {
        running.total = running.total.saturating_add(1);
        match running.by_name.get_mut(name) {
            Some(n) => *n = n.saturating_add(1),
            None => {
                running.by_name.insert(name.to_owned(), 1);
            }
        }
        self.in_memory.fetch_add(1, SeqCst);
        Place {
            core: self.clone(),
            name: name.to_owned(),
            _turn: None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.core.running.lock();
        running.total = running.total.saturating_sub(1);
        if let Some(n) = running.by_name.get_mut(&self.name) {
            *n = n.saturating_sub(1);
        }
        drop(running);
        if self.core.in_memory.fetch_sub(1, SeqCst) == 1 {
            self.core.empty.notify_waiters();
        }
        if self.core.backlog.load(SeqCst) {
            self.core.wake.notify_one();
        }
    }
}
