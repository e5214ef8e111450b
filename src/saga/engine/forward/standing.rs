//! What is written down before the saga leaves memory: that nothing was under way, so that taking
//! it up again is no attempt, and no doubt.
use super::*;

impl Forward<'_> {
    /// Steps that wait for their next attempt, and those whose first one has not begun.
    pub(super) fn note_what_stands(&mut self) {
        let now = self.d.core.now();
        let mut notes = Vec::new();
        for (op, open) in &self.book.open {
            let undo = match open.what {
                What::Undo { target } => Some(target),
                What::Step { .. } => None,
                What::Child { .. } => continue,
            };
            let about = undo.unwrap_or(*op);
            let state = self.d.view.ops.get(&about).map(|known| &known.state);
            // Settled, and the code has not heard of it: it does in its next life.
            match (undo, state) {
                (None, Some(OpState::Intent)) | (Some(_), Some(OpState::Done(_))) => {}
                _ => continue,
            }
            let wait = match self.waiting.get(op) {
                Some(wait) => wait.clone(),
                None if self.started.contains(op) || self.may_be_lost(*op) => continue,
                None => {
                    let known = self.d.view.ops.get(&about);
                    let tries = known.map(|known| known.tries).unwrap_or_default();
                    let error = known.and_then(|known| known.error.clone());
                    // Its wait of before, where it has one: just taken up, it waits for nothing here yet.
                    let waiting = known.and_then(|known| known.waiting.as_ref());
                    Wait {
                        attempt: tries.used,
                        not_before: waiting.map_or(now, |waiting| waiting.not_before),
                        error: error
                            .unwrap_or_else(|| "the engine was stopped before it began".to_owned()),
                        tainted: tries.tainted,
                        refused_by: waiting.and_then(|waiting| waiting.refused_by.clone()),
                    }
                }
            };
            notes.push((*op, about, wait));
        }
        let noted = self.d.batch.iter().filter_map(|event| match event {
            Event::Retry { op, .. } => Some(*op),
            _ => None,
        });
        let mut noted: BTreeSet<u32> = noted.collect();
        for (op, about, wait) in notes {
            if noted.insert(about) {
                let event = self.retry_of(op, &wait);
                self.d.push(event);
            }
        }
        for event in &mut self.d.batch {
            if let Event::Retry { left, .. } = event {
                *left = true;
            }
        }
    }

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

    /// Whether an attempt may have been begun by an owner that is gone.
    pub(super) fn may_be_lost(&self, op: u32) -> bool {
        let about = match self.book.open.get(&op).map(|open| &open.what) {
            Some(What::Undo { target }) => *target,
            _ => op,
        };
        let known = self.d.view.ops.get(&about);
        self.loaded.contains(&op) && known.is_some_and(|known| known.tries.lost_one(self.d.epoch))
    }

    pub(super) async fn drain(&mut self) -> Stop {
        self.d.link.set_mode(Mode::Drain);
        while let Some((op, settled)) = self.running.next().await {
            match self.outcome_of(op, settled) {
                Ok(Some(event)) => self.d.push(event),
                Ok(None) => {}
                Err(park) => return self.d.park(park).await,
            }
        }
        self.note_what_stands();
        for reply in self.cancels.drain(..) {
            self.d.replies.push((Ok(()), reply));
        }
        match self.d.flush(Next::Keep).await {
            Ok(()) => Stop::Drained,
            Err(stop) => stop,
        }
    }
}
