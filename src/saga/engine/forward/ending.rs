//! Where a saga goes when its code has ended.
use super::*;

impl Forward<'_> {
    /// The outcome of an open step would come into a run that has not asked for it.
    pub(super) fn may_continue(&self) -> Result<(), Park> {
        if !matches!(self.turns.end, Some(Err(Given::Continue(_)))) {
            return Ok(());
        }
        let Some(op) = self.book.open.keys().next() else {
            return Ok(());
        };
        let name = self.d.view.ops.get(op).map_or("undo", |op| &*op.name);
        let why = format!(
            "the saga continues as another run while step `{name}` is still open; it has to be \
             awaited first"
        );
        Err(Park::new(StuckKind::Saga, why).at(*op))
    }

    pub(super) async fn finish(&mut self, shared: &Shared) -> Result<Course, Halt> {
        match self.turns.end.take() {
            Some(Ok(out)) => {
                let (bytes, most) = (out.get().len(), self.d.core.max_payload);
                if bytes > most {
                    let why = format!(
                        "the saga's output is {bytes} bytes, at most {most} are allowed (max_payload)"
                    );
                    return Err(Park::new(StuckKind::Saga, why).into());
                }
                self.d.push(Event::Finished { out });
                Err(self.d.end().await.into())
            }
            Some(Err(Given::Continue(input))) => self.continue_as(input, shared).await,
            Some(Err(Given::Up(reason))) if self.d.view.pivoted => {
                let why = format!("the saga was given up after its pivot: {reason}");
                Err(Park::new(StuckKind::Forward, why).into())
            }
            Some(Err(Given::Up(reason))) => {
                self.d.push(Event::Abort {
                    reason,
                    by: None,
                    note: None,
                });
                Ok(Course::Back)
            }
            None => Err(Park::new(StuckKind::Saga, "the saga has no end").into()),
        }
    }

    async fn continue_as(&mut self, input: Raw, shared: &Shared) -> Result<Course, Halt> {
        if self.d.view.pivoted {
            let why =
                "the saga continues as another run after its pivot; a pivot ends in its own run";
            return Err(Park::new(StuckKind::Saga, why).into());
        }
        let (bytes, most) = (input.get().len(), self.d.core.max_payload);
        if bytes > most {
            let why = format!(
                "the input that the saga continues with is {bytes} bytes, at most {most} are allowed \
                 (max_payload)"
            );
            return Err(Park::new(StuckKind::Saga, why).into());
        }
        let (deadline, parent) = (self.d.view.deadline, self.d.view.parent.clone());
        self.d.push(Event::Continued {});
        self.d.push(Event::Started {
            v: FORMAT,
            version: self.d.version,
            input,
            deadline,
            parent,
            first_op: shared.next_op(),
        });
        // What was acknowledged to its sender is not lost with the rows of this run.
        for letter in self
            .book
            .unread()
            .filter(|_| !mutant("letters_not_handed_on"))
        {
            self.d.push(letter);
        }
        self.d.new_run = true;
        let (status, due) = (Status::Running, Some(0));
        self.d.flush(Next::Leave { status, due }).await?;
        Ok(Course::Again)
    }
}
