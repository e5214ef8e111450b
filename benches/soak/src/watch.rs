//! A breaker's changes, as they are told: each once, each beginning where the one before it ended.
use crate::wrong::wrong;
use seawall::circuit_breaker::{Cause, CircuitBreaker, State};
use seawall::{Event, Name};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub struct Watch {
    pub name: Name,
    /// All who use it are observed, so no change goes by unheard.
    pub complete: bool,
    pub trips: AtomicU64,
    pub recoveries: AtomicU64,
    seen: Mutex<Seen>,
}

struct Seen {
    /// How many have been told, without a gap.
    whole: u64,
    last: State,
    /// Told before their turn.
    early: BTreeMap<u64, (State, State)>,
}

impl Watch {
    pub fn new(name: Name, complete: bool) -> Self {
        Watch {
            name,
            complete,
            trips: AtomicU64::new(0),
            recoveries: AtomicU64::new(0),
            seen: Mutex::new(Seen {
                whole: 0,
                last: State::Closed,
                early: BTreeMap::new(),
            }),
        }
    }

    pub fn told(&self, event: &Event<'_>) {
        let Event::StateChanged {
            from,
            to,
            cause,
            sequence,
            ..
        } = *event
        else {
            return;
        };
        if !is_legal(from, to, cause) {
            wrong(format!("{}: from {from:?} to {to:?} by {cause}", self.name));
        }
        match to {
            State::Open => self.trips.fetch_add(1, Relaxed),
            State::Closed => self.recoveries.fetch_add(1, Relaxed),
            _ => 0,
        };
        if !self.complete {
            return;
        }
        let mut seen = self.seen.lock().unwrap();
        let twice = sequence <= seen.whole || seen.early.insert(sequence, (from, to)).is_some();
        if twice {
            wrong(format!("{}: change {sequence} is told twice", self.name));
        }
        while let Some((from, to)) = {
            let next = seen.whole + 1;
            seen.early.remove(&next)
        } {
            if from != seen.last {
                let (n, last) = (seen.whole + 1, seen.last);
                let name = self.name;
                wrong(format!(
                    "{name}: change {n} is from {from:?}, after {last:?}"
                ));
            }
            seen.whole += 1;
            seen.last = to;
        }
    }

    /// At rest: all its changes have been told.
    pub fn check(&self, breaker: &CircuitBreaker) {
        let (now, seen) = (breaker.snapshot(), self.seen.lock().unwrap());
        let told = (seen.whole, seen.early.len(), seen.last);
        if self.complete && told != (now.sequence, 0, now.state) {
            wrong(format!("{}: told {told:?}, is {now:?}", self.name));
        }
    }
}

fn is_legal(from: State, to: State, cause: Cause) -> bool {
    from != to
        && match cause {
            Cause::BreakOver => (from, to) == (State::Open, State::HalfOpen),
            Cause::Probes { .. } => {
                from == State::HalfOpen && matches!(to, State::Open | State::Closed)
            }
            Cause::RetryAfter { .. } => {
                matches!(from, State::Closed | State::HalfOpen) && to == State::Open
            }
            Cause::ByHand => !matches!(to, State::Open | State::HalfOpen),
            _ => (from, to) == (State::Closed, State::Open),
        }
}
