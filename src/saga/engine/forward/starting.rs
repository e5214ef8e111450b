//! What is started, what waits for its time, and when the saga leaves memory.
use super::*;

impl Forward<'_> {
    pub(super) fn sort_out(&mut self) -> Vec<u32> {
        let given_up = self.is_given_up();
        let mut starting = std::mem::take(&mut self.book.to_start);
        starting.retain(|op| {
            let op = *op;
            let Some(open) = self.book.open.get(&op) else {
                return false;
            };
            if self.started.contains(&op) {
                return false;
            }
            let about = match open.what {
                What::Undo { target } => target,
                _ => op,
            };
            let known = self.d.view.ops.get(&about);
            // Given up, a step waits for no further attempt: there will be none.
            let waits = !(given_up && self.is_loaded_step(op));
            let known = known.filter(|_| self.loaded.contains(&op) && waits);
            let written = known.and_then(|known| Some((known, known.waiting.as_ref()?)));
            match written {
                Some((known, waiting))
                    if waiting.not_before > self.d.core.now() && !mutant("wait_shortened") =>
                {
                    let wait = Wait {
                        attempt: known.tries.used_by(self.d.epoch),
                        not_before: waiting.not_before,
                        error: known.error.clone().unwrap_or_default(),
                        tainted: known.tries.tainted || known.tries.lost_one(self.d.epoch),
                        refused_by: waiting.refused_by.clone(),
                    };
                    self.waiting.insert(op, wait);
                    false
                }
                _ => true,
            }
        });
        starting
    }

    pub(super) fn may_leave(&self, starting: &[u32], due: Option<i64>) -> bool {
        let children_only = |op: &u32| self.born.contains(op);
        // Asked for last: the clock costs more than all the rest.
        let soon = || self.d.core.later(LONG);
        starting.is_empty()
            && self.running.is_empty()
            && !self.book.is_idle()
            && (self.turns.end.is_none() || self.book.open.keys().all(children_only))
            && due.is_none_or(|due| due > soon())
            && self.cancels.is_empty()
            // One that was given up stays until its children have heard of it.
            && !self.has_children_to_call_back()
            && !self.turns.is_held()
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        let ended = self.turns.end.is_some();
        let timers = self.book.next_due().filter(|_| !ended);
        let waits = self.waiting.values().map(|wait| wait.not_before).min();
        let open = ended || self.d.view.pivoted || self.book.has_open_pivot();
        let deadline = self.d.view.deadline.filter(|_| !open);
        [timers, waits, deadline].into_iter().flatten().min()
    }

    pub(super) fn start(&mut self, op: u32) -> Result<(), Park> {
        let Some(what) = self.book.open.get(&op).map(|open| open.what.clone()) else {
            return Ok(());
        };
        let loaded = self.loaded.remove(&op);
        self.started.insert(op);
        match what {
            What::Step { name, cmd } => {
                let tries = self
                    .d
                    .view
                    .ops
                    .get(&op)
                    .map(|op| op.tries)
                    .unwrap_or_default();
                let (mut used, mut tainted) = (0, false);
                let lost = tries.lost_one(self.d.epoch);
                if loaded {
                    used = tries.used_by(self.d.epoch);
                    if mutant("attempts_forgotten") {
                        used = tries.used;
                    }
                    tainted = tries.tainted || (lost && !mutant("taint_forgotten_after_crash"));
                }
                let mut action = self.action(op, name, cmd, used, tainted)?;
                // A wait comes after the doubt, but for one that cut a verify short.
                action.doubted = loaded && !lost && !action.step.verifies();
                self.running.push(Box::pin(action.run()));
            }
            What::Child {
                saga,
                version,
                key,
                cmd,
                ..
            } => {
                let child = (saga, version, key);
                let birth = start::child(self.d, op, child, cmd, self.is_given_up());
                self.running
                    .push(Box::pin(async move { (op, birth.await) }));
            }
            What::Undo { target } => {
                let tries = self.d.view.ops.get(&target).map(|known| known.tries);
                let used = tries.filter(|_| loaded);
                let used = used.map_or(0, |tries| tries.used_by(self.d.epoch));
                self.start_undo(op, target, used)?;
            }
        }
        Ok(())
    }

    pub(super) fn start_undo(&mut self, op: u32, target: u32, used: u32) -> Result<(), Park> {
        let Some(known) = self.d.view.ops.get(&target) else {
            let why = format!("the saga undoes operation {target}, which is no step");
            return Err(Park::new(StuckKind::Saga, why).at(op));
        };
        let OpState::Done(was) = &known.state else {
            let why = format!("the saga undoes step `{}`, which is not done", known.name);
            return Err(Park::new(StuckKind::Saga, why).at(op));
        };
        let (name, cmd, was) = (known.name.clone(), known.cmd.clone(), was.clone());
        let mut action = self.action(target, &name, cmd, used, false)?;
        action.step_key = backward::step_key(&self.step_keys, target);
        let undo = action.undo(Some(was));
        self.running
            .push(Box::pin(async move { (op, undo.await.1) }));
        Ok(())
    }

    pub(super) fn action(
        &self,
        op: u32,
        name: &str,
        cmd: Raw,
        used: u32,
        tainted: bool,
    ) -> Result<Action, Park> {
        backward::action(
            self.d,
            &self.steps,
            &self.step_keys,
            op,
            name,
            cmd,
            used,
            tainted,
        )
    }
}
