//! Hedging: lanes, their race, and its end.
use crate::support::{Heard, Ledger, MS, S};
use seawall::pipeline::Builder;
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use seawall::retry::Backoff;
use seawall::{
    Bulkhead, CircuitBreaker, Error, Hedge, Name, Pipeline, Reason, Retry, Timeout,
    circuit_breaker::State,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::time::{Instant, sleep};

fn hedged(ledger: &Ledger, attempts: u32) -> Builder {
    Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(Hedge::after(100 * MS).attempts(attempts))
        .with(ledger.at("lane"))
}

#[tokio::test(start_paused = true)]
async fn a_fast_answer_needs_no_second_lane() {
    let ledger = Ledger::new();
    let calls = AtomicU32::new(0);
    hedged(&ledger, 3)
        .build()
        .unwrap()
        .run(|| async {
            calls.fetch_add(1, SeqCst);
            sleep(90 * MS).await;
            Ok::<_, u8>(())
        })
        .await
        .unwrap();
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(ledger.nested(), ["lane: Success", "outer: Success"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_lane_loses_and_is_cancelled_before_the_winner_returns() {
    let (ledger, heard, bulkhead) = (
        Ledger::new(),
        Heard::default(),
        Bulkhead::new(8).build().unwrap(),
    );
    let breaker = CircuitBreaker::new("b")
        .consecutive_failures(1)
        .build()
        .unwrap();
    let p = hedged(&ledger, 3)
        .with(breaker.clone())
        .with(bulkhead.clone())
        .with(Timeout::after(2 * S))
        .observer(heard.observer())
        .build()
        .unwrap();
    let (start, mut n) = (Instant::now(), 0);
    let answer = p
        .run(|| {
            n += 1;
            async move {
                sleep(if n == 2 { 50 * MS } else { S }).await;
                Ok::<_, u8>(n)
            }
        })
        .await;
    assert_eq!((answer.unwrap(), start.elapsed().as_millis()), (2, 150));
    assert_eq!(
        ledger.settled(),
        ["lane: Success", "lane: Cancelled", "outer: Success"]
    );
    assert_eq!(
        (bulkhead.in_flight(), breaker.state(), heard.count("Hedged")),
        (0, State::Closed, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_lane_at_once_and_all_failing_gives_the_last_answer() {
    let ledger = Ledger::new();
    let (start, mut n) = (Instant::now(), 0);
    let p = hedged(&ledger, 3).build().unwrap();
    let error = p
        .run(|| {
            n += 1;
            async move { Err::<(), _>(n) }
        })
        .await
        .unwrap_err();
    assert_eq!((error, start.elapsed().as_millis()), (Error::Inner(3), 0));
    assert_eq!(
        ledger.settled(),
        [
            "lane: Transient",
            "lane: Transient",
            "lane: Transient",
            "outer: Transient"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_more_than_a_refusal() {
    let bulkhead = Bulkhead::new(1).build().unwrap();
    let p = Pipeline::builder("p")
        .with(Hedge::after(100 * MS))
        .with(bulkhead.clone())
        .build()
        .unwrap();
    let error = p
        .run(|| async {
            sleep(S).await;
            Err::<(), _>("down")
        })
        .await
        .unwrap_err();
    assert_eq!(error, Error::Inner("down")); // the second lane was refused by the bulkhead
    assert_eq!(bulkhead.in_flight(), 0);
}

/// The first lane answers while the second hangs until it is cut.
#[tokio::test(start_paused = true)]
async fn an_answer_says_more_than_that_there_was_none_in_time() {
    let p = Pipeline::builder("p")
        .with(Hedge::after(100 * MS))
        .with(Timeout::after(S))
        .build()
        .unwrap();
    let mut n = 0;
    let error = p
        .run(|| {
            n += 1;
            async move {
                sleep(if n == 1 { 200 * MS } else { 9 * S }).await;
                Err::<(), _>("down")
            }
        })
        .await
        .unwrap_err();
    assert_eq!(error, Error::Inner("down"));
}

#[tokio::test(start_paused = true)]
async fn retries_inside_and_outside_the_hedge() {
    let ledger = Ledger::new();
    // Outside: a whole race is one attempt.
    let p = Pipeline::builder("p")
        .with(Retry::attempts(2).backoff(Backoff::constant(10 * MS)))
        .with(ledger.at("outer"))
        .with(Hedge::after(100 * MS))
        .with(ledger.at("lane"))
        .build()
        .unwrap();
    let mut n = 0;
    assert_eq!(
        p.run(|| {
            n += 1;
            async move { if n == 4 { Ok(n) } else { Err(n) } }
        })
        .await,
        Ok(4)
    );
    assert_eq!(
        ledger.settled(),
        [
            "lane: Transient",
            "lane: Transient",
            "outer: Transient",
            "lane: Transient",
            "lane: Success",
            "outer: Success"
        ]
    );
    // Inside: each lane backs off by itself, and one timer serves all.
    let ledger = Ledger::new();
    let p = hedged(&ledger, 2)
        .with(Retry::attempts(3).backoff(Backoff::constant(80 * MS)))
        .with(Timeout::after(200 * MS))
        .build()
        .unwrap();
    let (start, mut n) = (Instant::now(), 0);
    // Lane 1: fails at 0, backs off to 80, hangs until cut at 280, backs off to 360. Lane 2 (at 100): hangs.
    let answer = p
        .run(|| {
            n += 1;
            async move {
                match n {
                    1 => Err("x"),
                    4 => {
                        sleep(10 * MS).await;
                        Ok(n)
                    }
                    _ => {
                        sleep(9 * S).await;
                        Err("y")
                    }
                }
            }
        })
        .await;
    // Lane 2's own attempt is cut at 300 and retried at 380.
    assert_eq!((answer, start.elapsed().as_millis()), (Ok(4), 370));
    assert_eq!(
        ledger.settled(),
        ["lane: Success", "lane: Cancelled", "outer: Success"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outside_ends_all_lanes_and_counts_what_was_sent() {
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("outermost"))
        .with(Timeout::after(250 * MS))
        .with(ledger.at("outer"))
        .with(Hedge::after(100 * MS).attempts(3))
        .with(ledger.at("lane"))
        .build()
        .unwrap();
    let error = p
        .run(|| async {
            sleep(S).await;
            Ok::<(), u8>(())
        })
        .await
        .unwrap_err();
    assert_eq!(error.rejected().unwrap().started, 3);
    assert_eq!(
        ledger.settled(),
        [
            "lane: TimedOut",
            "lane: TimedOut",
            "lane: TimedOut",
            "outer: TimedOut",
            "outermost: TimedOut"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outside_holds_for_a_lane_that_outlives_the_first() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(250 * MS))
        .with(Hedge::after(100 * MS))
        .with(Retry::attempts(2).backoff(Backoff::constant(300 * MS)))
        .build()
        .unwrap();
    let (start, mut n) = (Instant::now(), 0);
    // Each lane's retry sees that its backoff does not fit; the second lane then hangs until the deadline.
    let call = p.run(|| {
        n += 1;
        async move {
            if n == 2 {
                sleep(S).await
            }
            Err::<(), _>("down")
        }
    });
    let error = tokio::time::timeout(9 * S, call)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.rejected().unwrap().reason, start.elapsed()),
        (Reason::TimedOut { after: 250 * MS }, 250 * MS)
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_or_panicking_with_lanes_open() {
    let ledger = Ledger::new();
    let p = hedged(&ledger, 3).build().unwrap();
    tokio::select! {
        _ = p.run(|| async { sleep(S).await; Ok::<(), u8>(()) }) => unreachable!(),
        _ = sleep(150 * MS) => {}
    }
    assert_eq!(
        ledger.settled(),
        ["lane: Cancelled", "lane: Cancelled", "outer: Cancelled"]
    );
    let ledger = Ledger::new();
    let p = hedged(&ledger, 3).build().unwrap();
    let mut n = 0;
    let call = tokio::spawn(async move {
        p.run(|| {
            n += 1;
            async move {
                sleep(80 * MS).await;
                if n == 2 {
                    panic!("lane two")
                }
                sleep(S).await;
                Ok::<(), u8>(())
            }
        })
        .await
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(
        ledger.settled(),
        ["lane: Panicked", "lane: Cancelled", "outer: Panicked"]
    );
}

#[test]
fn two_hedges_are_refused_when_built() {
    let error = Pipeline::builder("p")
        .with(Hedge::after(MS))
        .with(Hedge::after(MS))
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`p`: with is 2 hedges, but has to be at most one hedge"
    );
}

/// Grants one more second, once.
#[derive(Clone, Default)]
struct Lenient(Arc<AtomicU32>);
impl Policy for Lenient {
    fn name(&self) -> Name {
        "lenient".into()
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Within(S)
    }
    fn resume(&self, _: Ticket, _: &Call<'_>) -> Enter {
        match self.0.fetch_add(1, SeqCst) {
            0 => Enter::Within(S),
            _ => Enter::Reject(Reason::TimedOut { after: S }),
        }
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
}

/// Each lane asked by itself, so the second was told no and ended them all.
#[tokio::test(start_paused = true)]
async fn a_deadline_outside_is_asked_for_more_once_for_all_lanes() {
    let lenient = Lenient::default();
    let p = Pipeline::builder("p")
        .with(lenient.clone())
        .with(Hedge::after(100 * MS))
        .build()
        .unwrap();
    let start = Instant::now();
    let call = p.run(|| async {
        sleep(5 * S).await;
        Ok::<_, u8>(())
    });
    call.await.unwrap_err();
    assert_eq!((lenient.0.load(SeqCst), start.elapsed()), (2, 2 * S));
}

/// The lane that was over kept the old deadline, for which the timer fired again and again within
/// one poll; and a lane that outlives it may back off until the new one.
#[test]
fn a_deadline_outside_that_is_extended_moves_for_every_lane() {
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let answer = runtime.block_on(async {
            let p = Pipeline::builder("p")
                .with(Lenient::default())
                .with(Hedge::after(100 * MS))
                .with(Retry::attempts(2).backoff(Backoff::constant(300 * MS)))
                .with(Timeout::after(1100 * MS))
                .build()
                .unwrap();
            let mut n = 0;
            p.run(|| {
                n += 1;
                async move {
                    match n {
                        1 => sleep(900 * MS).await,
                        2 => sleep(1100 * MS).await,
                        _ => return Ok(n),
                    }
                    Err("down")
                }
            })
            .await
        });
        done.send(answer).unwrap();
    });
    // The first lane's backoff does not fit before 1 s; the second's, from 1.2 s, fits before 2 s.
    let answer = end.recv_timeout(10 * S).expect("it does not spin");
    assert_eq!(answer, Ok(3));
}

/// One lane waits in its bulkhead's line, the other runs: only the one that runs timed out, and to
/// those outside a running attempt was cut. Whichever came first used to decide for all.
#[tokio::test(start_paused = true)]
async fn a_deadline_outside_cuts_each_lane_as_it_stands() {
    for first_runs in [true, false] {
        let (ledger, bulkhead) = (Ledger::new(), Bulkhead::new(1).queue(2).build().unwrap());
        let p = Pipeline::builder("p")
            .with(ledger.at("outer"))
            .with(Timeout::after(S))
            .with(Hedge::after(100 * MS))
            .with(Retry::attempts(2).backoff(Backoff::constant(500 * MS)))
            .with(ledger.at("lane"))
            .with(&bulkhead)
            .build()
            .unwrap();
        let mut n = 0;
        let error = p
            .run(|| {
                n += 1;
                let fails = n == 1 && !first_runs;
                async move {
                    if fails {
                        sleep(450 * MS).await;
                        return Err(1);
                    }
                    std::future::pending::<Result<(), u8>>().await
                }
            })
            .await
            .unwrap_err();
        assert!(error.rejected().unwrap().is_timeout());
        let expected: &[&str] = if first_runs {
            // The second lane is the later one and ends first.
            &["lane: Cancelled", "lane: TimedOut", "outer: TimedOut"]
        } else {
            // The first lane failed at 450 ms, waits from 950 ms behind the second.
            &[
                "lane: Transient",
                "lane: TimedOut",
                "lane: Cancelled",
                "outer: TimedOut",
            ]
        };
        assert_eq!(ledger.settled(), expected, "the first runs: {first_runs}");
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
    }
}
