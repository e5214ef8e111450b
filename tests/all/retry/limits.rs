//! Elapsed time, and timeouts outside and inside.
use super::{Attempts, failing};
use crate::support::{Heard, MS, S};
use seawall::retry::{Backoff, Retry, RetryBudget};
use seawall::{Error, Pipeline, Timeout};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_at_or_after_the_limit_and_no_wait_is_begun_for_it() {
    let heard = Heard::default();
    let retry = Retry::within(100 * MS)
        .backoff(Backoff::constant(40 * MS))
        .observer(heard.observer())
        .build()
        .unwrap();
    // A later call has a clock of its own.
    for _ in 0..2 {
        let attempts = failing(&retry).await;
        assert_eq!((attempts.at(), attempts.elapsed()), (vec![0, 40, 80], 80));
        tokio::time::advance(7 * MS).await;
    }
    assert_eq!(heard.count("why: Deadline"), 2);
    let exact = Retry::attempts(9)
        .max_elapsed(80 * MS)
        .backoff(Backoff::constant(40 * MS));
    assert_eq!(failing(&exact.build().unwrap()).await.at(), [0, 40]);
}

#[tokio::test(start_paused = true)]
async fn the_time_an_attempt_takes_counts_against_the_limit() {
    let retry = Retry::within(S).backoff(Backoff::none()).build().unwrap();
    let attempts = Attempts::new();
    let answer = retry.run(|| {
        attempts.begin();
        async {
            tokio::time::sleep(400 * MS).await;
            Err::<(), _>("slow")
        }
    });
    assert!(answer.await.is_err());
    // The third starts before the limit and is not cut off.
    assert_eq!(
        (attempts.at(), attempts.elapsed()),
        (vec![0, 400, 800], 1_200)
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_after_an_outer_deadline_is_not_begun() {
    let heard = Heard::default();
    let budget = RetryBudget::new(0.1).floor_per_second(1.0).build().unwrap();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(
            Retry::attempts(5)
                .backoff(Backoff::exponential(400 * MS))
                .budget(&budget),
        )
        .observer(heard.observer())
        .build()
        .unwrap();
    let attempts = Attempts::new();
    let answer = p.run(|| {
        attempts.begin();
        async { Err::<(), _>("down") }
    });
    assert_eq!(answer.await, Err(Error::Inner("down")), "no timeout");
    assert_eq!((attempts.at(), attempts.elapsed()), (vec![0, 400], 400));
    assert_eq!(heard.count("why: Deadline"), 1);
    assert_eq!(heard.count("GaveUp"), 1);
    assert_eq!(budget.available(), 9, "the attempt not made cost nothing");
}

#[tokio::test(start_paused = true)]
async fn an_outer_deadline_that_cuts_an_attempt_is_no_lack_of_repeatability() {
    let heard = Heard::default();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(5))
        .observer(heard.observer())
        .build()
        .unwrap();
    let answer = p.run(std::future::pending::<Result<(), ()>>).await;
    assert!(answer.unwrap_err().rejected().unwrap().is_timeout());
    assert_eq!(
        (heard.count("TimedOut"), heard.count("GaveUp")),
        (2, 0),
        "{:?}",
        heard.all()
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_cut_by_an_inner_timeout_is_tried_again() {
    let p = Pipeline::builder("p")
        .with(Retry::attempts(3).backoff(Backoff::constant(MS)))
        .with(Timeout::after(S))
        .build()
        .unwrap();
    let attempts = Attempts::new();
    let answer = p.run(|| {
        let n = attempts.begin();
        async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(n)
        }
    });
    assert_eq!((answer.await, attempts.at()), (Ok(2), vec![0, 1_001]));
}

/// On the real clock: nothing here waits for time, so a paused clock would stand still.
#[test]
fn a_limit_without_backoff_ends_and_starves_nobody() {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let local = rt.block_on(async {
        let turns = Arc::new(AtomicU32::new(0));
        let others = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                others.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
            }
        });
        let retry = Retry::within(50 * MS)
            .backoff(Backoff::none())
            .build()
            .unwrap();
        let (start, mut attempts) = (Instant::now(), 0_u64);
        let answer = retry.run(|| {
            attempts += 1;
            async { Err::<(), _>("down") }
        });
        assert!(answer.await.is_err());
        other.abort();
        (start.elapsed(), attempts, u64::from(turns.load(SeqCst)))
    });
    let (elapsed, attempts, turns) = local;
    assert!(elapsed >= 50 * MS, "{elapsed:?}");
    assert!(
        attempts > 33 && turns >= attempts / 33 - 1,
        "{turns} turns in {attempts} attempts"
    );
}
