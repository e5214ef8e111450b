//! Rate limits: turns, waits, weights, and what comes back.
#![allow(clippy::disallowed_methods)] // operations sleep, under the paused clock
#![allow(clippy::indexing_slicing)]

mod bound;

use crate::support::{Heard, Ledger, MS, S};
use seawall::policy::{Call, Enter, Outcome, Policy, Ticket};
use seawall::{Error, Pipeline, RateLimit, Reason, Timeout};
use std::future::ready;
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceBuilder, service_fn};

async fn pass(limit: &RateLimit) -> Result<(), Error<u8>> {
    limit.run(|| ready(Ok(()))).await
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error<u8>>) -> Reason {
    result.unwrap_err().rejected().expect("a refusal").reason
}

fn limited(retry_after: Duration) -> Reason {
    Reason::RateLimited { retry_after }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_when_told_to_is_let_through() {
    let limit = RateLimit::new(3, S).burst(2).build().unwrap();
    pass(&limit).await.unwrap();
    pass(&limit).await.unwrap();
    let Reason::RateLimited { retry_after } = reason(pass(&limit).await) else {
        panic!("not limited");
    };
    let start = Instant::now();
    let entered = |at| limit.enter(&Call::at(start + at));
    let just_before = entered(retry_after - Duration::from_nanos(1));
    assert_eq!(just_before, Enter::Reject(limited(Duration::from_nanos(1))));
    assert!(matches!(entered(retry_after), Enter::Proceed(_)));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_spaced_and_each_takes_one_permit() {
    let limit = RateLimit::new(10, S)
        .burst(1)
        .max_wait(300 * MS)
        .build()
        .unwrap();
    let start = Instant::now();
    let timed = || async { (pass(&limit).await, start.elapsed()) };
    let (a, b, c, d, e) = tokio::join!(timed(), timed(), timed(), timed(), timed());
    let at = [&a, &b, &c, &d].map(|(result, at)| {
        assert_eq!(*result, Ok(()));
        *at
    });
    assert_eq!(at, [Duration::ZERO, 100 * MS, 200 * MS, 300 * MS]);
    // Its turn would have come after 400 ms: told at once, and nothing is taken.
    assert_eq!((reason(e.0), e.1), (limited(400 * MS), Duration::ZERO));
    sleep(100 * MS).await;
    assert_eq!(limit.snapshot().available, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_does_not_fit_the_deadline_is_refused_at_once_and_reserves_nothing() {
    let limit = RateLimit::new(10, S)
        .burst(1)
        .max_wait(10 * S)
        .build()
        .unwrap();
    let p = Pipeline::builder("p")
        .with(Timeout::after(250 * MS))
        .with(&limit)
        .build()
        .unwrap();
    let start = Instant::now();
    let at_once = || async { (p.run(|| ready(Ok::<_, u8>(()))).await, start.elapsed()) };
    let (_, a, b, c) = tokio::join!(at_once(), at_once(), at_once(), at_once());
    assert_eq!((a.1, b.1, c.1), (100 * MS, 200 * MS, Duration::ZERO));
    assert_eq!(reason(c.0), Reason::DeadlineTooClose { wait: 300 * MS });
    pass(&limit).await.unwrap();
    assert_eq!(start.elapsed(), 300 * MS); // the turn that was too late for the other
}

#[tokio::test(start_paused = true)]
async fn the_last_waiters_turn_comes_back_and_any_others_is_lost() {
    let limit = RateLimit::new(10, S).burst(1).max_wait(S).build().unwrap();
    let start = Instant::now();
    pass(&limit).await.unwrap();
    let mut line: Vec<_> = (0..3).map(|_| task::spawn(pass(&limit))).collect();
    line.iter_mut().for_each(|w| assert_pending!(w.poll()));
    assert_eq!(limit.snapshot().full_in, 400 * MS);
    drop(line.remove(1));
    assert_eq!(limit.snapshot().full_in, 400 * MS); // in the middle: lost
    drop(line.remove(1));
    assert_eq!(limit.snapshot().full_in, 300 * MS); // the last: free again
    advance(100 * MS).await;
    assert_ready!(line[0].poll()).unwrap();
    pass(&limit).await.unwrap();
    assert_eq!(start.elapsed(), 300 * MS);
}

#[tokio::test(start_paused = true)]
async fn weights_share_the_permits_and_the_too_heavy_are_refused_for_ever() {
    let limit = RateLimit::per_second(10).build().unwrap();
    let (heavy, free, never) = (limit.weight(7), limit.weight(0), limit.weight(11));
    pass(&heavy).await.unwrap();
    assert_eq!(reason(pass(&heavy).await), limited(400 * MS));
    for _ in 0..3 {
        pass(&limit).await.unwrap();
    }
    assert_eq!(reason(pass(&limit).await), limited(100 * MS));
    pass(&free).await.unwrap();
    let expected = Reason::ExceedsBurst {
        weight: 11,
        burst: 10,
    };
    assert_eq!(
        (reason(pass(&never).await), expected.retry_after()),
        (expected, None)
    );
    sleep(S).await;
    pass(&heavy.weight(10)).await.unwrap(); // weighs, and does not multiply
    assert_eq!(limit.snapshot().available, 0);
}

#[tokio::test(start_paused = true)]
async fn a_heavy_waiter_takes_all_its_permits_or_gives_all_of_them_back() {
    let limit = RateLimit::new(10, S).burst(5).max_wait(S).build().unwrap();
    let heavy = limit.weight(5);
    pass(&heavy).await.unwrap();
    let mut waiter = task::spawn(pass(&heavy));
    assert_pending!(waiter.poll());
    assert_eq!(limit.snapshot().full_in, S);
    drop(waiter);
    assert_eq!(limit.snapshot().full_in, 500 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_takes_nothing_and_follows_the_clock() {
    let limit = RateLimit::per_second(4).name("s").build().unwrap();
    let spent = || (limit.snapshot().available, limit.snapshot().full_in);
    assert_eq!(spent(), (4, Duration::ZERO));
    pass(&limit.weight(3)).await.unwrap();
    assert_eq!(spent(), (1, 750 * MS));
    advance(250 * MS).await;
    assert_eq!(spent(), (2, 500 * MS));
    advance(3600 * S).await;
    assert_eq!(spent(), (4, Duration::ZERO)); // never more than the burst
    let text = format!("{limit:?}");
    assert_eq!(
        text,
        "RateLimit { name: \"s\", burst: 4, weight: 1, available: 4, .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn time_that_arrives_out_of_order_makes_no_permits() {
    let limit = RateLimit::new(1, S).build().unwrap();
    let now = Instant::now();
    let at = |t| limit.enter(&Call::at(t));
    assert!(matches!(at(now), Enter::Proceed(_)));
    assert_eq!(at(now - 5 * S), Enter::Reject(limited(6 * S)));
    assert_eq!(at(now - 3600 * S), Enter::Reject(limited(3601 * S)));
    // No further back than two hours before the process began to count, which may be just now.
    let Enter::Reject(Reason::RateLimited { retry_after }) = at(now - 24 * 3600 * S) else {
        panic!("let in a day before");
    };
    assert!(
        (7199 * S..24 * 3600 * S).contains(&retry_after),
        "{retry_after:?}"
    );
    assert_eq!(at(now), Enter::Reject(limited(S)));
}

#[tokio::test(start_paused = true)]
async fn only_unused_turns_come_back() {
    let limit = RateLimit::new(1, S).max_wait(10 * S).build().unwrap();
    let call = Call::at(Instant::now());
    limit.enter(&call);
    let Enter::Delay { ticket, until } = limit.enter(&call) else {
        panic!("not delayed");
    };
    assert_eq!(until, call.now() + S);
    limit.exit(ticket, &Outcome::Cancelled, &call);
    limit.exit(Ticket(0), &Outcome::Unused, &call); // nobody's
    assert_eq!(limit.snapshot().full_in, 2 * S);
    limit.exit(ticket, &Outcome::Unused, &call);
    assert_eq!(limit.snapshot().full_in, S);
}

#[tokio::test(start_paused = true)]
async fn a_layer_shares_its_permits_with_the_handle() {
    let limit = RateLimit::per_second(2).max_wait(500 * MS).build().unwrap();
    let service = service_fn(|n: u8| ready(Ok::<_, u8>(n)));
    let mut one = ServiceBuilder::new().layer(limit.layer()).service(service);
    let mut two = ServiceBuilder::new()
        .layer(limit.weight(2).layer())
        .service(service);
    assert_eq!(one.call(1).await, Ok(1));
    let start = Instant::now();
    assert_eq!(two.call(2).await, Ok(2));
    assert_eq!(start.elapsed(), 500 * MS);
    assert_eq!(reason(two.call(2).await), limited(S));
    assert_eq!(one.call(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_settles_everybody_further_out() {
    let ledger = Ledger::new();
    let limit = RateLimit::new(1, S).max_wait(S).build().unwrap();
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(&limit)
        .build()
        .unwrap();
    let run = || p.run(|| ready(Ok::<_, u8>(())));
    run().await.unwrap();
    let mut waiter = task::spawn(run());
    assert_pending!(waiter.poll());
    drop(waiter);
    assert_eq!(ledger.nested(), ["outer: Success", "outer: Cancelled"]);
    assert_eq!(limit.snapshot().full_in, S);
}

#[tokio::test(start_paused = true)]
async fn waits_and_refusals_are_told_to_whoever_listens() {
    let heard = Heard::default();
    let limit = RateLimit::new(10, S)
        .burst(1)
        .max_wait(100 * MS)
        .name("r")
        .observer(heard.observer())
        .build()
        .unwrap();
    let _ = tokio::join!(pass(&limit), pass(&limit), pass(&limit));
    assert_eq!(
        heard.count("Waiting { policy: \"r\", at_most: Some(100ms) }"),
        1
    );
    assert_eq!(heard.count("Waited { policy: \"r\", waited: 100ms }"), 1);
    assert_eq!(heard.count("RateLimited { retry_after: 200ms }"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_permits_twice_in_a_pipeline_are_refused_also_by_another_weight() {
    let limit = RateLimit::per_second(1).name("twice").build().unwrap();
    let built = Pipeline::builder("p").with(&limit).with(limit.weight(2));
    assert!(built.build().unwrap_err().to_string().contains("twice"));
}
