//! What the tests share: a policy that keeps the books, an observer that writes down what it hears.
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use seawall::{Event, Name, Observer, Reason};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use std::time::Duration;

pub const S: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);

/// Who, which ticket, and the outcome if it is an exit.
type Line = (&'static str, u64, Option<String>);

/// A third-party policy that writes down every entry and exit, shared by its clones under other
/// names.
#[derive(Clone, Default)]
pub struct Ledger {
    name: &'static str,
    book: Arc<Mutex<Vec<Line>>>,
    next: Arc<AtomicU64>,
}

impl Ledger {
    pub fn new() -> Self {
        Ledger::default()
    }

    pub fn at(&self, name: &'static str) -> Self {
        Ledger {
            name,
            ..self.clone()
        }
    }

    /// Every ticket has had exactly one exit, none before its entry; gives `name: outcome` in order
    /// of exit.
    pub fn settled(&self) -> Vec<String> {
        let book = self.book.lock().unwrap();
        let mut open: Vec<u64> = Vec::new();
        let mut exits = Vec::new();
        for (name, ticket, outcome) in book.iter() {
            let Some(outcome) = outcome else {
                open.push(*ticket);
                continue;
            };
            let at = open.iter().position(|t| t == ticket);
            open.remove(at.unwrap_or_else(|| panic!("{name}: a second exit for {ticket}")));
            exits.push(format!("{name}: {outcome}"));
        }
        assert!(open.is_empty(), "never settled: {open:?} of {book:?}");
        exits
    }

    /// How many tickets are out.
    pub fn held(&self) -> usize {
        let book = self.book.lock().unwrap();
        let exits = book.iter().filter(|line| line.2.is_some()).count();
        book.len() - 2 * exits
    }

    /// Exits mirror entries. Only for a call with one lane.
    pub fn nested(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (name, ticket, outcome) in self.book.lock().unwrap().iter() {
            if outcome.is_none() {
                open.push(*ticket);
            } else {
                assert_eq!(open.pop(), Some(*ticket), "{name} out of order");
            }
        }
        self.settled()
    }
}

impl Policy for Ledger {
    fn name(&self) -> Name {
        self.name.into()
    }

    fn enter(&self, _: &Call<'_>) -> Enter {
        let ticket = self.next.fetch_add(1, SeqCst);
        self.book.lock().unwrap().push((self.name, ticket, None));
        Enter::Proceed(Ticket(ticket))
    }

    fn exit(&self, Ticket(ticket): Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let outcome = match outcome {
            Outcome::Answered(class) => format!("{class:?}"),
            Outcome::Rejected(r) => format!("Rejected by {:?}", r.policy),
            other => format!("{other:?}"),
        };
        self.book
            .lock()
            .unwrap()
            .push((self.name, ticket, Some(outcome)));
        Exit::Pass
    }
}

/// Events as text.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub fn observer(&self) -> impl Observer + use<> {
        let heard = self.clone();
        move |_: Name, event: &Event<'_>| heard.0.lock().unwrap().push(format!("{event:?}"))
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, what: &str) -> usize {
        self.all().iter().filter(|e| e.contains(what)).count()
    }
}

pub fn io() -> std::io::Error {
    std::io::Error::other("refused")
}

/// A policy that lets nothing through.
#[derive(Clone, Copy)]
pub struct Refuse(pub Reason);

impl Policy for Refuse {
    fn name(&self) -> Name {
        "refuse".into()
    }

    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Reject(self.0)
    }

    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
}
