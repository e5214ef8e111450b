//! Sagas that may have brought their process down: they run one at a time, so that the one that does
//! it can be told from those that were only there.
use super::{
    book::Park,
    drive::{Drive, Stop},
};
use crate::saga::journal::{Event, OpState, Phase, StuckKind};
use std::collections::BTreeSet;

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
    ) -> Result<(), Stop> {
        self.alone = Some(self.core.suspects.clone().lock_owned().await);
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
}
