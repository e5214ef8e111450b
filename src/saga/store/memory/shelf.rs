//! The sagas of a memory store, and where each of them is looked for: by number, by name and key, by
//! status, by when it is due, by when it has ended. None of these looks at the others.
use super::super::*;
use crate::saga::journal::Row;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Default)]
pub(super) struct Shelf {
    last: i64,
    sagas: BTreeMap<SagaId, Kept>,
    ids: HashMap<(String, String), SagaId>,
    by_status: HashMap<Status, BTreeSet<SagaId>>,
    /// Those that can be claimed, by name: one without room is passed over whole.
    due: BTreeMap<String, BTreeSet<(i64, SagaId)>>,
    ended: BTreeSet<(i64, SagaId)>,
}

pub(super) struct Kept {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) version: u32,
    pub(super) uid: [u8; 16],
    pub(super) status: Status,
    pub(super) owner: Option<Owner>,
    pub(super) epoch: u32,
    pub(super) due: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) crashes: u32,
    pub(super) alone: Alone,
    pub(super) created: i64,
    pub(super) changed: i64,
    pub(super) run_from: u32,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    No,
    Running,
    Crashed,
}

/// What a saga is looked for by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    status: Status,
    due: Option<i64>,
    ended: Option<i64>,
}

impl Kept {
    fn place(&self) -> Place {
        let claimable =
            self.owner.is_none() && matches!(self.status, Status::Running | Status::Waiting);
        Place {
            status: self.status,
            due: self.due.filter(|_| claimable),
            ended: self.status.is_final().then_some(self.changed),
        }
    }
}

impl Shelf {
    /// Puts one that is new there.
    pub(super) fn add(&mut self, saga: Kept) -> SagaId {
        self.last = self.last.saturating_add(1);
        let id = SagaId(self.last);
        self.ids.insert((saga.name.clone(), saga.key.clone()), id);
        self.enter(id, &saga.name, saga.place());
        self.sagas.insert(id, saga);
        id
    }

    pub(super) fn id(&self, place: &(String, String)) -> Option<SagaId> {
        self.ids.get(place).copied()
    }

    pub(super) fn get(&self, id: SagaId) -> Option<&Kept> {
        self.sagas.get(&id)
    }

    /// Its rows alone, by which it is not looked for.
    pub(super) fn rows(&mut self, id: SagaId) -> Option<&mut Vec<Row>> {
        self.sagas.get_mut(&id).map(|saga| &mut saga.rows)
    }

    pub(super) fn change<T>(&mut self, id: SagaId, f: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let saga = self.sagas.get_mut(&id)?;
        let before = saga.place();
        let answer = f(saga);
        let after = saga.place();
        if before != after {
            let name = saga.name.clone();
            self.leave(id, &name, before);
            self.enter(id, &name, after);
        }
        Some(answer)
    }

    pub(super) fn remove(&mut self, id: SagaId) -> Option<(String, String)> {
        let saga = self.sagas.remove(&id)?;
        self.leave(id, &saga.name, saga.place());
        let place = (saga.name, saga.key);
        self.ids.remove(&place);
        Some(place)
    }

    fn enter(&mut self, id: SagaId, name: &str, place: Place) {
        self.by_status.entry(place.status).or_default().insert(id);
        if let Some(due) = place.due {
            match self.due.get_mut(name) {
                Some(due_of) => due_of.insert((due, id)),
                None => self
                    .due
                    .entry(name.to_owned())
                    .or_default()
                    .insert((due, id)),
            };
        }
        self.ended.extend(place.ended.map(|ended| (ended, id)));
    }

    fn leave(&mut self, id: SagaId, name: &str, place: Place) {
        if let Some(of_status) = self.by_status.get_mut(&place.status) {
            of_status.remove(&id);
        }
        if let (Some(due), Some(due_of)) = (place.due, self.due.get_mut(name)) {
            due_of.remove(&(due, id));
        }
        if let Some(ended) = place.ended {
            self.ended.remove(&(ended, id));
        }
    }

    /// By number, behind this one.
    pub(super) fn after(&self, after: Option<SagaId>) -> impl Iterator<Item = (SagaId, &Kept)> {
        let from = after.map_or(i64::MIN, |after| after.0.saturating_add(1));
        let sagas = self.sagas.range(SagaId(from)..);
        sagas.map(|(id, saga)| (*id, saga))
    }

    pub(super) fn of(&self, status: Status) -> impl Iterator<Item = SagaId> {
        self.by_status.get(&status).into_iter().flatten().copied()
    }

    pub(super) fn count(&self, status: Status) -> usize {
        self.by_status.get(&status).map_or(0, BTreeSet::len)
    }

    /// At most so many of those that are due first, and of each of these names none.
    pub(super) fn due(&self, most: usize, except: &[String]) -> Vec<(i64, SagaId)> {
        let names = self.due.iter().filter(|(name, _)| !except.contains(name));
        let mut due: Vec<_> = names
            .flat_map(|(_, due_of)| due_of.iter().take(most).copied())
            .collect();
        due.sort_unstable();
        due.truncate(most);
        due
    }

    /// With when they ended, the first first.
    pub(super) fn ended(&self) -> impl ExactSizeIterator<Item = (i64, SagaId)> {
        self.ended.iter().copied()
    }
}
