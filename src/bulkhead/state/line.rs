//! Who waits, in the order of arrival.
//!
//! A doubly linked list laid out in a vector: joining, calling the first and leaving from the
//! middle cost the same however long the line is. A place belongs to whoever joined until they
//! [`leave`](Line::leave) it, also after they were called; then it is given to the next.
//!
//! ```text
//! vacant ── join ──► waiting ── call_first ──► granted | refused
//!   ▲                   │                             │
//!   └──────── leave ────┴──────────── leave ──────────┘
//! ```
use crate::clock::Instant;

/// `W` wakes whoever waits; it is only carried.
pub(in crate::bulkhead) struct Line<W> {
    places: Room<W>,
    first: u32,
    last: u32,
    vacant: u32,
}

/// The line's storage, so that it can be allocated and freed outside the lock.
pub(in crate::bulkhead) struct Room<W>(Vec<Place<W>>);

enum Place<W> {
    /// Free to be given; the next such place.
    Vacant(u32),
    Waiting {
        waker: W,
        until: Option<Instant>,
        prev: u32,
        next: u32,
    },
    Granted,
    Refused,
}

/// How it stands with somebody who joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bulkhead) enum Standing {
    /// In line, until then at the longest.
    Waiting(Option<Instant>),
    /// Called, and given a permit.
    Granted,
    /// Called, and sent away.
    Refused,
}

/// Why the first in line is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bulkhead) enum Called {
    Granted,
    Refused,
}

/// What somebody held who left.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::bulkhead) enum Left<W> {
    Waiting(W),
    Granted,
    Refused,
}

/// No place.
const NIL: u32 = u32::MAX;

impl<W> Room<W> {
    pub(in crate::bulkhead) const fn none() -> Self {
        Room(Vec::new())
    }

    pub(in crate::bulkhead) fn of(places: usize) -> Self {
        Room(Vec::with_capacity(places))
    }

    pub(in crate::bulkhead) fn size(&self) -> usize {
        self.0.capacity()
    }
}

impl<W> Line<W> {
    pub(in crate::bulkhead) const fn new() -> Self {
        Line {
            places: Room::none(),
            first: NIL,
            last: NIL,
            vacant: NIL,
        }
    }

    /// Whether one more can join without an allocation.
    pub(in crate::bulkhead) fn has_room(&self) -> bool {
        self.vacant != NIL || self.places.0.len() < self.places.size()
    }

    /// How large the next room should be.
    pub(in crate::bulkhead) fn next_size(&self) -> usize {
        self.places.size().saturating_mul(2).max(4)
    }

    /// Moves into a larger room and gives back the old, empty.
    pub(in crate::bulkhead) fn move_into(&mut self, mut room: Room<W>) -> Room<W> {
        if room.size() > self.places.size() {
            room.0.append(&mut self.places.0);
            std::mem::swap(&mut self.places, &mut room);
        }
        room
    }

    /// At the end of the line.
    pub(in crate::bulkhead) fn join(&mut self, waker: W, until: Option<Instant>) -> u32 {
        let place = Place::Waiting {
            waker,
            until,
            prev: self.last,
            next: NIL,
        };
        let at = self.settle_in(place);
        match self.last {
            NIL => self.first = at,
            last => self.set_next(last, at),
        }
        self.last = at;
        at
    }

    /// Takes the first out of the line and says why; gives back its waker. `None`: nobody waits.
    pub(in crate::bulkhead) fn call_first(&mut self, why: Called) -> Option<W> {
        let called = match why {
            Called::Granted => Place::Granted,
            Called::Refused => Place::Refused,
        };
        self.take_out(self.first, called)
    }

    /// `None`: nobody has this place.
    pub(in crate::bulkhead) fn look(&self, at: u32) -> Option<Standing> {
        match self.get(at)? {
            Place::Vacant(_) => None,
            Place::Waiting { until, .. } => Some(Standing::Waiting(*until)),
            Place::Granted => Some(Standing::Granted),
            Place::Refused => Some(Standing::Refused),
        }
    }

    /// The waker of somebody who waits.
    pub(in crate::bulkhead) fn waker(&mut self, at: u32) -> Option<&mut W> {
        match self.get_mut(at)? {
            Place::Waiting { waker, .. } => Some(waker),
            _ => None,
        }
    }

    /// Gives a place up. `None`: nobody had it.
    pub(in crate::bulkhead) fn leave(&mut self, at: u32) -> Option<Left<W>> {
        let vacant = Place::Vacant(self.vacant);
        let left = match self.look(at)? {
            Standing::Waiting(_) => Left::Waiting(self.take_out(at, vacant)?),
            called => {
                *self.get_mut(at)? = vacant;
                if called == Standing::Granted {
                    Left::Granted
                } else {
                    Left::Refused
                }
            }
        };
        self.vacant = at;
        Some(left)
    }

    /// Puts `place` where there is room.
    fn settle_in(&mut self, place: Place<W>) -> u32 {
        let at = self.vacant;
        if let Some(room) = self.get_mut(at) {
            if let Place::Vacant(next) = std::mem::replace(room, place) {
                self.vacant = next;
            }
            return at;
        }
        // Below `NIL`: at most 2^30 wait, and as many as there are permits have been called.
        let at = u32::try_from(self.places.0.len()).unwrap_or(NIL);
        self.places.0.push(place);
        at
    }

    /// Takes somebody who waits out of the line; their place becomes `then`.
    fn take_out(&mut self, at: u32, then: Place<W>) -> Option<W> {
        let place = self.get_mut(at)?;
        match std::mem::replace(place, then) {
            Place::Waiting {
                waker, prev, next, ..
            } => {
                match prev {
                    NIL => self.first = next,
                    prev => self.set_next(prev, next),
                }
                match next {
                    NIL => self.last = prev,
                    next => self.set_prev(next, prev),
                }
                Some(waker)
            }
            other => {
                debug_assert!(false, "only those who wait are in line");
                *place = other;
                None
            }
        }
    }

    fn set_next(&mut self, at: u32, to: u32) {
        if let Some(Place::Waiting { next, .. }) = self.get_mut(at) {
            *next = to;
        }
    }

    fn set_prev(&mut self, at: u32, to: u32) {
        if let Some(Place::Waiting { prev, .. }) = self.get_mut(at) {
            *prev = to;
        }
    }

    fn get(&self, at: u32) -> Option<&Place<W>> {
        self.places.0.get(usize::try_from(at).ok()?)
    }

    fn get_mut(&mut self, at: u32) -> Option<&mut Place<W>> {
        self.places.0.get_mut(usize::try_from(at).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> Line<u32> {
        let mut line = Line::new();
        line.move_into(Room::of(64));
        line
    }

    #[test]
    fn the_first_to_come_is_the_first_to_be_called() {
        let mut line = line();
        let places: Vec<u32> = (0..4).map(|n| line.join(n, None)).collect();
        assert_eq!(line.leave(places[1]), Some(Left::Waiting(1)));
        assert_eq!(line.call_first(Called::Granted), Some(0));
        assert_eq!(line.call_first(Called::Refused), Some(2));
        assert_eq!(line.look(places[0]), Some(Standing::Granted));
        assert_eq!(line.look(places[1]), None);
        assert_eq!(line.look(places[2]), Some(Standing::Refused));
        assert_eq!(line.look(places[3]), Some(Standing::Waiting(None)));
        assert_eq!(line.call_first(Called::Granted), Some(3));
        assert_eq!(line.call_first(Called::Granted), None);
    }

    #[test]
    fn a_place_is_given_again_only_after_its_owner_has_left_it() {
        let mut line = line();
        let first = line.join(1, None);
        line.call_first(Called::Granted);
        assert_ne!(line.join(2, None), first);
        assert_eq!(line.leave(first), Some(Left::Granted));
        assert_eq!(line.leave(first), None);
        assert_eq!(line.join(3, None), first);
        assert_eq!(line.call_first(Called::Granted), Some(2));
        assert_eq!(line.call_first(Called::Granted), Some(3));
    }

    #[test]
    fn places_nobody_was_given_are_nobodys() {
        let mut line = line();
        assert_eq!((line.look(0), line.leave(NIL)), (None, None));
        assert!(line.waker(7).is_none());
    }

    #[test]
    fn moving_into_a_larger_room_changes_nothing_and_a_smaller_one_is_not_taken() {
        let mut line = Line::new();
        assert!(!line.has_room());
        line.move_into(Room::of(line.next_size()));
        let places: Vec<u32> = (0..4).map(|n| line.join(n, None)).collect();
        assert!(!line.has_room());
        assert_eq!(line.move_into(Room::of(2)).size(), 2);
        assert!(!line.has_room());
        line.move_into(Room::of(line.next_size()));
        assert!(line.has_room());
        assert_eq!(line.leave(places[0]), Some(Left::Waiting(0)));
        for n in 1..4 {
            assert_eq!(line.call_first(Called::Granted), Some(n));
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Join,
        Call(bool),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Join),
            2 => any::<bool>().prop_map(Step::Call),
            3 => any::<usize>().prop_map(Step::Leave),
        ]
    }

    proptest! {
        /// The model: everybody who has joined and not left, in order of arrival.
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(step(), 0..200)) {
            let mut line = Line::new();
            let mut model: Vec<(u32, u32, Standing)> = Vec::new();
            let waits = |m: &(u32, u32, Standing)| matches!(m.2, Standing::Waiting(_));
            for (n, step) in (0u32..).zip(steps) {
                match step {
                    Step::Join => {
                        if !line.has_room() {
                            let room = Room::of(line.next_size());
                            line.move_into(room);
                        }
                        let at = line.join(n, None);
                        prop_assert!(model.iter().all(|m| m.0 != at), "{at} is taken");
                        model.push((at, n, Standing::Waiting(None)));
                    }
                    Step::Call(grant) => {
                        let why = if grant { Called::Granted } else { Called::Refused };
                        let standing = if grant { Standing::Granted } else { Standing::Refused };
                        let first = model.iter_mut().find(|m| waits(m));
                        let expected = first.map(|m| { m.2 = standing; m.1 });
                        prop_assert_eq!(line.call_first(why), expected);
                    }
                    Step::Leave(pick) if !model.is_empty() => {
                        let (at, n, standing) = model.remove(pick % model.len());
                        let expected = match standing {
                            Standing::Waiting(_) => Left::Waiting(n),
                            Standing::Granted => Left::Granted,
                            Standing::Refused => Left::Refused,
                        };
                        prop_assert_eq!(line.leave(at), Some(expected));
                    }
                    Step::Leave(_) => {}
                }
                for (at, n, standing) in &model {
                    prop_assert_eq!(line.look(*at), Some(*standing));
                    let waker = matches!(standing, Standing::Waiting(_)).then_some(*n);
                    prop_assert_eq!(line.waker(*at).copied(), waker);
                }
            }
            for n in model.iter().filter(|m| waits(m)).map(|m| m.1) {
                prop_assert_eq!(line.call_first(Called::Granted), Some(n));
            }
            prop_assert_eq!(line.call_first(Called::Granted), None);
        }
    }
}
