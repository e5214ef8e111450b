//! How a saga comes to be given up, and what becomes of what it has under way then.
use super::*;

/// What gives up a saga whose time is over.
const DEADLINE: &str = "deadline";

/// Why a cancelled saga is undone.
pub(super) fn reason(by: &str, note: &str) -> String {
    match by {
        DEADLINE => note.to_owned(),
        _ => format!("cancelled by {by}: {note}"),
    }
}

impl Forward<'_> {
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.turns.end, Some(Err(Given::Up(_))))
    }

    /// Whether someone, or its deadline, wants it given up, and it is not too late.
    pub(super) fn consider_giving_up(&mut self) {
        let view = &self.d.view;
        if self.is_given_up() || view.pivoted || self.book.has_open_pivot() {
            return;
        }
        let reason = match (&view.cancel, view.deadline) {
            (Some((by, note)), _) => reason(by, note),
            (None, Some(deadline)) if deadline <= self.d.core.now() && self.turns.end.is_none() => {
                let note = "its deadline has passed".to_owned();
                if !self.book.open.is_empty() {
                    // The code, run again, would hear of what is settled now and might get to its
                    // end with that.
                    let by = DEADLINE.to_owned();
                    let note = note.clone();
                    self.d.push(Event::Cancelled { by, note });
                }
                note
            }
            _ => return,
        };
        self.turns.give_up(reason);
    }

    /// No step is tried again: those that wait are settled as they stand.
    pub(super) fn settle_what_waits(&mut self) -> Result<(), Park> {
        if !self.is_given_up() {
            return Ok(());
        }
        self.d.link.set_mode(Mode::Ending);
        for (op, wait) in std::mem::take(&mut self.waiting) {
            if self.is_loaded_step(op) {
                // As one whose wait is over: it may be in doubt.
                self.book.to_start.push(op);
                continue;
            }
            let Wait {
                attempt,
                error,
                tainted,
                ..
            } = wait;
            let failed = Settled::Failed {
                clean: !tainted,
                error,
                attempt,
            };
            self.settled(op, failed)?;
        }
        Ok(())
    }

    /// A step that was asked for before the saga was loaded, and has not been taken up since.
    pub(super) fn is_loaded_step(&self, op: u32) -> bool {
        let open = self.book.open.get(&op).map(|open| &open.what);
        self.loaded.contains(&op) && matches!(open, Some(What::Step { .. }))
    }

    /// Whether a step is in doubt and has somebody to ask, who may not have answered yet.
    fn has_to_be_asked_about(&self, op: u32) -> bool {
        let known = self.d.view.ops.get(&op);
        known.is_some_and(|known| {
            let step = self.steps.get(known.name.as_str());
            known.tries.tainted && step.is_some_and(|step| step.verifies())
        })
    }

    /// Nor is any begun that has not been, or that waited when the saga was loaded. Where an attempt
    /// may be lost, or its participant can be asked, its action still finds out. `true`: look again.
    pub(super) fn settle_what_rests(&mut self, starting: &[u32]) -> Result<bool, Park> {
        let mut settled = !self.waiting.is_empty();
        for &op in starting {
            let rests = match self.book.open.get(&op).map(|open| &open.what) {
                Some(What::Step { .. }) => !self.may_be_lost(op) && !self.has_to_be_asked_about(op),
                Some(What::Undo { .. }) => !self.may_be_lost(op),
                Some(What::Child { .. }) | None => false,
            };
            if !rests {
                self.book.to_start.push(op);
                continue;
            }
            let known = self.d.view.ops.get(&op);
            let tries = known.map(|known| known.tries).unwrap_or_default();
            let error = known.and_then(|known| known.error.clone());
            let failed = Settled::Failed {
                clean: !tries.tainted,
                error: error.unwrap_or_else(|| "the saga was given up before it began".to_owned()),
                attempt: tries.used,
            };
            self.settled(op, failed)?;
            settled = true;
        }
        if !settled {
            // To be started after all.
            self.book.to_start.clear();
        }
        Ok(settled)
    }

    /// Children that run are cancelled, each once. The saga is here until that is written down in
    /// them: nobody would bring it back to do it.
    pub(super) fn call_children_back(&mut self) {
        if self.running.is_empty() {
            // They may have to run alone to hear it.
            self.d.stand_by();
        }
        for &op in &self.born {
            if let Some(Open {
                what: What::Child { saga, key, .. },
                ..
            }) = self.book.open.get(&op)
                && self.called_back.insert(op)
            {
                let called = self.d.core.cancel_child(saga.clone(), key.clone());
                self.running.push(Box::pin(async move {
                    called.await;
                    (op, Settled::ChildStarted)
                }));
            }
        }
    }

    pub(super) fn has_children_to_call_back(&self) -> bool {
        self.is_given_up() && !self.born.is_subset(&self.called_back)
    }

    pub(super) async fn commands(&mut self) -> Result<(), Halt> {
        while let Some((command, reply)) = self.d.link.take_command() {
            match command {
                Command::Cancel { by, note, .. } if !self.d.view.pivoted => {
                    self.d.push(Event::Cancelled { by, note });
                    self.cancels.push(reply);
                }
                Command::Cancel { .. } => self.d.replies.push((Err(Refused::PastPivot), reply)),
                Command::Force { by, note } => {
                    self.d.push(Event::Forced { by, note });
                    self.d.replies.push((Ok(()), reply));
                    return Err(self.d.end().await.into());
                }
                _ => self.d.replies.push((Err(Refused::NotStuck), reply)),
            }
        }
        Ok(())
    }

    /// While a pivot is open nobody can say whether it is too late.
    pub(super) fn answer_cancels(&mut self) {
        if self.book.has_open_pivot() {
            // One that is gone needs no answer, and keeps nothing in memory.
            return self.cancels.retain(|reply| !reply.is_closed());
        }
        for reply in self.cancels.drain(..) {
            let answer = match self.d.view.pivoted {
                true => Err(Refused::PastPivot),
                false => Ok(()),
            };
            self.d.replies.push((answer, reply));
        }
    }
}
