//! Retry through `run`, through a pipeline and as a tower layer.
#![allow(clippy::disallowed_methods)] // what is timed is timed by a paused clock

mod budget;
mod limits;
mod refusals;

use crate::support::{Heard, MS, S, io};
use seawall::policy::Outcome;
use seawall::retry::{Backoff, Retry, RetryBudget, RetryConfig};
use seawall::{Class, Error, Pipeline};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};
use std::time::Duration;
use tokio::time::Instant;

/// Milliseconds since the start at which each attempt began.
#[derive(Clone)]
struct Attempts {
    start: Instant,
    at: Arc<Mutex<Vec<u64>>>,
}

impl Attempts {
    fn new() -> Self {
        Attempts {
            start: Instant::now(),
            at: Arc::default(),
        }
    }

    /// Its number, from 1.
    fn begin(&self) -> usize {
        let mut at = self.at.lock().unwrap();
        at.push(self.elapsed());
        at.len()
    }

    fn elapsed(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn at(&self) -> Vec<u64> {
        self.at.lock().unwrap().clone()
    }
}

/// Runs an operation that fails for ever.
async fn failing(retry: &Retry) -> Attempts {
    let attempts = Attempts::new();
    let answer = retry.run(|| {
        attempts.begin();
        async { Err::<(), _>("down") }
    });
    assert_eq!(answer.await, Err(Error::Inner("down")));
    attempts
}

#[tokio::test(start_paused = true)]
async fn attempts_are_made_at_the_instants_of_each_backoff() {
    let ms = |n| Duration::from_millis(n);
    for (backoff, at) in [
        (Backoff::none(), [0, 0, 0, 0, 0]),
        (Backoff::constant(ms(10)), [0, 10, 20, 30, 40]),
        (Backoff::linear(ms(10)), [0, 10, 30, 60, 100]),
        (Backoff::exponential(ms(10)), [0, 10, 30, 70, 150]),
        (
            Backoff::exponential(ms(10)).factor(3.0),
            [0, 10, 40, 130, 400],
        ),
        (
            Backoff::exponential(ms(10)).max(ms(15)),
            [0, 10, 25, 40, 55],
        ),
        (Backoff::fibonacci(ms(10)), [0, 10, 20, 40, 70]),
        (Backoff::from_fn(move |n| n * ms(1)), [0, 1, 3, 6, 10]),
        (
            Backoff::from_iter(move || [4, 3, 2, 1].map(ms)),
            [0, 4, 7, 9, 10],
        ),
    ] {
        let retry = Retry::attempts(5).backoff(backoff.clone()).build().unwrap();
        let attempts = failing(&retry).await;
        assert_eq!(attempts.at(), at, "{backoff:?}");
        assert_eq!(attempts.elapsed(), at[4], "no wait after the last failure");
    }
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_made_where_one_is_allowed_and_none_after_a_success() {
    let once = Retry::attempts(1).build().unwrap();
    assert_eq!(failing(&once).await.at(), [0]);
    let attempts = Attempts::new();
    let answer = Retry::attempts(9).build().unwrap();
    let answer = answer.run(|| {
        let n = attempts.begin();
        async move { if n < 3 { Err("down") } else { Ok(n) } }
    });
    assert_eq!((answer.await, attempts.at().len()), (Ok(3), 3));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_own_waits_is_the_end_of_the_attempts() {
    let heard = Heard::default();
    let retry = Retry::within(60 * S)
        .backoff(Backoff::from_iter(|| [MS, 2 * MS]))
        .observer(heard.observer())
        .build()
        .unwrap();
    assert_eq!(failing(&retry).await.at(), [0, 1, 3]);
    assert_eq!(heard.count("why: Attempts"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_two_handles_wait_alike() {
    for backoff in [
        Backoff::exponential(100 * MS).jitter(),
        Backoff::linear(100 * MS).equal_jitter(),
        Backoff::constant(100 * MS).proportional_jitter(0.5),
        Backoff::decorrelated(100 * MS),
    ] {
        for limit in [Duration::MAX, 900 * S] {
            let with = |seed| {
                let backoff = backoff.clone().seed(seed);
                let retry = Retry::attempts(6).max_elapsed(limit).backoff(backoff);
                retry.build().unwrap()
            };
            let first = failing(&with(7)).await.at();
            assert_eq!(failing(&with(7)).await.at(), first, "{backoff:?}");
            assert_ne!(failing(&with(8)).await.at(), first, "{backoff:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_decorrelated_wait_is_at_most_three_times_the_one_before() {
    let longest = |config: RetryConfig| config.backoff(Backoff::decorrelated(100 * MS).max(20 * S));
    for config in [
        Retry::attempts(12),
        Retry::attempts(12).max_elapsed(900 * S),
    ] {
        let retry = longest(config).build().unwrap();
        let (a, b) = (failing(&retry).await.at(), failing(&retry).await.at());
        assert_ne!(a, b, "two calls draw two walks");
        let waits: Vec<u64> = a.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut before = 100;
        for wait in &waits {
            // The timer rounds up to whole milliseconds.
            assert!(
                (100..=20_000.min(before * 3 + 3) + 1).contains(wait),
                "{waits:?}"
            );
            before = *wait;
        }
    }
}

/// A pipeline of one retry that takes each error for its class.
fn classed(retry: RetryConfig, heard: &Heard) -> Pipeline<impl Classes + use<>> {
    Pipeline::builder("p")
        .with(retry)
        .observer(heard.observer())
        .classify_with(|result: &Result<(), Class>| match result {
            Ok(()) => Class::Success,
            Err(class) => *class,
        })
        .build()
        .unwrap()
}

trait Classes: seawall::Classify<(), Class> {}
impl<T: seawall::Classify<(), Class>> Classes for T {}

#[tokio::test(start_paused = true)]
async fn a_hint_is_a_floor_on_the_wait_and_is_capped() {
    let p = classed(
        Retry::attempts(4)
            .backoff(Backoff::constant(2 * S))
            .max_retry_after(5 * S),
        &Heard::default(),
    );
    let attempts = Attempts::new();
    let answer = p.run(|| {
        let n = attempts.begin();
        let hint = [S, 3 * S, 3_600 * S, S][n - 1];
        async move { Err(Class::Throttled(Some(hint))) }
    });
    assert!(answer.await.is_err());
    assert_eq!(attempts.at(), [0, 2_000, 5_000, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn each_class_is_repeated_or_not_as_the_table_says() {
    for (class, made) in [
        (Class::Transient, 2),
        (Class::Throttled(None), 2),
        (Class::Failed, 1),
        (Class::Permanent, 1),
        (Class::Ignored, 1),
    ] {
        let heard = Heard::default();
        let p = classed(Retry::attempts(2), &heard);
        let attempts = Attempts::new();
        let answer = p.run(|| {
            attempts.begin();
            async move { Err(class) }
        });
        assert_eq!(answer.await, Err(Error::Inner(class)));
        assert_eq!(attempts.at().len(), made, "{class:?}");
        // Where none was in order, there is nothing to give up.
        assert_eq!(heard.count("why: Attempts"), made - 1, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_predicate_decides_and_its_panic_is_contained() {
    let asked = Arc::new(AtomicU32::new(0));
    let permanent = {
        let asked = asked.clone();
        move |outcome: &Outcome<'_>| {
            asked.fetch_add(1, SeqCst);
            matches!(outcome, Outcome::Answered(Class::Permanent))
        }
    };
    let p = classed(Retry::attempts(3).retry_if(permanent), &Heard::default());
    let attempts = Attempts::new();
    let answer = p.run(|| {
        let n = attempts.begin();
        async move {
            Err(if n == 1 {
                Class::Permanent
            } else {
                Class::Transient
            })
        }
    });
    assert_eq!(answer.await, Err(Error::Inner(Class::Transient)));
    assert_eq!((attempts.at().len(), asked.load(SeqCst)), (2, 2));

    let retry = Retry::attempts(3).retry_if(|_| panic!("a bad predicate"));
    assert_eq!(failing(&retry.build().unwrap()).await.at(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_sent_once_is_given_up_and_costs_no_budget() {
    let heard = Heard::default();
    let budget = RetryBudget::new(0.1).build().unwrap();
    let p = Pipeline::builder("p")
        .with(Retry::attempts(3).budget(&budget))
        .observer(heard.observer())
        .build()
        .unwrap();
    let before = budget.available();
    let answer = p.run_once(|| async { Err::<(), _>("down") }).await;
    assert_eq!(answer, Err(Error::Inner("down")));
    assert_eq!(heard.count("why: NotRepeatable"), 1);
    assert_eq!(heard.count("GaveUp"), 1);
    assert_eq!(budget.available(), before);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_and_its_answer_are_gone_before_the_next_begins() {
    /// A response that holds a connection, say.
    #[derive(Debug)]
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(false, SeqCst);
        }
    }
    let held = Arc::new(AtomicBool::new(false));
    let p = Pipeline::builder("p")
        .with(Retry::attempts(3).backoff(Backoff::constant(S)))
        .classify_with(|_: &Result<Held, ()>| Class::Transient)
        .build()
        .unwrap();
    let mut call = tokio_test::task::spawn(p.run(|| {
        assert!(!held.swap(true, SeqCst), "the last response is still there");
        let response = Held(held.clone());
        async move { Ok(response) }
    }));
    tokio_test::assert_pending!(call.poll());
    assert!(!held.load(SeqCst), "gone before the wait");
    let answer = call.await;
    assert!(
        answer.is_ok() && held.load(SeqCst),
        "the last answer is the caller's"
    );
}

#[tokio::test(start_paused = true)]
async fn a_layer_sends_a_clone_of_the_request_each_time() {
    use tower::{Layer, ServiceExt, service_fn};
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: String| {
        let seen = seen.clone();
        async move {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            if seen.len() < 3 {
                Err(io())
            } else {
                Ok(seen.len())
            }
        }
    });
    let retry = Retry::attempts(3)
        .backoff(Backoff::constant(S))
        .build()
        .unwrap();
    let start = Instant::now();
    let answer = retry.layer().layer(service).oneshot("hello".into()).await;
    assert_eq!((answer.unwrap(), start.elapsed()), (3, 2 * S));
    assert_eq!(*seen.lock().unwrap(), ["hello", "hello", "hello"]);

    let copies = AtomicU32::new(0);
    let once = retry.layer_with(|_: &String| None);
    let service = service_fn(|_: String| {
        copies.fetch_add(1, SeqCst);
        async { Err::<(), _>(io()) }
    });
    once.layer(service)
        .oneshot("stream".into())
        .await
        .unwrap_err();
    assert_eq!(copies.load(SeqCst), 1);
}
