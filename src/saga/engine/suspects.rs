//! Sagas that may have brought their process down: they run one at a time, so that the one that does
//! it can be told from those that were only there.
use super::{
    book::Park,
    drive::{Drive, Stop},
    operate::{Command, Refused, Reply},
};
use crate::saga::{
    journal::{Event, OpState, OpView, Phase, StuckKind},
    store::Next,
};
use std::{
    collections::BTreeSet,
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
};
use tokio::sync::OwnedMutexGuard;

impl Drive {
    /// An action or a turn was under way when the process died: a step without an outcome, a timer
    /// that was due, mail that nobody had read.
    pub(super) async fn is_suspect(&self, events: &[Event]) -> Result<bool, Stop> {
        let now = self.core.now();
        let steps = self.view.ops.values().any(|op| {
            matches!(op.state, OpState::Intent)
                && op
                    .waiting
                    .as_ref()
                    .is_none_or(|waiting| waiting.not_before <= now)
        });
        if steps || self.view.phase == Phase::Backward || self.view.ops.is_empty() {
            return Ok(true);
        }
        let mut due = BTreeSet::new();
        for event in events {
            match event {
                Event::Timer { op, at } if *at <= now => due.insert(*op),
                Event::Wait {
                    op,
                    until: Some(until),
                    ..
                } if *until <= now => due.insert(*op),
                Event::Fired { op } | Event::TimedOut { op } | Event::Unwait { op } => {
                    due.remove(op)
                }
                _ => false,
            };
        }
        Ok(!due.is_empty() || !self.core.store.inbox(self.id).await?.is_empty())
    }

    /// It only waits, perhaps for one that has to run alone itself.
    pub(super) fn stand_by(&mut self) {
        self.alone = None;
    }

    /// One suspect at a time; one that has brought its process down alone is parked.
    pub(super) async fn run_alone(
        &mut self,
        crashed_alone: bool,
        crashes: u32,
        events: &mut Vec<Event>,
    ) -> Result<(), Stop> {
        // Those that stand in line do nothing: others may go on meanwhile.
        self.place.lend();
        self.alone = Some(self.stand_in_line(events).await?);
        self.place.take_back();
        if crashed_alone && crashes >= self.core.crash_limit {
            let why = format!(
                "its process ended {crashes} times while it was running, the last time with no \
                 other suspect beside it"
            );
            return Err(self.park(Park::new(StuckKind::Crashes, why)).await);
        }
        self.core.store.run_alone(self.id, self.epoch).await?;
        Ok(())
    }

    async fn stand_in_line(
        &mut self,
        events: &mut Vec<Event>,
    ) -> Result<OwnedMutexGuard<()>, Stop> {
        let link = self.link.clone();
        let mut turn = pin!(self.core.suspects.clone().lock_owned());
        let mut later = Vec::new();
        loop {
            self.check_closed()?;
            if self.core.is_draining() {
                return Err(Stop::Drained);
            }
            self.commands_in_line(events, &mut later).await?;
            let turn = poll_fn(|cx| match link.poll_nudged(cx.waker()) {
                true => Poll::Ready(None),
                false => turn.as_mut().poll(cx).map(Some),
            });
            if let Some(turn) = turn.await {
                for (command, reply) in later {
                    link.command(command, reply);
                }
                return Ok(turn);
            }
        }
    }

    /// What needs none of its code: to end it, and to write down that it is given up. The others are
    /// put off until its turn.
    async fn commands_in_line(
        &mut self,
        events: &mut Vec<Event>,
        later: &mut Vec<(Command, Reply)>,
    ) -> Result<(), Stop> {
        let in_doubt = |op: &OpView| op.pivot && matches!(op.state, OpState::Intent);
        // While a pivot is open nobody can say whether it is too late.
        let put_off = self.view.stuck.is_some() || self.view.ops.values().any(in_doubt);
        let mut heard = false;
        while let Some((command, reply)) = self.link.take_command() {
            let answer = match command {
                Command::Force { by, note } => {
                    self.push(Event::Forced { by, note });
                    self.replies.push((Ok(()), reply));
                    return Err(self.end().await);
                }
                command if put_off => {
                    later.push((command, reply));
                    continue;
                }
                Command::Cancel { .. } if self.view.phase == Phase::Backward => Ok(()),
                Command::Cancel { .. } if self.view.pivoted => Err(Refused::PastPivot),
                Command::Cancel { by, note, .. } => {
                    let event = Event::Cancelled { by, note };
                    self.push(event.clone());
                    events.push(event);
                    Ok(())
                }
                _ => Err(Refused::NotStuck),
            };
            self.replies.push((answer, reply));
            heard = true;
        }
        if heard {
            // It has got no further, and is as suspect as before.
            let clear_crashes = std::mem::take(&mut self.clear_crashes);
            self.flush(Next::Keep).await?;
            self.clear_crashes = clear_crashes;
        }
        Ok(())
    }
}
