//! Who waits for the end of which saga. Very many may wait for one.
use crate::saga::{engine::handle::End, store::SagaId};
use std::collections::HashMap;
use tokio::sync::oneshot::Sender;

#[derive(Default)]
pub(super) struct Waiters(HashMap<SagaId, Crowd>);

#[derive(Default)]
struct Crowd {
    waiting: Vec<Sender<End>>,
    /// How many of them may have gone away since it was last looked through, and how many were left
    /// then.
    gone: usize,
    left: usize,
}

impl Waiters {
    pub(super) fn add(&mut self, id: SagaId, waiter: Sender<End>) {
        let crowd = self.0.entry(id).or_default();
        // Those whose futures were dropped said nothing.
        if crowd.waiting.len() > crowd.left.saturating_mul(2) {
            crowd.look_through();
        }
        crowd.waiting.push(waiter);
    }

    /// One of them may have gone away. When all have, nothing of the saga stays.
    pub(super) fn one_gone(&mut self, id: SagaId) {
        let Some(crowd) = self.0.get_mut(&id) else {
            return;
        };
        crowd.gone = crowd.gone.saturating_add(1);
        // Each look through costs no more than those who went away before it.
        if crowd.gone.saturating_mul(2) >= crowd.waiting.len() {
            crowd.look_through();
        }
        if crowd.waiting.is_empty() {
            self.0.remove(&id);
        }
    }

    pub(super) fn take(&mut self, id: SagaId) -> Vec<Sender<End>> {
        let crowd = self.0.remove(&id);
        crowd.map(|crowd| crowd.waiting).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Crowd {
    fn look_through(&mut self) {
        self.waiting.retain(|waiter| !waiter.is_closed());
        (self.gone, self.left) = (0, self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn whoever_is_left_is_told_and_nothing_stays_of_those_who_went_away() {
        let (mut waiters, id) = (Waiters::default(), SagaId(1));
        let mut waiting: Vec<_> = (0..100)
            .map(|_| {
                let (tell, end) = oneshot::channel();
                waiters.add(id, tell);
                end
            })
            .collect();
        for _ in 0..97 {
            drop(waiting.pop());
            waiters.one_gone(id);
        }
        assert!(waiters.0[&id].waiting.len() < 8);
        let told = waiters.take(id);
        assert_eq!(told.iter().filter(|waiter| !waiter.is_closed()).count(), 3);
        assert_eq!(waiters.len(), 0);
        for waiter in told {
            waiters.add(id, waiter);
        }
        for end in waiting {
            drop(end);
            waiters.one_gone(id);
        }
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn those_who_go_away_in_silence_do_not_pile_up() {
        let (mut waiters, id) = (Waiters::default(), SagaId(1));
        for _ in 0..1000 {
            waiters.add(id, oneshot::channel().0);
        }
        assert!(waiters.0[&id].waiting.len() < 8);
    }
}
