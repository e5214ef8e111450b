//! Who looks on: a policy that keeps the books, and an observer that keeps the changes of state.
use crate::circuit_breaker::State;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{Class, Event, Name};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Shared by its clones. Its lock is none of the schedule's.
#[derive(Clone, Default)]
pub(super) struct Books(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    next: u64,
    open: BTreeSet<u64>,
    /// As a breaker counts: calls that said something, and those that failed.
    calls: u64,
    failures: u64,
    /// Sequence, from, to.
    changes: Vec<(u64, State, State)>,
}

impl Books {
    /// Every ticket has had its exit.
    pub(super) fn are_settled(&self) -> bool {
        self.0.lock().unwrap().open.is_empty()
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        let pages = self.0.lock().unwrap();
        (pages.calls, pages.failures)
    }

    pub(super) fn hears(&self, event: &Event<'_>) {
        if let Event::StateChanged {
            from, to, sequence, ..
        } = *event
        {
            self.0.lock().unwrap().changes.push((sequence, from, to));
        }
    }

    /// How many changes were told: without a gap, and each from where the last one went.
    pub(super) fn changes(&self) -> u64 {
        let mut changes = self.0.lock().unwrap().changes.clone();
        changes.sort_by_key(|c| c.0);
        let mut at = State::Closed;
        for (n, (sequence, from, to)) in (1..).zip(&changes) {
            assert_eq!((*sequence, *from), (n, at), "{changes:?}");
            at = *to;
        }
        changes.len() as u64
    }
}

impl Policy for Books {
    fn name(&self) -> Name {
        Name::from_static("books")
    }

    fn enter(&self, _: &Call<'_>) -> Enter {
        let mut pages = self.0.lock().unwrap();
        pages.next += 1;
        let ticket = pages.next;
        pages.open.insert(ticket);
        Enter::Proceed(Ticket(ticket))
    }

    fn exit(&self, Ticket(ticket): Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let mut pages = self.0.lock().unwrap();
        assert!(pages.open.remove(&ticket), "a second exit of {ticket}");
        let failed = match outcome {
            Outcome::Answered(Class::Success) => false,
            Outcome::Answered(_) | Outcome::TimedOut | Outcome::Panicked => true,
            _ => return Exit::Pass,
        };
        pages.calls += 1;
        pages.failures += u64::from(failed);
        Exit::Pass
    }
}
