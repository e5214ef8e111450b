//! Waits before a next attempt, as the journal keeps them.
use super::*;

impl Forward<'_> {
    /// The wait of `op`, as it is written down.
    pub(super) fn retry_of(&self, op: u32, wait: &Wait) -> Event {
        let undo = match self.book.open.get(&op).map(|open| &open.what) {
            Some(What::Undo { target }) => Some(*target),
            _ => None,
        };
        Event::Retry {
            op: undo.unwrap_or(op),
            attempt: wait.attempt,
            not_before: wait.not_before,
            error: wait.error.clone(),
            tainted: wait.tainted,
            refused_by: wait.refused_by.clone(),
            undo: undo.is_some(),
            left: false,
        }
    }

    /// Before the saga leaves memory: what waits is written in its last row, which says that nothing
    /// was under way, so that taking it up again is no attempt.
    pub(super) fn write_waits(&mut self) {
        let waits = self
            .waiting
            .iter()
            .map(|(op, wait)| self.retry_of(*op, wait));
        for event in waits.collect::<Vec<_>>() {
            let same = |e: &Event| match (e, &event) {
                (Event::Retry { op: known, .. }, Event::Retry { op, .. }) => known == op,
                _ => false,
            };
            if !self.d.batch.iter().any(same) {
                self.d.push(event);
            }
        }
    }

    /// The engine stops before these were begun.
    pub(super) fn hold_back(&mut self) {
        let (starting, _) = self.sort_out();
        for op in starting {
            let open = self.book.open.get(&op).map(|open| &open.what);
            if !matches!(open, Some(What::Step { .. })) {
                continue;
            }
            let tries = self.d.view.ops.get(&op).map(|op| op.tries);
            let tries = tries.filter(|_| self.loaded.contains(&op));
            let wait = Wait {
                attempt: tries.map_or(0, |tries| tries.used_by(self.d.epoch)),
                not_before: self.d.core.now(),
                error: "the engine was stopped before this attempt".to_owned(),
                tainted: tries.is_some_and(|tries| tries.tainted || tries.lost_one(self.d.epoch)),
                refused_by: None,
            };
            self.waiting.insert(op, wait);
        }
    }
}
