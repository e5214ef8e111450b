//! How many sagas a claim may bring, and of which names.
use super::Core;

/// Claims go in three passes, so that no name has more than its limit, nor more than its share while
/// another one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::saga::engine) enum Pass {
    /// Names without a limit of their own, up to their share.
    Fair,
    /// Those with a limit, too: in batches that cannot go beyond it.
    Capped,
    /// The places that are left, for whoever has no limit.
    Rest,
}

pub(in crate::saga::engine) struct Room {
    pub(in crate::saga::engine) places: usize,
    /// Not these names.
    pub(in crate::saga::engine) except: Vec<String>,
    /// No more at a time.
    pub(in crate::saga::engine) batch: usize,
}

impl Core {
    /// What a claim may bring, in this pass.
    pub(in crate::saga::engine) fn room(&self, pass: Pass) -> Room {
        let running = self.running.lock();
        let names = running.by_name.values().filter(|n| **n > 0).count();
        // One part is left for a name that is not there yet.
        let share = self.max_running.div_ceil(names.max(1).saturating_add(1));
        let fair = pass != Pass::Rest;
        let full = |name: &str, n: usize| n >= self.most_of(name) || (fair && n >= share);
        let mut room = Room {
            places: self.max_running.saturating_sub(running.total),
            except: Vec::new(),
            batch: usize::MAX,
        };
        for (name, n) in running.by_name.iter().filter(|(_, n)| **n > 0) {
            if full(name, *n) {
                room.except.push(name.clone());
            } else if fair {
                room.batch = room.batch.min(share.saturating_sub(*n));
            }
        }
        if fair {
            room.batch = room.batch.min(share);
        }
        for (name, most) in &self.max_of {
            if room.except.iter().any(|known| known == name) {
                continue;
            }
            match pass {
                Pass::Capped => room.batch = room.batch.min(most.saturating_sub(running.of(name))),
                Pass::Fair | Pass::Rest => room.except.push((*name).to_owned()),
            }
        }
        room
    }
}
