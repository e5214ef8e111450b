//! The journal, told to the code again.
use super::{giving_up::reason, *};

impl Forward<'_> {
    pub(super) fn replay(&mut self, journal: Vec<Event>, shared: &Shared) -> Result<(), Park> {
        let is_new = self.d.new.is_some();
        let mut outcomes = self.book.record(journal);
        if mutant("replayed_out_of_order") {
            outcomes.reverse();
        }
        if is_new {
            return self.turns(None);
        }
        // A run that the one before has begun, and perhaps handed signals, has asked for nothing yet.
        shared.set_replaying(self.book.is_behind());
        self.turns(None)?;
        let (last, mut cancelled) = (outcomes.len(), None);
        for (place, outcome) in outcomes.iter().enumerate() {
            if place.saturating_add(1) == last {
                shared.set_replaying(self.book.is_behind());
            }
            match outcome {
                Event::Cancelled { by, note } => cancelled = Some(reason(by, note)),
                outcome => self.outcome(outcome)?,
            }
            // From here on the code was gone. It is not to hear what its steps came to then, and go
            // on from that.
            let mutant = mutant("told_after_it_was_given_up");
            if !self.book.pivoted && !self.book.has_open_pivot() && !self.is_given_up() && !mutant {
                cancelled
                    .take()
                    .into_iter()
                    .for_each(|why| self.turns.give_up(why));
            }
        }
        self.book.caught_up()?;
        shared.set_replaying(false);
        self.loaded = self.book.open.keys().copied().collect();
        Ok(())
    }

    pub(super) fn outcome(&mut self, event: &Event) -> Result<(), Park> {
        match self.book.outcome(event)? {
            Some(delivered) => self.turns(Some(delivered)),
            None => Ok(()),
        }
    }

    pub(super) fn turns(&mut self, mut delivered: Option<(u32, Delivered)>) -> Result<(), Park> {
        loop {
            let before = self.d.batch.len();
            let mut asked = std::mem::take(&mut self.asked);
            self.turns.turn(delivered, &mut asked)?;
            for (op, ask) in asked.drain(..) {
                let around = Around {
                    steps: &self.steps,
                    now: &|| self.d.core.now(),
                    most: self.d.core.max_payload,
                    step_keys: &self.step_keys,
                };
                match self.book.ask(op, ask, &around) {
                    Ok(new) => new.into_iter().for_each(|new| self.d.push(new)),
                    Err(park) => {
                        // What else it has asked for in this turn will never be started.
                        self.d.batch.truncate(before);
                        return Err(park);
                    }
                }
            }
            self.asked = asked;
            match self.book.letter() {
                Some(next) => delivered = Some(next),
                None => return Ok(()),
            }
        }
    }
}
