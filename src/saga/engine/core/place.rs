//! A saga's place in memory.
use super::{Core, Running};
use std::sync::{Arc, atomic::Ordering::SeqCst};
use tokio::sync::OwnedSemaphorePermit;

/// A saga's place in memory; given back when dropped.
pub(in crate::saga::engine) struct Place {
    core: Arc<Core>,
    name: String,
    turn: Option<OwnedSemaphorePermit>,
    lent: bool,
}

impl Place {
    /// With a turn among those that come into memory for the same reason.
    pub(in crate::saga::engine) fn with(mut self, turn: OwnedSemaphorePermit) -> Self {
        self.turn = Some(turn);
        self
    }

    /// The saga stays in memory and only waits for others, which may need a place to come to their
    /// end.
    pub(in crate::saga::engine) fn lend(&mut self) {
        if !std::mem::replace(&mut self.lent, true) {
            self.turn = None;
            self.core.running.lock().leave(&self.name);
            self.core.a_place_is_free();
        }
    }

    /// It goes on. Whoever has the place keeps it: a saga that is in memory does not stand in line.
    pub(in crate::saga::engine) fn take_back(&mut self) {
        if std::mem::replace(&mut self.lent, false) {
            self.core.running.lock().enter(&self.name);
        }
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
        running.enter(name);
        self.in_memory.fetch_add(1, SeqCst);
        Place {
            core: self.clone(),
            name: name.to_owned(),
            turn: None,
            lent: false,
        }
    }

    /// How many places have come free so far: to be read before looking for room, and given to
    /// [`note_backlog`](Core::note_backlog) where there was none.
    pub(in crate::saga::engine) fn freed(&self) -> u64 {
        self.freed.load(SeqCst)
    }

    /// Notes that somebody waits in the store for a place: whoever frees one from now on wakes the
    /// scheduler. `false`: one has come free since `freed`, and nobody was woken.
    pub(in crate::saga::engine) fn note_backlog(&self, freed: u64) -> bool {
        self.backlog.store(true, SeqCst);
        self.freed() == freed
    }

    fn a_place_is_free(&self) {
        // Counted before the note is read, as the note is written before the count is read: one of
        // the two sides sees the other.
        self.freed.fetch_add(1, SeqCst);
        if self.backlog.load(SeqCst) {
            self.wake.notify_one();
        }
    }
}

impl Running {
    fn enter(&mut self, name: &str) {
        self.total = self.total.saturating_add(1);
        match self.by_name.get_mut(name) {
            Some(n) => *n = n.saturating_add(1),
            None => {
                self.by_name.insert(name.to_owned(), 1);
            }
        }
    }

    fn leave(&mut self, name: &str) {
        self.total = self.total.saturating_sub(1);
        if let Some(n) = self.by_name.get_mut(name) {
            *n = n.saturating_sub(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.lent {
            self.core.running.lock().leave(&self.name);
        }
        if self.core.in_memory.fetch_sub(1, SeqCst) == 1 {
            self.core.empty.notify_waiters();
        }
        self.core.a_place_is_free();
    }
}
