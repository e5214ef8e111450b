//! The shared budget.
use super::{Attempts, failing};
use crate::support::{Heard, MS, S};
use seawall::retry::{Backoff, Retry, RetryBudget};
use seawall::{Error, Pipeline};

#[tokio::test(start_paused = true)]
async fn a_budget_is_shared_by_pipelines_and_exhausted_gives_the_error_at_once() {
    let budget = RetryBudget::new(0.5).floor_per_second(0.2).build().unwrap();
    let heard = Heard::default();
    let pipeline = |name: &'static str| {
        let retry = Retry::attempts(4).backoff(Backoff::constant(100 * MS));
        Pipeline::builder(name)
            .with(retry.budget(&budget))
            .observer(heard.observer())
            .build()
            .unwrap()
    };
    let (a, b) = (pipeline("a"), pipeline("b"));
    let fail = async |p: &Pipeline| {
        let attempts = Attempts::new();
        let answer = p.run(|| {
            attempts.begin();
            async { Err::<(), _>("down") }
        });
        assert_eq!(answer.await, Err(Error::Inner("down")));
        (attempts.at().len(), attempts.elapsed())
    };
    // 2 of the floor, and half a retry of the call's own first attempt.
    assert_eq!(fail(&a).await, (3, 200));
    // The other half came with this call.
    assert_eq!(fail(&b).await, (2, 100));
    assert_eq!(fail(&b).await, (1, 0));
    assert_eq!(heard.count("why: Budget"), 3);
    // All of it has aged out, and the floor is back.
    tokio::time::advance(11 * S).await;
    assert_eq!(budget.available(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_wait_had_drawn_comes_back() {
    let budget = RetryBudget::new(0.1).floor_per_second(0.5).build().unwrap();
    let retry = Retry::attempts(3)
        .backoff(Backoff::constant(S))
        .budget(&budget);
    let retry = retry.build().unwrap();
    let mut call = tokio_test::task::spawn(retry.run(|| async { Err::<(), _>("down") }));
    tokio_test::assert_pending!(call.poll());
    assert_eq!(budget.available(), 4);
    drop(call);
    assert_eq!(budget.available(), 5);
}

/// It gave back the retry that another call had made since.
#[tokio::test(start_paused = true)]
async fn what_a_dropped_wait_had_drawn_comes_back_only_while_it_counts() {
    for longest in [3600 * S, std::time::Duration::MAX] {
        // One in ten seconds.
        let budget = RetryBudget::new(0.1).floor_per_second(0.1).build().unwrap();
        let retry = |wait| {
            let retry = Retry::attempts(2).backoff(Backoff::constant(wait));
            let retry = retry.max_elapsed(longest).budget(&budget);
            retry.build().unwrap()
        };
        let (patient, hasty) = (retry(30 * S), retry(MS));
        let mut call = tokio_test::task::spawn(patient.run(|| async { Err::<(), _>("down") }));
        tokio_test::assert_pending!(call.poll());
        tokio::time::advance(20 * S).await;
        assert_eq!(failing(&hasty).await.at().len(), 2);
        drop(call);
        assert_eq!(budget.available(), 0, "{longest:?}");
        assert_eq!(failing(&hasty).await.at().len(), 1);

        tokio::time::advance(20 * S).await;
        let mut call = tokio_test::task::spawn(patient.run(|| async { Err::<(), _>("down") }));
        tokio_test::assert_pending!(call.poll());
        tokio::time::advance(8 * S).await;
        assert_eq!(budget.available(), 0);
        drop(call);
        assert_eq!(budget.available(), 1, "{longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn successes_earn_retries_and_only_those_of_the_window() {
    let budget = RetryBudget::new(0.2).floor_per_second(0.0).build().unwrap();
    let retry = Retry::attempts(2).backoff(Backoff::none()).budget(&budget);
    let retry = retry.build().unwrap();
    for _ in 0..9 {
        retry.run(|| async { Ok::<_, ()>(()) }).await.unwrap();
    }
    assert_eq!(budget.available(), 1);
    assert_eq!(failing(&retry).await.at().len(), 2);
    tokio::time::advance(10 * S).await;
    assert_eq!(failing(&retry).await.at().len(), 1);
}
