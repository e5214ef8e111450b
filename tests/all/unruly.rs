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

/// Two waits, one after the other: each is told when it begins and when it is over.
#[tokio::test(start_paused = true)]
async fn a_wait_that_turns_into_a_delay_is_told_as_over() {
    let line = Line::then(|call| Enter::Delay {
        ticket: Ticket(2),
        until: call.now() + 5 * MS,
    });
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(line)
        .observer(heard.observer())
        .build()
        .unwrap();
    p.run(|| async { Ok::<_, u8>(()) }).await.unwrap();
    assert_eq!(
        heard.all()[..4],
        [
            "Waiting { policy: \"line\", at_most: Some(10ms) }",
            "Waited { policy: \"line\", waited: 10ms }",
            "Waiting { policy: \"line\", at_most: Some(5ms) }",
            "Waited { policy: \"line\", waited: 5ms }",
        ]
    );
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

/// A permit was lost for ever.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_when_dropped_does_not_keep_tickets() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("mine")
        }
    }
    for lanes in [1, 2] {
        let (ledger, bulkhead) = (Ledger::new(), Bulkhead::new(2).build().unwrap());
        let p = Pipeline::builder("p")
            .with(ledger.at("outer"))
            .with(Hedge::after(10 * MS))
            .with(&bulkhead)
            .with(ledger.at("inner"))
            .build()
            .unwrap();
        let mut call = Box::pin(tokio_test::task::spawn(p.run(|| async {
            let _bomb = Bomb;
            std::future::pending::<Result<(), u8>>().await
        })));
        assert!(call.poll().is_pending());
        if lanes == 2 {
            advance(10 * MS).await;
            assert!(call.poll().is_pending());
        }
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(call)));
        assert!(dropped.is_err(), "the panic goes on");
        assert_eq!(ledger.settled().len(), lanes + 1);
        assert_eq!(bulkhead.in_flight(), 0);
    }
}

/// A function that copies the request may say no later than at first: the lane that finds nothing
/// left to send hung, and the call with it.
#[tokio::test(start_paused = true)]
async fn a_lane_with_nothing_left_to_send_ends() {
    #[derive(Debug)]
    struct Unique;
    let copies = Arc::new(AtomicU32::new(2));
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(Hedge::after(10 * MS))
        .with(Retry::attempts(2).backoff(Backoff::constant(100 * MS)))
        .with(ledger.at("lane"))
        .build()
        .unwrap();
    let fails = service_fn(|_: Unique| async {
        sleep(50 * MS).await;
        Err::<(), _>("down")
    });
    let left = copies.clone();
    let copy = move |_: &Unique| {
        left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
            .is_ok()
            .then_some(Unique)
    };
    let call = p.layer_with(copy).layer(fails).oneshot(Unique);
    let error = tokio::time::timeout(S, call).await.expect("it ends");
    assert_eq!(error.unwrap_err().into_inner(), Some("down"));
    assert_eq!(ledger.settled().last().unwrap(), "outer: Transient");
}

/// Repeats for ever, at once, whatever is further in.
struct Always;
impl Policy for Always {
    fn name(&self) -> Name {
        "always".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Proceed(Ticket(0))
    }
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        match outcome {
            Outcome::Answered(Class::Transient) | Outcome::TimedOut if call.may_repeat() => {
                Exit::Again {
                    ticket,
                    after: Duration::ZERO,
                }
            }
            _ => Exit::Pass,
        }
    }
    fn role(&self) -> Role {
        Role::Repeat
    }
}

/// Repeats after so long, whatever comes.
struct After(Duration);
impl Policy for After {
    fn name(&self) -> Name {
        "after".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Proceed(Ticket(0))
    }
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        match outcome {
            Outcome::Answered(Class::Transient) => Exit::Again {
                ticket,
                after: self.0,
            },
            _ => Exit::Pass,
        }
    }
    fn role(&self) -> Role {
        Role::Repeat
    }
}

/// There is no such instant, and it is not taken for "at once".
#[tokio::test(start_paused = true)]
async fn a_repeat_at_the_end_of_time_is_none() {
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(After(Duration::MAX))
        .observer(heard.observer())
        .build()
        .unwrap();
    let mut attempts = 0;
    let answer = p.run(|| {
        attempts += 1;
        let answer = if attempts == 1 { Err(attempts) } else { Ok(()) };
        async move { answer }
    });
    assert_eq!(answer.await.unwrap_err().into_inner(), Some(1));
    assert_eq!(
        heard.count("GaveUp { policy: \"after\", why: Deadline }"),
        1
    );
}

/// One more lane whenever it is asked.
struct Endless;
impl Policy for Endless {
    fn name(&self) -> Name {
        "endless".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        let (ticket, after) = (Ticket(0), Some(Duration::ZERO));
        Enter::Hedge { ticket, after }
    }
    fn resume(&self, ticket: Ticket, _: &Call<'_>) -> Enter {
        let after = Some(Duration::ZERO);
        Enter::Hedge { ticket, after }
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
    fn role(&self) -> Role {
        Role::Hedge
    }
}

/// Allows no time at all.
struct Hasty;
impl Policy for Hasty {
    fn name(&self) -> Name {
        "hasty".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Within(Duration::ZERO)
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
}

/// On a thread of its own, so that a spin fails the test rather than hang it.
fn takes_turns(p: Pipeline, pends: bool) {
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut call = tokio_test::task::spawn(p.run(|| async {
                if pends {
                    std::future::pending::<()>().await;
                }
                Err::<(), _>(1)
            }));
            for _ in 0..3 {
                assert!(call.poll().is_pending());
                assert!(call.is_woken(), "it has more to do");
            }
            advance(2 * S).await;
            let error = match call.poll() {
                std::task::Poll::Ready(answer) => answer.unwrap_err(),
                std::task::Poll::Pending => panic!("the deadline holds"),
            };
            if pends {
                assert!(error.rejected().unwrap().is_timeout());
            } else {
                assert_eq!(error.into_inner(), Some(1), "the last answer stands");
            }
        });
        done.send(()).unwrap();
    });
    end.recv_timeout(20 * S).expect("one poll comes to an end");
}

/// Each of these had one poll go on for ever, past the deadline.
#[test]
fn repeating_a_whole_race_for_ever_lets_others_have_their_turn() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Always)
        .with(Hedge::after(S))
        .build()
        .unwrap();
    takes_turns(p, false);
}

#[test]
fn failing_in_endless_lanes_lets_others_have_their_turn() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Endless)
        .build()
        .unwrap();
    takes_turns(p, false);
}

#[test]
fn starting_endless_lanes_lets_others_have_their_turn() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Endless)
        .build()
        .unwrap();
    takes_turns(p, true);
}

#[test]
fn deadlines_of_no_time_let_others_have_their_turn() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Always)
        .with(Hasty)
        .build()
        .unwrap();
    takes_turns(p, true);
}

/// A race that was won was told to the policies around it as a call being settled.
#[tokio::test(start_paused = true)]
async fn around_a_won_race_another_attempt_is_possible() {
    #[derive(Clone, Default)]
    struct Twice(Arc<AtomicU32>);
    impl Policy for Twice {
        fn name(&self) -> Name {
            "twice".into()
        }
        fn enter(&self, _: &Call<'_>) -> Enter {
            Enter::Proceed(Ticket(0))
        }
        fn exit(&self, ticket: Ticket, _: &Outcome<'_>, call: &Call<'_>) -> Exit {
            assert!(call.may_repeat() && !call.is_settling());
            let after = Duration::ZERO;
            match self.0.fetch_add(1, SeqCst) {
                0 => Exit::Again { ticket, after },
                _ => Exit::Pass,
            }
        }
        fn role(&self) -> Role {
            Role::Repeat
        }
    }
    let p = Pipeline::builder("p")
        .with(Twice::default())
        .with(Hedge::after(10 * MS))
        .build()
        .unwrap();
    let mut n = 0;
    let answer = p.run(|| {
        n += 1;
        async move {
            sleep(if n % 2 == 1 { S } else { MS }).await;
            Ok::<_, u8>(n)
        }
    });
    assert_eq!(answer.await, Ok(4));
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
