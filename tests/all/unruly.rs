//! Third parties that do what is allowed and rarely done: the driver owes them the same promises.
use crate::support::{Heard, Ledger, MS, S};
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use seawall::retry::Backoff;
use seawall::{Bulkhead, Class, Hedge, Name, Pipeline, Reason, Retry, Timeout};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use std::time::Duration;
use tokio::time::{advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

/// Waits in line with ticket 1; what it asks for when resumed, it asks with ticket 2.
#[derive(Clone)]
struct Line {
    then: fn(&Call<'_>) -> Enter,
    exits: Arc<Mutex<Vec<String>>>,
}

impl Line {
    fn then(then: fn(&Call<'_>) -> Enter) -> Self {
        Line {
            then,
            exits: Arc::default(),
        }
    }
}

impl Policy for Line {
    fn name(&self) -> Name {
        "line".into()
    }
    fn enter(&self, call: &Call<'_>) -> Enter {
        Enter::Wait {
            ticket: Ticket(1),
            until: Some(call.now() + 10 * MS),
        }
    }
    fn resume(&self, _: Ticket, call: &Call<'_>) -> Enter {
        (self.then)(call)
    }
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let line = format!("{} {outcome:?}", ticket.0);
        self.exits.lock().unwrap().push(line);
        Exit::Pass
    }
}

/// The refused delay's ticket had its exit, and then the one it had taken the place of had another.
#[tokio::test(start_paused = true)]
async fn a_delay_that_does_not_fit_after_a_wait_settles_one_ticket() {
    let line = Line::then(|call| Enter::Delay {
        ticket: Ticket(2),
        until: call.now() + 5 * S,
    });
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(line.clone())
        .observer(heard.observer())
        .build()
        .unwrap();
    let error = p.run(|| async { Ok::<_, u8>(()) }).await.unwrap_err();
    let wait = 5 * S;
    assert_eq!(
        error.rejected().unwrap().reason,
        Reason::DeadlineTooClose { wait }
    );
    assert_eq!(line.exits.lock().unwrap()[..], ["2 Unused"]);
    // `Waited` says that the call went on, which it did not.
    assert_eq!((heard.count("Waiting"), heard.count("Waited")), (1, 0));
}

/// The ticket of a further wait takes the old one's place, also where that wait is over already.
#[tokio::test(start_paused = true)]
async fn a_further_wait_that_is_over_settles_its_own_ticket() {
    let line = Line::then(|call| Enter::Wait {
        ticket: Ticket(2),
        until: Some(call.now()),
    });
    let p = Pipeline::builder("p").with(line.clone()).build().unwrap();
    let error = p.run(|| async { Ok::<_, u8>(()) }).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason, Reason::Expired);
    assert_eq!(line.exits.lock().unwrap()[..], ["2 Unused"]);
}

/// The runtime was away longer than backoff and deadline: an attempt was sent after its deadline,
/// cut at once, and counted as the dependency's failure.
#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_its_deadline() {
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(2).backoff(Backoff::constant(500 * MS)))
        .with(ledger.at("inner"))
        .build()
        .unwrap();
    let sent = AtomicU32::new(0);
    let mut call = tokio_test::task::spawn(p.run(|| {
        sent.fetch_add(1, SeqCst);
        async { Err::<(), _>(1) }
    }));
    assert!(call.poll().is_pending());
    advance(3 * S).await;
    assert!(call.poll().is_ready());
    assert_eq!(sent.load(SeqCst), 1);
    assert_eq!(ledger.settled(), ["inner: Transient"]);
}
