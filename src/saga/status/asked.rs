//! Timers and signals that a saga waits for, by its journal.
use crate::saga::journal::{Event, Reading};
use std::collections::{BTreeMap, VecDeque};

/// What of them is open. Matches letters with waits as the engine does: the wait that has waited
/// longest, once the code has asked for all that followed from the outcome before.
#[derive(Default)]
pub(super) struct Asked {
    /// By operation: when it fires, UTC ms.
    pub(super) timers: BTreeMap<u32, i64>,
    /// Operation, signal's name, how long, UTC ms.
    pub(super) waits: VecDeque<(u32, String, Option<i64>)>,
    letters: VecDeque<String>,
}

impl Asked {
    pub(super) fn of(reading: &Reading) -> Asked {
        let mut asked = Asked::default();
        for read in &reading.read {
            asked.take(&read.event);
        }
        asked.deliver();
        asked
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => *self = Asked::default(),
            Event::Timer { op, at } => {
                self.timers.insert(*op, *at);
            }
            Event::Wait { op, name, until } => {
                self.waits.push_back((*op, name.clone(), *until));
            }
            Event::Unwait { op } => self.waits.retain(|wait| wait.0 != *op),
            Event::Fired { op } => {
                self.deliver();
                self.timers.remove(op);
            }
            Event::TimedOut { op } => {
                self.deliver();
                self.waits.retain(|wait| wait.0 != *op);
            }
            Event::Signal { name, .. } => {
                self.deliver();
                self.letters.push_back(name.clone());
            }
            Event::Done { .. }
            | Event::Failed { .. }
            | Event::Undone { .. }
            | Event::Skipped { .. }
            | Event::Settled { .. } => self.deliver(),
            _ => {}
        }
    }

    fn deliver(&mut self) {
        while let Some((wait, letter)) = self.waits.iter().enumerate().find_map(|(place, wait)| {
            let letter = self.letters.iter().position(|name| *name == wait.1)?;
            Some((place, letter))
        }) {
            self.waits.remove(wait);
            self.letters.remove(letter);
        }
    }
}
