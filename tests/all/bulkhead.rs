//! Bulkheads: permits, the line, and what comes back when somebody gives up.
#![allow(clippy::disallowed_methods)] // operations sleep, under the paused clock
#![allow(clippy::indexing_slicing)]

mod model;

use crate::support::{Heard, MS, S};
use seawall::{Bulkhead, Error, Pipeline, Reason, Timeout};
use std::future::{pending, ready};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceBuilder, service_fn};

async fn hold(b: &Bulkhead, time: Duration) -> Result<(), Error<u8>> {
    b.run(|| async {
        sleep(time).await;
        Ok(())
    })
    .await
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error<u8>>) -> Reason {
    result.unwrap_err().rejected().expect("a refusal").reason
}

fn counts(b: &Bulkhead) -> (u32, u32) {
    (b.in_flight(), b.queued())
}

#[tokio::test(start_paused = true)]
async fn permits_are_handed_over_in_order_and_waiters_are_woken_not_polled() {
    let b = Bulkhead::new(1).queue(2).build().unwrap();
    let order = Mutex::new(Vec::new());
    let mut first = task::spawn(hold(&b, S));
    assert_pending!(first.poll());
    let waiter = |n| {
        let (b, order) = (&b, &order);
        async move {
            b.run(|| async {
                order.lock().unwrap().push(n);
                Ok::<_, u8>(())
            })
            .await
        }
    };
    let mut second = task::spawn(waiter(2));
    let mut third = task::spawn(waiter(3));
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    assert_eq!(counts(&b), (1, 2));
    let fourth = assert_ready!(task::spawn(waiter(4)).poll());
    assert_eq!(reason(fourth), Reason::BulkheadFull);
    tokio::time::advance(S).await;
    assert!(!second.is_woken());
    assert_ready!(first.poll()).unwrap();
    assert!(second.is_woken() && !third.is_woken());
    // Whoever comes by does not overtake the one the permit was given to.
    assert_pending!(task::spawn(waiter(5)).poll());
    assert_ready!(second.poll()).unwrap();
    assert_ready!(third.poll()).unwrap();
    assert_eq!(*order.lock().unwrap(), [2, 3]);
    assert_eq!(counts(&b), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_after_it_was_granted_passes_the_permit_on() {
    let b = Bulkhead::new(1).queue(5).build().unwrap();
    let mut first = task::spawn(hold(&b, S));
    let mut second = task::spawn(hold(&b, S));
    let mut third = task::spawn(hold(&b, S));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(first);
    assert!(second.is_woken());
    drop(second); // before it could look
    assert!(third.is_woken());
    assert_eq!(counts(&b), (1, 0));
    drop(third);
    assert_eq!(counts(&b), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_in_the_middle_of_the_line_leaves_no_gap() {
    let b = Bulkhead::new(1).queue(3).build().unwrap();
    let mut first = task::spawn(hold(&b, S));
    let mut line: Vec<_> = (0..3).map(|_| task::spawn(hold(&b, S))).collect();
    assert_pending!(first.poll());
    line.iter_mut().for_each(|w| assert_pending!(w.poll()));
    drop(line.remove(1));
    assert_eq!(counts(&b), (1, 2));
    assert_pending!(task::spawn(hold(&b, S)).poll()); // there is a place again
    drop(first);
    assert!(line[0].is_woken() && !line[1].is_woken());
    drop(line.remove(0));
    assert!(line[0].is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_an_end_and_a_permit_that_is_there_by_then_wins() {
    let b = Bulkhead::new(1)
        .queue(5)
        .max_wait(200 * MS)
        .build()
        .unwrap();
    let start = Instant::now();
    let (_, late) = tokio::join!(hold(&b, S), async {
        let result = hold(&b, S).await;
        (reason(result), start.elapsed())
    });
    let expected = Reason::QueueTimeout { after: 200 * MS };
    assert_eq!((late, counts(&b)), ((expected, 200 * MS), (0, 0)));
    let mut first = task::spawn(hold(&b, 200 * MS));
    let mut second = task::spawn(hold(&b, MS));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    tokio::time::advance(200 * MS).await;
    assert_ready!(first.poll()).unwrap();
    assert_pending!(second.poll()); // let in, and running
    assert_eq!(counts(&b), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_cut_by_a_deadline_gives_its_place_back() {
    let b = Bulkhead::new(1).queue(1).build().unwrap();
    let p = Pipeline::builder("p")
        .with(Timeout::after(50 * MS))
        .with(&b)
        .build()
        .unwrap();
    let mut first = task::spawn(hold(&b, S));
    assert_pending!(first.poll());
    let cut = p.run(|| ready(Ok::<_, u8>(()))).await;
    assert_eq!(reason(cut), Reason::TimedOut { after: 50 * MS });
    assert_eq!(counts(&b), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_lets_calls_drain_and_a_raised_one_calls_the_line() {
    let b = Bulkhead::new(3).queue(3).build().unwrap();
    let mut running: Vec<_> = (0..3).map(|_| task::spawn(hold(&b, S))).collect();
    let mut line: Vec<_> = (0..3).map(|_| task::spawn(hold(&b, S))).collect();
    running.iter_mut().for_each(|r| assert_pending!(r.poll()));
    line.iter_mut().for_each(|w| assert_pending!(w.poll()));
    b.set_limit(1);
    assert_eq!((b.limit(), counts(&b)), (1, (3, 3)));
    running.pop();
    running.pop();
    assert_eq!(counts(&b), (1, 3));
    assert!(!line[0].is_woken());
    b.set_limit(3);
    assert!(line[0].is_woken() && line[1].is_woken() && !line[2].is_woken());
    assert_eq!(counts(&b), (3, 1));
    drop(running);
    assert!(line[2].is_woken());
    drop(line);
    assert_eq!(counts(&b), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_refuses_those_who_come_and_those_who_wait() {
    let b = Bulkhead::new(1).queue(40).build().unwrap();
    let mut first = task::spawn(hold(&b, S));
    assert_pending!(first.poll());
    let mut line: Vec<_> = (0..40).map(|_| task::spawn(hold(&b, S))).collect();
    line.iter_mut().for_each(|w| assert_pending!(w.poll()));
    b.set_limit(0);
    assert_eq!(counts(&b), (1, 0));
    for waiter in &mut line {
        assert!(waiter.is_woken());
        assert_eq!(reason(assert_ready!(waiter.poll())), Reason::BulkheadFull);
    }
    assert_eq!(reason(hold(&b, MS).await), Reason::BulkheadFull);
    tokio::time::advance(S).await;
    assert_ready!(first.poll()).unwrap(); // a running call goes on to its end
    b.set_limit(1);
    hold(&b, MS).await.unwrap();
    assert_eq!(counts(&b), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_moves_to_another_task_is_woken_there() {
    let b = Bulkhead::new(1).queue(1).build().unwrap();
    let mut first = task::spawn(hold(&b, S));
    assert_pending!(first.poll());
    let mut moved = Box::pin(hold(&b, S));
    let mut old = task::spawn(async { std::future::poll_fn(|cx| moved.as_mut().poll(cx)).await });
    assert_pending!(old.poll());
    drop(old);
    let mut new = task::spawn(moved);
    assert_pending!(new.poll());
    drop(first);
    assert!(new.is_woken());
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_call_gives_the_permit_back() {
    let b = Bulkhead::new(1).build().unwrap();
    assert_eq!(b.run(|| ready(Err::<(), _>(7))).await, Err(Error::Inner(7)));
    let panicking = b.run(|| async {
        if b.in_flight() == 1 {
            panic!("of the operation");
        }
        Ok::<_, u8>(())
    });
    let caught = std::panic::AssertUnwindSafe(panicking);
    let mut caught = task::spawn(caught);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| caught.poll()));
    assert!(unwound.is_err());
    drop(caught);
    let mut dropped = task::spawn(b.run(pending::<Result<(), u8>>));
    assert_pending!(dropped.poll());
    assert_eq!(b.in_flight(), 1);
    drop(dropped);
    assert_eq!(counts(&b), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_layer_shares_its_permits_with_the_handle() {
    let b = Bulkhead::new(1).queue(1).build().unwrap();
    let service = service_fn(|time: Duration| async move {
        sleep(time).await;
        Ok::<_, u8>(time)
    });
    let mut guarded = ServiceBuilder::new().layer(b.layer()).service(service);
    let mut first = task::spawn(guarded.call(S));
    let mut second = task::spawn(guarded.call(S));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_eq!(counts(&b), (1, 1));
    assert_eq!(reason(guarded.call(S).await), Reason::BulkheadFull);
    assert_eq!(reason(hold(&b, S).await), Reason::BulkheadFull);
    drop(first);
    assert_eq!(second.await, Ok(S));
}

#[tokio::test(start_paused = true)]
async fn waits_are_told_to_whoever_listens() {
    let heard = Heard::default();
    let b = Bulkhead::new(1)
        .queue(1)
        .max_wait(S)
        .name("b")
        .observer(heard.observer())
        .build()
        .unwrap();
    let (a, b) = tokio::join!(hold(&b, 300 * MS), hold(&b, MS));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(
        heard.count("Waiting { policy: \"b\", at_most: Some(1s) }"),
        1
    );
    assert_eq!(heard.count("Waited { policy: \"b\", waited: 300ms }"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_bulkhead_twice_in_a_pipeline_is_refused() {
    let b = Bulkhead::new(1).queue(1).name("twice").build().unwrap();
    let built = Pipeline::builder("p").with(&b).with(b.clone()).build();
    assert!(built.unwrap_err().to_string().contains("twice"));
}
