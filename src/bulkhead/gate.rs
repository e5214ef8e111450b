//! The door: permits by one atomic operation in and one out, and the line behind a small lock.
//!
//! The [`Word`] is the truth about permits and about how many wait; the lock guards only who they
//! are. Somebody who comes by changes the word alone, and may do so only while nobody waits. So:
//!
//! - The count of waiting calls changes only under the lock, and while it is not zero nothing but a
//!   holder of the lock takes a permit: there is no barging.
//! - A call joins the line by the very exchange that sees no permit for it. A release is either
//!   before that exchange, which then sees the permit, or after it, and then it sees that somebody
//!   waits and serves the line, behind the lock and so after the call has its place. No wake-up is
//!   lost.
//! - Wakers are cloned, woken and dropped outside the lock, and so is the line's storage allocated
//!   and freed.
//!
//! Orderings: everything that takes or gives a permit is `AcqRel` on the one word, so what a call
//! did before it left is seen by the one that gets its permit.
#[cfg(all(test, seawall_loom))]
mod models;

use super::state::{Called, Left, Line, MAX_PLACES, ONE_PERMIT, ONE_WAITING, Room, Standing, Word};
use crate::clock::Instant;
use crate::event::contain;
use crate::sync::{AtomicI64, AtomicU32, Mutex};
use std::{
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed},
    task::Waker,
};

pub(super) struct Gate {
    word: AtomicI64,
    /// Written under the lock, after which the word follows.
    limit: AtomicU32,
    places: u32,
    line: Mutex<Line<Waker>>,
}

/// What came of the wish to join the line.
pub(super) enum Joined {
    Permit,
    Place(u32),
    Full,
}

impl Gate {
    pub(super) fn new(limit: u32, places: u32) -> Self {
        Gate {
            word: AtomicI64::new(Word::new(limit).0),
            limit: AtomicU32::new(limit),
            places: places.min(MAX_PLACES),
            line: Mutex::new(Line::new()),
        }
    }

    /// A permit, if one is free and nobody waits for it; else what there was instead.
    #[inline]
    pub(super) fn try_enter(&self) -> Result<(), Word> {
        let mut word = Word(self.word.load(Relaxed));
        while word.may_enter() {
            let taken = word.0 - ONE_PERMIT;
            match self
                .word
                .compare_exchange_weak(word.0, taken, AcqRel, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(seen) => word = Word(seen),
            }
        }
        Err(word)
    }

    /// Whether whoever found this instead of a permit finds no place in line either, told without the
    /// lock.
    #[inline]
    pub(super) fn is_full(&self, instead: Word) -> bool {
        instead.waiting() >= self.places || self.limit.load(Relaxed) == 0
    }

    #[cold]
    pub(super) fn join(&self, until: Option<Instant>, waker: &Waker) -> Joined {
        let waker = waker.clone();
        let mut room = Room::none();
        loop {
            let mut line = self.line.lock();
            if !line.has_room() {
                room = line.move_into(room);
            }
            let has_room = line.has_room();
            match self.permit_or_place(has_room) {
                Some(Joined::Place(_)) => {
                    let place = line.join(waker, until);
                    drop(line);
                    drop(room); // the old one
                    return Joined::Place(place);
                }
                Some(other) => {
                    drop(line);
                    return other;
                }
                None => {
                    let size = line.next_size();
                    drop(line);
                    room = Room::of(size);
                }
            }
        }
    }

    /// Under the lock: takes a permit, counts one more in line, or neither. `None`: there is a
    /// place, but no room for it yet.
    fn permit_or_place(&self, has_room: bool) -> Option<Joined> {
        let mut word = Word(self.word.load(Acquire));
        loop {
            let (next, then) = if word.may_enter() {
                (word.0 - ONE_PERMIT, Joined::Permit)
            } else if self.limit.load(Relaxed) == 0 || word.waiting() >= self.places {
                return Some(Joined::Full);
            } else if has_room {
                (word.0 + ONE_WAITING, Joined::Place(0))
            } else {
                return None;
            };
            match self
                .word
                .compare_exchange_weak(word.0, next, AcqRel, Acquire)
            {
                Ok(_) => return Some(then),
                Err(seen) => word = Word(seen),
            }
        }
    }

    /// How it stands with whoever has this place, who is to be woken through `waker` from now on.
    /// Granted, the place is given up and the permit is theirs.
    #[cold]
    pub(super) fn look(&self, place: u32, waker: &Waker) -> Standing {
        let mut fresh = None;
        loop {
            let mut line = self.line.lock();
            let standing = line.look(place);
            match standing {
                Some(Standing::Granted) => {
                    line.leave(place);
                }
                Some(Standing::Waiting(_)) => {
                    if let Some(known) = line.waker(place)
                        && !known.will_wake(waker)
                    {
                        match fresh.take() {
                            Some(fresh) => {
                                let stale = std::mem::replace(known, fresh);
                                drop(line);
                                drop(stale);
                            }
                            None => {
                                drop(line);
                                fresh = Some(waker.clone());
                                continue;
                            }
                        }
                    }
                }
                Some(Standing::Refused) | None => {}
            }
            return standing.unwrap_or(Standing::Refused);
        }
    }

    /// Gives a place up, and passes on what came with it.
    #[cold]
    pub(super) fn leave(&self, place: u32) {
        let mut line = self.line.lock();
        let left = line.leave(place);
        if let Some(Left::Waiting(_)) = left {
            self.word.fetch_sub(ONE_WAITING, AcqRel);
        }
        drop(line);
        if let Some(Left::Granted) = left {
            self.release();
        }
    }

    #[inline]
    pub(super) fn release(&self) {
        let before = Word(self.word.fetch_add(ONE_PERMIT, AcqRel));
        if before.waiting() != 0 {
            self.serve();
        }
    }

    pub(super) fn set_limit(&self, limit: u32) {
        let line = self.line.lock();
        let old = self.limit.swap(limit, Relaxed);
        self.word.fetch_add(Word::change(old, limit), AcqRel);
        drop(line);
        self.serve();
    }

    /// Calls those in line for whom there is a permit; all of them if there will be none. One at a
    /// time, so that each is woken outside the lock.
    #[cold]
    fn serve(&self) {
        while self.can_serve() {
            let mut line = self.line.lock();
            let why = match self.can_serve() {
                true if self.limit.load(Relaxed) == 0 => Called::Refused,
                true => Called::Granted,
                false => return,
            };
            let Some(waker) = line.call_first(why) else {
                debug_assert!(false, "the word counts those in line");
                return;
            };
            // Nobody else takes permits while the line is not empty, so what was free is free.
            let spent = match why {
                Called::Granted => ONE_WAITING + ONE_PERMIT,
                Called::Refused => ONE_WAITING,
            };
            self.word.fetch_sub(spent, AcqRel);
            drop(line);
            // A waker that panics must not keep the others asleep.
            contain((), || waker.wake());
        }
    }

    /// Whether somebody waits who can be told yes or no. Whoever makes it so serves the line.
    fn can_serve(&self) -> bool {
        let word = Word(self.word.load(Acquire));
        word.waiting() != 0 && (word.free() > 0 || self.limit.load(Relaxed) == 0)
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    pub(super) fn queued(&self) -> u32 {
        Word(self.word.load(Acquire)).waiting()
    }

    pub(super) fn in_flight(&self) -> u32 {
        // Under the lock the limit and the word agree.
        let line = self.line.lock();
        let used = i64::from(self.limit()) - Word(self.word.load(Acquire)).free();
        drop(line);
        u32::try_from(used).unwrap_or_default()
    }
}
