//! Several tasks on one stack: every ticket one exit, every permit back, everybody woken.
use super::books::Books;
use super::explore;
use super::time::{Sleep, pass};
use crate::pipeline::Builder;
use crate::retry::{Backoff, RetryBudget};
use crate::{Bulkhead, CircuitBreaker, Event, Hedge, Name, Pipeline, RateLimit, Retry, Timeout};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// One attempt.
#[derive(Clone, Copy)]
enum Does {
    Answers,
    /// After others had a turn.
    Yields,
    Fails,
    Takes(u32),
    Panics,
    Never,
}

async fn attempt(does: Does) -> Result<(), ()> {
    match does {
        Does::Answers => {}
        Does::Yields => yield_now().await,
        Does::Fails => {
            yield_now().await;
            return Err(());
        }
        Does::Takes(ms) => Sleep::over(MS * ms).await,
        Does::Panics => {
            yield_now().await;
            // Not `panic!`, which would be told as the test's own.
            resume_unwind(Box::new("scripted"));
        }
        Does::Never => std::future::pending().await,
    }
    Ok(())
}

/// The tasks of a schedule, and how many of them are under way.
#[derive(Clone, Default)]
struct Tasks(Arc<AtomicU32>);

impl Tasks {
    /// A call whose attempts do this in turn, the last one again and again; dropped instead of its
    /// poll of that number.
    fn call(&self, p: &Pipeline, script: &'static [Does], polls: u32) -> JoinHandle<()> {
        self.0.fetch_add(1, SeqCst);
        let (p, tasks) = (p.clone(), self.clone());
        spawn(async move {
            let mut n = 0;
            let mut run = Box::pin(p.run(|| {
                let does = script[n.min(script.len() - 1)];
                n += 1;
                attempt(does)
            }));
            let mut left = polls;
            poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => {
                        if left == 0 {
                            cx.waker().wake_by_ref();
                        }
                        Poll::Pending
                    }
                    Ok(Poll::Ready(_)) | Err(_) => Poll::Ready(()),
                }
            })
            .await;
            drop(run);
            tasks.0.fetch_sub(1, SeqCst);
        })
    }

    /// Until all have ended. Who is not woken never does, and time runs on.
    fn end(&self, calls: Vec<JoinHandle<()>>) {
        let tasks = self.clone();
        let time = spawn(pass(move || tasks.0.load(SeqCst) > 0));
        for call in calls {
            block_on(call).unwrap();
        }
        block_on(time).unwrap();
    }
}

const TO_ITS_END: u32 = u32::MAX;

fn heard_by(builder: Builder, books: &Books) -> Pipeline {
    let hears = books.clone();
    builder
        .observer(move |_: Name, event: &Event<'_>| hears.hears(event))
        .build()
        .unwrap()
}

#[test]
fn permits_tickets_and_counts_are_exact_when_calls_fail_panic_and_are_dropped() {
    use Does::*;
    explore(|| {
        let (outer, inner) = (Books::default(), Books::default());
        let budget = RetryBudget::new(0.5)
            .floor_per_second(0.2)
            .over(10_000 * MS);
        let budget = budget.build().unwrap();
        let breaker = CircuitBreaker::new("b").count_window(64).minimum_calls(64);
        let breaker = breaker.build().unwrap();
        let bulkhead = Bulkhead::new(1).queue(2).build().unwrap();
        let rate = RateLimit::new(64, HOUR).build().unwrap();
        let p = Pipeline::builder("p")
            .with(outer.clone())
            .with(Retry::attempts(2).backoff(Backoff::none()).budget(&budget))
            .with(&breaker)
            .with(inner.clone())
            .with(&bulkhead)
            .with(&rate);
        let p = heard_by(p, &outer);
        let tasks = Tasks::default();
        tasks.end(vec![
            tasks.call(&p, &[Fails, Answers], TO_ITS_END),
            tasks.call(&p, &[Yields], TO_ITS_END),
            tasks.call(&p, &[Panics], TO_ITS_END),
            tasks.call(&p, &[Yields], 1),
        ]);
        assert!(outer.are_settled() && inner.are_settled());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
        let counted = breaker.snapshot().count_window.unwrap();
        assert_eq!((counted.calls, counted.failures), inner.counts());
    });
}

#[test]
fn nobody_sleeps_on_and_no_permit_is_lost_while_the_limit_changes() {
    use Does::*;
    explore(|| {
        let books = Books::default();
        let bulkhead = Bulkhead::new(1).queue(3).build().unwrap();
        let p = Pipeline::builder("p").with(books.clone()).with(&bulkhead);
        let p = p.build().unwrap();
        let tasks = Tasks::default();
        let mut calls = vec![
            tasks.call(&p, &[Yields], TO_ITS_END),
            tasks.call(&p, &[Yields], TO_ITS_END),
            tasks.call(&p, &[Yields], 2),
        ];
        let changed = bulkhead.clone();
        calls.push(spawn(async move {
            for limit in [2, 0, 1] {
                changed.set_limit(limit);
                yield_now().await;
            }
        }));
        tasks.end(calls);
        assert!(books.are_settled());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
        let last = tasks.call(&p, &[Answers], 1);
        tasks.end(vec![last]);
        assert_eq!(bulkhead.in_flight(), 0);
    });
}

#[test]
fn changes_of_state_are_told_without_a_gap() {
    use Does::*;
    explore(|| {
        let books = Books::default();
        let breaker = CircuitBreaker::new("b")
            .consecutive_failures(1)
            .break_for(MS)
            .half_open_probes(1)
            .build()
            .unwrap();
        let p = Pipeline::builder("p")
            .with(
                Retry::attempts(3)
                    .backoff(Backoff::constant(MS))
                    .retry_refusals(),
            )
            .with(&breaker)
            .with(books.clone());
        let p = heard_by(p, &books);
        let tasks = Tasks::default();
        tasks.end(vec![
            tasks.call(&p, &[Fails, Answers], TO_ITS_END),
            tasks.call(&p, &[Yields, Fails], TO_ITS_END),
            tasks.call(&p, &[Fails, Panics], TO_ITS_END),
        ]);
        assert!(books.are_settled());
        let seen = breaker.snapshot();
        assert_eq!(books.changes(), seen.sequence);
        assert!(seen.probes.is_none_or(|probes| probes.out == 0));
    });
}

#[test]
fn with_deadlines_turns_and_longest_waits_everybody_ends() {
    use Does::*;
    explore(|| {
        let (outer, inner) = (Books::default(), Books::default());
        let bulkhead = Bulkhead::new(1).queue(2).max_wait(3 * MS).build().unwrap();
        let rate = RateLimit::new(1, MS).burst(2).max_wait(2 * MS);
        let p = Pipeline::builder("p")
            .with(outer.clone())
            .with(Timeout::after(9 * MS))
            .with(
                Retry::attempts(2)
                    .backoff(Backoff::constant(MS))
                    .retry_refusals(),
            )
            .with(&bulkhead)
            .with(rate)
            .with(Timeout::after(2 * MS))
            .with(inner.clone())
            .build()
            .unwrap();
        let tasks = Tasks::default();
        tasks.end(vec![
            tasks.call(&p, &[Never], TO_ITS_END),
            tasks.call(&p, &[Takes(2)], TO_ITS_END),
            tasks.call(&p, &[Fails, Takes(1)], TO_ITS_END),
            tasks.call(&p, &[Takes(1)], 2),
        ]);
        assert!(outer.are_settled() && inner.are_settled());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
    });
}

#[test]
fn lanes_of_several_calls_share_the_permits() {
    use Does::*;
    explore(|| {
        let (outer, inner) = (Books::default(), Books::default());
        let bulkhead = Bulkhead::new(2).queue(2).build().unwrap();
        let p = Pipeline::builder("p")
            .with(Timeout::after(9 * MS))
            .with(outer.clone())
            .with(Hedge::after(MS).attempts(3))
            .with(&bulkhead)
            .with(inner.clone())
            .build()
            .unwrap();
        let tasks = Tasks::default();
        tasks.end(vec![
            tasks.call(&p, &[Never, Takes(2)], TO_ITS_END),
            tasks.call(&p, &[Fails, Never, Panics], TO_ITS_END),
            tasks.call(&p, &[Takes(3), Yields], 2),
        ]);
        assert!(outer.are_settled() && inner.are_settled());
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
    });
}
