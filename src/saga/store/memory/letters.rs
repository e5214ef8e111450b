//! The inbox of one saga. Of a letter that was read its id stays, so that the same one is not taken
//! twice.
use super::super::{Letter, Mail};
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Default)]
pub(super) struct Letters {
    /// Of all, with when they were sent.
    ids: HashMap<String, i64>,
    /// By arrival.
    unread: BTreeMap<i64, Mail>,
}

impl Letters {
    /// `false`: it has been here before.
    pub(super) fn put(&mut self, arrival: i64, letter: Letter) -> bool {
        if self.ids.contains_key(&letter.id) {
            return false;
        }
        self.ids.insert(letter.id.clone(), letter.at);
        let (id, name, body) = (letter.id, letter.name, letter.body);
        let mail = Mail {
            arrival,
            id,
            name,
            body,
        };
        self.unread.insert(arrival, mail);
        true
    }

    pub(super) fn read(&mut self, arrivals: &[i64]) {
        for arrival in arrivals {
            self.unread.remove(arrival);
        }
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    pub(super) fn unread(&self) -> impl Iterator<Item = &Mail> {
        self.unread.values()
    }

    /// Forgets those from before `before` that nobody needs. `false`: nothing is left.
    pub(super) fn forget(&mut self, before: i64, is_awaited: bool) -> bool {
        let ids = &self.ids;
        let is_old = |id: &String| ids.get(id).is_none_or(|at| *at < before);
        self.unread
            .retain(|_, mail| is_awaited || !is_old(&mail.id));
        let unread: HashSet<_> = self.unread.values().map(|mail| &mail.id).collect();
        self.ids
            .retain(|id, at| *at >= before || unread.contains(id));
        !self.ids.is_empty()
    }
}
