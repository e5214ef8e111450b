//! A policy that counts who is inside of it, put beside those of the crate.
use crate::script::mix;
use crate::thrown::Thrown;
use crate::wrong::wrong;
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use seawall::{Name, Reason};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

pub struct Gauge {
    name: Name,
    asked: AtomicU64,
    entered: AtomicU64,
    exited: AtomicU64,
    inside: AtomicI64,
    /// Sums of tickets: one that is settled twice in another's place does not go unnoticed.
    issued: AtomicU64,
    settled: AtomicU64,
    /// More than these may never be inside.
    most: i64,
    /// Adds so much to this at each entry.
    adds: Option<(Arc<AtomicU64>, u64)>,
    /// Refuses a call in so many, and panics instead of it now and then.
    unruly: Option<u64>,
}

pub const REFUSAL: &str = "the gauge is in a mood";

impl Gauge {
    pub fn new(name: &'static str) -> Self {
        Gauge {
            name: name.into(),
            asked: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            exited: AtomicU64::new(0),
            inside: AtomicI64::new(0),
            issued: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            most: i64::MAX,
            adds: None,
            unruly: None,
        }
    }

    pub fn at_most(self, most: u32) -> Self {
        let most = i64::from(most);
        Gauge { most, ..self }
    }

    pub fn adding(self, to: &Arc<AtomicU64>, weight: u64) -> Self {
        let adds = Some((to.clone(), weight));
        Gauge { adds, ..self }
    }

    pub fn unruly(self, one_in: u64) -> Self {
        let unruly = Some(one_in);
        Gauge { unruly, ..self }
    }

    /// Nobody is inside, and everybody has left once.
    pub fn check_empty(&self) {
        let load = |n: &AtomicU64| n.load(Relaxed);
        let tickets = (load(&self.issued), load(&self.settled));
        let calls = (load(&self.entered), load(&self.exited));
        if calls.0 != calls.1 || tickets.0 != tickets.1 || self.inside.load(Relaxed) != 0 {
            let name = self.name;
            wrong(format!(
                "{name}: {calls:?} came and went, with tickets of {tickets:?}"
            ));
        }
    }
}

impl Policy for Gauge {
    fn name(&self) -> Name {
        self.name
    }

    fn enter(&self, call: &Call<'_>) -> Enter {
        let ticket = mix(self.asked.fetch_add(1, Relaxed));
        if self
            .unruly
            .is_some_and(|one_in| ticket.is_multiple_of(one_in))
        {
            if ticket & (1 << 40) == 0 {
                resume_unwind(Box::new(Thrown::Policy));
            }
            return Enter::Reject(Reason::Other(REFUSAL));
        }
        if call.is_settling() {
            wrong(format!("{} is entered by a call that is over", self.name));
        }
        self.entered.fetch_add(1, Relaxed);
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        if inside > self.most {
            let most = self.most;
            wrong(format!("{}: {inside} inside, {most} at most", self.name));
        }
        if let Some((sum, weight)) = &self.adds {
            sum.fetch_add(*weight, Relaxed);
        }
        self.issued.fetch_add(ticket, Relaxed);
        Enter::Proceed(Ticket(ticket))
    }

    fn exit(&self, Ticket(ticket): Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        self.exited.fetch_add(1, Relaxed);
        self.settled.fetch_add(ticket, Relaxed);
        self.inside.fetch_sub(1, Relaxed);
        if let Outcome::Unused = outcome {
            wrong(format!("{}: unused, after it was let in", self.name));
        }
        Exit::Pass
    }
}
