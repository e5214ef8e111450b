//! What comes back: of actions, of the clock, of the inbox.
use super::*;

impl Forward<'_> {
    pub(super) fn settled(&mut self, op: u32, settled: Settled) -> Result<(), Park> {
        match self.outcome_of(op, settled)? {
            Some(event) => self.book_in(event),
            None => Ok(()),
        }
    }

    /// An outcome goes into the journal, and to the code.
    fn book_in(&mut self, event: Event) -> Result<(), Park> {
        let delivered = self.book.outcome(&event);
        self.d.push(event);
        match delivered? {
            Some(delivered) => self.turns(Some(delivered)),
            None => Ok(()),
        }
    }

    pub(super) fn outcome_of(&mut self, op: u32, settled: Settled) -> Result<Option<Event>, Park> {
        self.started.remove(&op);
        let Some(open) = self.book.open.get(&op) else {
            return Ok(None);
        };
        Ok(Some(match settled {
            Settled::Done { out, attempt } => Event::Done { op, out, attempt },
            Settled::Failed {
                clean,
                error,
                attempt,
            } => {
                let past = self.d.view.pivoted;
                if past || (open.pivot && !clean) {
                    let name = self.d.view.ops.get(&op).map_or("", |op| &*op.name);
                    let why = match past {
                        true => format!("step `{name}` failed after the pivot: {error}"),
                        false => {
                            format!("nobody knows whether the pivot `{name}` was applied: {error}")
                        }
                    };
                    return Err(Park::new(StuckKind::Forward, why).at(op));
                }
                Event::Failed {
                    op,
                    clean,
                    error,
                    attempt,
                }
            }
            Settled::Wait(wait) => {
                let event = self.retry_of(op, &wait);
                self.d.push(event);
                self.waiting.insert(op, wait);
                return Ok(None);
            }
            Settled::Park { kind, why } => {
                let about = match open.what {
                    What::Undo { target } => target,
                    _ => op,
                };
                return Err(Park::new(kind, why).at(about));
            }
            Settled::Undone => match open.what {
                What::Undo { target } => Event::Undone { op: target },
                _ => return Ok(None),
            },
            Settled::ChildStarted => {
                self.born.insert(op);
                return Ok(None);
            }
        }))
    }

    pub(super) fn come_due(&mut self) -> Result<(), Park> {
        let now = self.d.core.now();
        if self.turns.end.is_none() {
            for event in self.book.due(now) {
                // An earlier one may have let it go.
                if self.book.is_open(&event) {
                    self.book_in(event)?;
                }
            }
        }
        let due: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, wait)| wait.not_before <= now)
            .collect();
        let due: Vec<u32> = due.into_iter().map(|(op, _)| *op).collect();
        for op in due {
            if let Some(wait) = self.waiting.remove(&op) {
                self.again(op, wait)?;
            }
        }
        Ok(())
    }

    pub(super) fn again(&mut self, op: u32, wait: Wait) -> Result<(), Park> {
        let Some(open) = self.book.open.get(&op) else {
            return Ok(());
        };
        if self.loaded.contains(&op) {
            return self.start(op);
        }
        self.started.insert(op);
        match open.what.clone() {
            What::Step { name, cmd } => {
                let mut action = self.action(op, name, cmd, wait.attempt, wait.tainted)?;
                // It was asked about before the wait.
                action.doubted = true;
                self.running.push(Box::pin(action.run()));
                Ok(())
            }
            What::Undo { target } => self.start_undo(op, target, wait.attempt),
            What::Child { .. } => self.start(op),
        }
    }

    pub(super) async fn read_mail(&mut self) -> Result<(), Halt> {
        for mail in self
            .d
            .core
            .store
            .inbox(self.d.id)
            .await
            .map_err(Stop::from)?
        {
            if self.d.consumed.contains(&mail.arrival) {
                continue;
            }
            if self.d.weight >= HEAVY {
                self.d.flush(Next::Keep).await?;
            }
            if mail.name == CHILD_ENDED {
                self.child_ended(&mail.id, &mail.body)?;
                self.d.consumed.insert(mail.arrival);
                continue;
            }
            self.d.consumed.insert(mail.arrival);
            if self.book.has_seen(&mail.id) {
                continue;
            }
            let body = RawValue::from_string(mail.body).map_err(|e| {
                let why = format!("signal `{}` in the inbox cannot be read: {e}", mail.name);
                Park::new(StuckKind::Damage, why)
            })?;
            let event = Event::Signal {
                id: mail.id,
                name: mail.name,
                body,
            };
            if !mutant("letter_not_written") {
                self.d.push(event.clone());
            }
            self.outcome(&event)?;
        }
        Ok(())
    }

    fn child_ended(&mut self, letter: &str, body: &str) -> Result<(), Halt> {
        let end = serde_json::from_str(body).map_err(|e| {
            let why = format!("the letter with a child's end cannot be read: {e}");
            Park::new(StuckKind::Damage, why)
        })?;
        let (op, settled) = match end {
            Event::Done { op, out, attempt } => (op, Settled::Done { out, attempt }),
            Event::Failed {
                op,
                clean,
                error,
                attempt,
            } => {
                let failed = Settled::Failed {
                    clean,
                    error,
                    attempt,
                };
                (op, failed)
            }
            _ => return Ok(()),
        };
        if let Some(Open {
            what: What::Child { key, .. },
            ..
        }) = self.book.open.get(&op)
            && start::is_end_of(letter, key)
        {
            self.born.remove(&op);
            self.settled(op, settled)?;
        }
        Ok(())
    }
}
