//! Every ticket is settled by exactly one exit, in reverse order, however a call ends.
use crate::support::{Ledger, MS, S, io};
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use seawall::retry::Backoff;
use seawall::{Bulkhead, Name, Pipeline, Reason, Retry, Timeout};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use std::task::Poll;
use tokio::time::{advance, sleep};

fn stack(ledger: &Ledger, bulkhead: &Bulkhead) -> Pipeline {
    Pipeline::builder("stack")
        .with(ledger.at("outer"))
        .with(Timeout::after(S))
        .with(Retry::attempts(3).backoff(Backoff::constant(10 * MS)))
        .with(ledger.at("middle"))
        .with(bulkhead)
        .with(ledger.at("inner"))
        .with(Timeout::after(300 * MS))
        .build()
        .unwrap()
}

fn one() -> Bulkhead {
    Bulkhead::new(1).queue(1).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_normal_end_settles_in_reverse_order() {
    let ledger = Ledger::new();
    stack(&ledger, &one())
        .run(|| async { Ok::<_, std::io::Error>(()) })
        .await
        .unwrap();
    assert_eq!(
        ledger.nested(),
        ["inner: Success", "middle: Success", "outer: Success"]
    );
}

/// An operation that is slow, then fails, then answers, with a queue before it: dropped at each
/// poll.
#[tokio::test(start_paused = true)]
async fn dropped_at_every_poll() {
    let mut finished_after = None;
    for polls in 0..60 {
        let (ledger, bulkhead) = (Ledger::new(), one());
        let p = stack(&ledger, &bulkhead);
        let mut holder = tokio_test::task::spawn(bulkhead.run(|| async {
            sleep(20 * MS).await;
            Ok::<_, std::io::Error>(())
        }));
        assert!(holder.poll().is_pending());
        let mut holder = Some(holder);
        let mut n = 0;
        let mut call = tokio_test::task::spawn(p.run(|| {
            n += 1;
            async move {
                sleep(if n == 1 { 400 * MS } else { 15 * MS }).await;
                if n < 3 { Err(io()) } else { Ok(n) }
            }
        }));
        let mut done = false;
        for _ in 0..polls {
            if let Poll::Ready(answer) = call.poll() {
                assert_eq!(answer.unwrap(), 3);
                finished_after.get_or_insert(polls);
                done = true;
                break;
            }
            advance(25 * MS).await;
            if holder.as_mut().is_some_and(|h| h.poll().is_ready()) {
                holder = None;
            }
        }
        drop(call);
        drop(holder);
        let exits = ledger.nested();
        if polls > 0 && !done {
            assert_eq!(exits.last().unwrap(), "outer: Cancelled");
        }
        assert_eq!(
            (bulkhead.in_flight(), bulkhead.queued()),
            (0, 0),
            "after {polls} polls"
        );
    }
    assert!(finished_after.is_some_and(|n| n > 5));
}

#[tokio::test(start_paused = true)]
async fn dropped_while_it_waits_in_line_it_leaves_the_line() {
    let (ledger, bulkhead) = (Ledger::new(), one());
    let p = stack(&ledger, &bulkhead);
    let mut holder = tokio_test::task::spawn(bulkhead.run(std::future::pending::<Result<(), u8>>));
    assert!(holder.poll().is_pending());
    let mut waiter = tokio_test::task::spawn(p.run(|| async { Ok::<_, u8>(()) }));
    assert!(waiter.poll().is_pending());
    assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 1));
    drop(waiter);
    assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 0));
    assert_eq!(ledger.nested(), ["middle: Cancelled", "outer: Cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_operation_is_told_and_goes_on() {
    for yields in [false, true] {
        let (ledger, bulkhead) = (Ledger::new(), one());
        let p = stack(&ledger, &bulkhead);
        let call = tokio::spawn(async move {
            p.run(|| async {
                if yields {
                    sleep(MS).await;
                }
                panic!("mine");
                #[allow(unreachable_code)]
                Ok::<(), std::io::Error>(())
            })
            .await
        });
        let panic = call.await.unwrap_err().into_panic();
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "mine");
        assert_eq!(
            ledger.nested(),
            ["inner: Panicked", "middle: Panicked", "outer: Panicked"]
        );
        assert_eq!(bulkhead.in_flight(), 0);
    }
    // In the closure itself, before there is a future.
    let ledger = Ledger::new();
    let p = stack(&ledger, &one());
    let call = tokio::spawn(async move {
        p.run(|| -> std::future::Ready<Result<(), u8>> { panic!("mine") })
            .await
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(
        ledger.nested(),
        ["inner: Panicked", "middle: Panicked", "outer: Panicked"]
    );
}

/// Dropped because another future of the same task panicked: not the operation's fault.
#[tokio::test(start_paused = true)]
async fn a_panic_elsewhere_is_a_cancellation() {
    let ledger = Ledger::new();
    let p = stack(&ledger, &one());
    let call = tokio::spawn(async move {
        let run = p.run(std::future::pending::<Result<(), u8>>);
        tokio::join!(async { drop(run.await) }, async {
            sleep(MS).await;
            panic!("elsewhere")
        })
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(
        ledger.nested(),
        ["inner: Cancelled", "middle: Cancelled", "outer: Cancelled"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_outer_deadline_cuts_a_running_attempt() {
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(Timeout::after(S).name("total"))
        .with(ledger.at("inner"))
        .build()
        .unwrap();
    let error = p
        .run(std::future::pending::<Result<(), u8>>)
        .await
        .unwrap_err();
    let r = error.rejected().unwrap();
    assert_eq!(
        (r.policy.as_str(), r.reason, r.started),
        ("total", Reason::TimedOut { after: S }, 1)
    );
    assert_eq!(ledger.nested(), ["inner: TimedOut", "outer: TimedOut"]);
}

/// In the queue: the dependency was not asked, so nobody may count this as its failure.
#[tokio::test(start_paused = true)]
async fn an_outer_deadline_that_cuts_a_wait_is_no_failure_of_the_dependency() {
    let (ledger, bulkhead) = (Ledger::new(), one());
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(Timeout::after(S).name("total"))
        .with(ledger.at("inner"))
        .with(&bulkhead)
        .build()
        .unwrap();
    let holder = bulkhead.run(|| async {
        sleep(5 * S).await;
        Ok::<(), u8>(())
    });
    let late = p.run(|| async { Ok::<(), u8>(()) });
    let (_, late) = tokio::join!(holder, async {
        let r = late.await;
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 0));
        r
    });
    assert!(late.unwrap_err().rejected().unwrap().never_sent());
    assert_eq!(
        ledger.nested(),
        ["inner: Cancelled", "outer: Rejected by \"total\""]
    );
}

/// Even a policy that panics is not asked twice, and does not rob the others of their end.
#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_on_exit_is_not_called_again() {
    #[derive(Clone)]
    struct Bad(Arc<AtomicU32>);
    impl Policy for Bad {
        fn name(&self) -> Name {
            "bad".into()
        }
        fn enter(&self, _: &Call<'_>) -> Enter {
            Enter::Proceed(Ticket(0))
        }
        fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
            self.0.fetch_add(1, SeqCst);
            panic!("bad")
        }
    }
    let (ledger, bad) = (Ledger::new(), Bad(Arc::default()));
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(bad.clone())
        .with(ledger.at("inner"))
        .build()
        .unwrap();
    let spawned = p.clone();
    let call = tokio::spawn(async move { spawned.run(|| async { Ok::<_, u8>(()) }).await });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(ledger.nested(), ["inner: Success", "outer: Cancelled"]);
    // From a destructor its panic goes nowhere.
    let mut call = tokio_test::task::spawn(p.run(std::future::pending::<Result<(), u8>>));
    assert!(call.poll().is_pending());
    drop(call);
    assert_eq!(ledger.nested().len(), 4);
    assert_eq!(bad.0.load(SeqCst), 2);
}

/// Asks for another attempt whatever happened, also when told that none is possible.
#[derive(Clone, Default)]
struct Stubborn {
    next: Arc<AtomicU32>,
    book: Arc<Mutex<Vec<String>>>,
}

impl Policy for Stubborn {
    fn name(&self) -> Name {
        "stubborn".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Proceed(Ticket(u64::from(self.next.fetch_add(1, SeqCst))))
    }
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        self.book
            .lock()
            .unwrap()
            .push(format!("{} {outcome:?} {}", ticket.0, call.may_repeat()));
        if let Outcome::Unused = outcome {
            return Exit::Pass;
        }
        let ticket = Ticket(u64::from(self.next.fetch_add(1, SeqCst)));
        Exit::Again { ticket, after: MS }
    }
    fn role(&self) -> Role {
        Role::Repeat
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_issued_while_settling_comes_back_unused() {
    let stubborn = Stubborn::default();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(stubborn.clone())
        .build()
        .unwrap();
    // Cut by the outer timeout while running: no further attempt is possible.
    p.run(std::future::pending::<Result<(), u8>>)
        .await
        .unwrap_err();
    assert_eq!(
        stubborn.book.lock().unwrap().split_off(0),
        ["0 TimedOut false", "1 Unused false"]
    );
    // Dropped.
    let mut call = tokio_test::task::spawn(p.run(std::future::pending::<Result<(), u8>>));
    assert!(call.poll().is_pending());
    drop(call);
    assert_eq!(
        stubborn.book.lock().unwrap().split_off(0),
        ["2 Cancelled false", "3 Unused false"]
    );
    // Run once: the answer stands, and the ticket for another attempt comes back.
    p.run_once(|| async { Err::<(), _>(7) }).await.unwrap_err();
    assert_eq!(
        stubborn.book.lock().unwrap().split_off(0),
        ["4 Answered(Transient) false", "5 Unused false"]
    );
}

/// Tells of the order in which the attempt and its tickets end.
#[tokio::test(start_paused = true)]
async fn the_attempt_is_dropped_before_any_ticket_is_settled() {
    struct Tells(Ledger);
    impl Drop for Tells {
        fn drop(&mut self) {
            assert_eq!(
                self.0.held(),
                1,
                "a ticket was settled before the attempt was dropped"
            );
        }
    }
    for end in ["answer", "drop", "timeout"] {
        let ledger = Ledger::new();
        let p = Pipeline::builder("p")
            .with(Timeout::after(S))
            .with(ledger.at("inner"))
            .build()
            .unwrap();
        let tells = Tells(ledger.clone());
        let mut call = tokio_test::task::spawn(p.run_once(move || async move {
            let _tells = tells;
            if end != "answer" {
                std::future::pending::<()>().await;
            }
            Ok::<_, u8>(())
        }));
        let first = call.poll();
        assert_eq!(first.is_ready(), end == "answer");
        if end == "timeout" {
            advance(2 * S).await;
            assert!(call.poll().is_ready());
        }
        drop(call);
        assert_eq!(ledger.settled().len(), 1);
    }
}
