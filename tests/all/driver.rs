//! The driver's promises about time: one timer, deadlines known inward, no runtime, the
//! cooperative budget, turns for others.
use crate::support::{Heard, Ledger, MS, S, io};
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use seawall::retry::Backoff;
use seawall::{
    CircuitBreaker, Class, Classify, Event, Hedge, Name, Pipeline, Reason, Replay, Retry, Timeout,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn poll_once<F: Future>(f: F) -> Poll<F::Output> {
    std::pin::pin!(f).poll(&mut Context::from_waker(Waker::noop()))
}

fn five() -> Pipeline {
    Pipeline::builder("five")
        .with(Timeout::after(S).name("total"))
        .with(Retry::attempts(3).backoff(Backoff::constant(MS)))
        .with(Timeout::after(S / 2).name("attempt"))
        .build()
        .unwrap()
}

/// A paused or missing clock shows it: a timer made at once would be an error here.
#[test]
fn without_a_runtime_calls_that_need_no_timer_work_and_others_say_why_not() {
    let ready = poll_once(five().run(|| async { Ok::<_, u8>(7) }));
    assert_eq!(ready, Poll::Ready(Ok(7)));
    let mut attempts = 0;
    let immediate = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(3).backoff(Backoff::none()))
        .build()
        .unwrap();
    let third = poll_once(immediate.run(|| {
        attempts += 1;
        let answer = if attempts < 3 {
            Err(attempts)
        } else {
            Ok(attempts)
        };
        async move { answer }
    }));
    assert_eq!(third, Poll::Ready(Ok(3)));

    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(Timeout::after(S))
        .with(Hedge::after(S))
        .with(ledger.at("inner"))
        .build()
        .unwrap();
    let Poll::Ready(Err(e)) = poll_once(p.run(std::future::pending::<Result<(), u8>>)) else {
        panic!("it should say that nothing can wake it");
    };
    let r = e.rejected().unwrap();
    assert_eq!(
        (r.reason, r.started, r.policy.as_str()),
        (Reason::NoTimer, 1, "p")
    );
    assert_eq!(ledger.nested(), ["inner: Cancelled", "outer: Cancelled"]);
    // A backoff needs one too; the operation's own end does not.
    let Poll::Ready(Err(e)) = poll_once(five().run(|| async { Err::<(), _>(io()) })) else {
        panic!("it should say that nothing can wake it");
    };
    assert_eq!(e.rejected().unwrap().reason, Reason::NoTimer);
    let no_limits = Pipeline::builder("p")
        .with(Timeout::after(Duration::MAX))
        .build()
        .unwrap();
    assert!(poll_once(no_limits.run(std::future::pending::<Result<(), u8>>)).is_pending());
}

#[test]
fn in_a_runtime_without_a_time_driver_it_is_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(five().run(|| async { Ok::<_, u8>(7) }).await, Ok(7));
        let refused = five()
            .run(std::future::pending::<Result<(), u8>>)
            .await
            .unwrap_err();
        assert_eq!(refused.rejected().unwrap().reason, Reason::NoTimer);
    });
}

/// It always has something to do, so that only tokio's budget ever makes it pend.
#[tokio::test]
async fn an_operation_that_uses_up_the_budget_does_not_outlive_its_timeout() {
    let limit = Timeout::after(50 * MS).build().unwrap();
    let p = Pipeline::builder("p")
        .with(&limit)
        .with(Retry::attempts(2))
        .build()
        .unwrap();
    let busy = || async {
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        loop {
            send.send(()).unwrap();
            receive.recv().await;
        }
        #[allow(unreachable_code)]
        Ok::<(), u8>(())
    };
    let error = limit.run(busy).await.unwrap_err();
    assert_eq!(
        error.rejected().unwrap().reason,
        Reason::TimedOut { after: 50 * MS }
    );
    let error = p.run(busy).await.unwrap_err();
    assert_eq!(
        error.rejected().unwrap().reason,
        Reason::TimedOut { after: 50 * MS }
    );
}

/// Repeats for ever, at once.
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
            Outcome::Answered(Class::Transient) if call.may_repeat() => Exit::Again {
                ticket,
                after: Duration::ZERO,
            },
            _ => Exit::Pass,
        }
    }
    fn role(&self) -> Role {
        Role::Repeat
    }
}

#[tokio::test]
async fn repeating_at_once_for_ever_lets_others_have_their_turn_and_ends_at_the_deadline() {
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(Timeout::after(50 * MS))
        .with(ledger.at("outer"))
        .with(Always)
        .build()
        .unwrap();
    let turns = AtomicU32::new(0);
    let attempts = AtomicU32::new(0);
    let error = tokio::select! {
        biased;
        r = p.run(|| async { attempts.fetch_add(1, SeqCst); Err::<(), _>(io()) }) => r.unwrap_err(),
        () = async { loop { turns.fetch_add(1, SeqCst); tokio::task::yield_now().await } } => unreachable!(),
    };
    // The last answer stands, as where a backoff does not fit.
    assert!(error.inner().is_some(), "{error}");
    assert!(turns.load(SeqCst) > 0 && attempts.load(SeqCst) > 32);
    assert_eq!(ledger.nested(), ["outer: Transient"]);
}

#[tokio::test(start_paused = true)]
async fn a_backoff_that_would_end_after_the_deadline_is_not_begun() {
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(5).backoff(Backoff::constant(400 * MS)))
        .observer(heard.observer())
        .build()
        .unwrap();
    let (start, mut attempts) = (Instant::now(), 0);
    let error = p
        .run(|| {
            attempts += 1;
            async move {
                sleep(MS).await;
                Err::<(), _>(attempts)
            }
        })
        .await
        .unwrap_err();
    // 1 ms, 400, 1, 400, 1: a third wait would end at 1203 ms.
    assert_eq!((error.into_inner(), start.elapsed()), (Some(3), 803 * MS));
    assert_eq!(
        heard.count("GaveUp { policy: \"retry\", why: Deadline }"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_ready_at_the_deadline_wins() {
    let limit = Timeout::after(100 * MS).build().unwrap();
    let answer = limit.run(|| async {
        sleep(100 * MS).await;
        Ok::<_, u8>("just in time")
    });
    assert_eq!(answer.await, Ok("just in time"));
}

#[tokio::test(start_paused = true)]
async fn which_timeout_fired_is_told_by_its_name() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S).name("total"))
        .with(Timeout::after(300 * MS).name("attempt"))
        .build()
        .unwrap();
    let error = p
        .run(std::future::pending::<Result<(), u8>>)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout `attempt` ended the call after 300ms (1 attempt had been sent)"
    );
}

/// Grants more time when its second is over: nothing in the driver is for built-ins only.
struct Lenient(Duration);
impl Policy for Lenient {
    fn name(&self) -> Name {
        "lenient".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Within(S)
    }
    fn resume(&self, _: Ticket, _: &Call<'_>) -> Enter {
        Enter::Within(self.0)
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_extended() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(10 * S))
        .with(Lenient(S))
        .build()
        .unwrap();
    let after = |time: Duration| {
        p.run(move || async move {
            sleep(time).await;
            Ok::<(), u8>(())
        })
    };
    after(5 * S).await.unwrap();
    assert!(
        after(50 * S)
            .await
            .unwrap_err()
            .rejected()
            .unwrap()
            .is_timeout()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_extended_by_nothing_is_over() {
    let p = Pipeline::builder("p")
        .with(Lenient(Duration::ZERO))
        .build()
        .unwrap();
    let start = Instant::now();
    let error = p
        .run(std::future::pending::<Result<(), u8>>)
        .await
        .unwrap_err();
    assert_eq!(error.rejected().unwrap().reason, Reason::Expired);
    assert_eq!(start.elapsed(), S);
}

/// A policy that asks to wait for an instant that is past would spin.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_and_asks_to_go_on_waiting_is_refused() {
    struct Spins;
    impl Policy for Spins {
        fn name(&self) -> Name {
            "spins".into()
        }
        fn enter(&self, call: &Call<'_>) -> Enter {
            Enter::Wait {
                ticket: Ticket(1),
                until: Some(call.now() + MS),
            }
        }
        fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
            Enter::Wait {
                ticket,
                until: Some(call.now()),
            }
        }
        fn exit(&self, _: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
            assert!(matches!(outcome, Outcome::Unused));
            Exit::Pass
        }
    }
    let p = Pipeline::builder("p").with(Spins).build().unwrap();
    let error = p.run(|| async { Ok::<(), u8>(()) }).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().reason, Reason::Expired);
}

#[tokio::test(start_paused = true)]
async fn panics_of_callbacks_are_contained_and_bad_durations_are_no_deadline() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(Duration::MAX))
        .with(Retry::attempts(2).backoff(Backoff::constant(MS)))
        .classify_with(|result: &Result<u8, u8>| match result {
            Ok(_) => panic!("classifier"),
            Err(_) => Class::Transient,
        })
        .observer(|_: Name, _: &Event<'_>| panic!("listener"))
        .build()
        .unwrap();
    let failed = p
        .run(|| async {
            sleep(S).await;
            Err(1)
        })
        .await;
    let answered = p.run(|| async { Ok(1) }).await;
    assert_eq!(
        (failed.unwrap_err().into_inner(), answered),
        (Some(1), Ok(1))
    );
}

/// A dialect of one's own, as a type: contained like a closure.
#[tokio::test]
async fn a_dialect_that_panics_is_contained() {
    struct Broken;
    impl<T, E> Classify<T, E> for Broken {
        fn classify(&self, _: &Result<T, E>, _: Replay) -> Class {
            panic!("dialect")
        }
    }
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("l"))
        .classify(Broken)
        .build()
        .unwrap();
    assert_eq!(p.run(|| async { Ok::<_, u8>(1) }).await, Ok(1));
    assert_eq!(ledger.nested(), ["l: Ignored"]);
}

/// Run once, but not yet run: a refusal that is waited out leaves it to be sent.
#[tokio::test(start_paused = true)]
async fn what_is_run_once_may_wait_for_a_circuit() {
    let breaker = CircuitBreaker::new("b")
        .consecutive_failures(1)
        .break_for(S)
        .build()
        .unwrap();
    breaker.run(|| async { Err::<(), _>(1) }).await.unwrap_err();
    let p = Pipeline::builder("p")
        .with(Retry::attempts(2).wait_for_circuit())
        .with(&breaker)
        .build()
        .unwrap();
    assert_eq!(
        p.run_once(|| async { Ok::<_, u8>("sent") }).await,
        Ok("sent")
    );
}

#[tokio::test(start_paused = true)]
async fn events_come_in_the_order_of_a_calls_life() {
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S).name("total"))
        .with(Retry::attempts(3).backoff(Backoff::constant(10 * MS)))
        .with(Timeout::after(100 * MS).name("attempt"))
        .observer(heard.observer())
        .build()
        .unwrap();
    let n = Arc::new(AtomicU32::new(0));
    p.run(|| {
        let n = n.fetch_add(1, SeqCst);
        async move {
            match n {
                0 => Err(io()),
                1 => std::future::pending().await,
                _ => Ok(()),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(
        heard.all(),
        [
            "AttemptEnded { attempt: 1, class: Transient }",
            "RetryScheduled { policy: \"retry\", after: 10ms }",
            "TimedOut { policy: \"attempt\", running: true }",
            "Rejected(Rejected { policy: \"attempt\", reason: TimedOut { after: 100ms }, started: 2 })",
            "RetryScheduled { policy: \"retry\", after: 10ms }",
            "AttemptEnded { attempt: 3, class: Success }",
        ]
    );
}
