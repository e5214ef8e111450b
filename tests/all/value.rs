//! Value wrappers, on futures and as layers: who is asked when, what is kept, what an error keeps.
use crate::support::{Heard, MS, S, io};
use seawall::value::{
    self, FallbackError, Kept, LastKnownGood, Prepare, Rescue, RescueLayer, ValueExt, refusals,
};
use seawall::{Bulkhead, Error, Pipeline, Reason, Timeout};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{error::Error as _, future::pending};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type Answer<T> = Result<T, Error<std::io::Error>>;

fn rates() -> LastKnownGood<u32> {
    LastKnownGood::new("rates").max_age(10 * S).build().unwrap()
}

fn limit() -> Timeout {
    Timeout::after(S).name("limit").build().unwrap()
}

#[tokio::test]
async fn an_answer_asks_no_fallback() {
    let asked = AtomicBool::new(false);
    let ok = || async { Ok::<_, &str>(1) };
    assert_eq!(ok().or_value(9).await, Ok(1));
    let with = |_| {
        asked.store(true, SeqCst);
        Ok(9)
    };
    assert_eq!(ok().or_with(with).await, Ok(1));
    let run = |_: &&str| {
        asked.store(true, SeqCst);
        async { Ok::<_, &str>(9) }
    };
    assert_eq!(ok().or_run(run).await, Ok(1));
    assert!(!asked.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_answered_by_the_fallback_and_an_answer_of_the_dependency_is_not() {
    let limit = limit();
    let hung = limit.run(pending::<Result<u32, std::io::Error>>);
    assert_eq!(hung.or_value(9).only_if(refusals).await.unwrap(), 9);

    let failed = limit.run(|| async { Err::<u32, _>(io()) });
    let error = failed.or_value(9).only_if(refusals).await.unwrap_err();
    assert_eq!(error.to_string(), "refused");
}

#[tokio::test(start_paused = true)]
async fn a_failed_fallback_keeps_the_first_error_as_its_source() {
    let hung = limit();
    let call = hung.run(pending::<Result<u32, std::io::Error>>);
    let both = call
        .or_run(|first: &Error<std::io::Error>| {
            assert!(first.rejected().is_some());
            async { Err::<u32, _>(std::io::Error::other("the replica is gone")) }
        })
        .await
        .unwrap_err();
    let source = both
        .source()
        .and_then(|e| e.downcast_ref::<Error<std::io::Error>>());
    let first = source
        .and_then(Error::rejected)
        .expect("the timeout's refusal");
    assert_eq!(first.reason, Reason::TimedOut { after: S });
    assert_eq!(
        both.to_string(),
        "the fallback failed too: the replica is gone"
    );
    // Two levels, and nothing said twice.
    assert_eq!(
        format!("{:#}", anyhow::Error::from(both)),
        "the fallback failed too: the replica is gone: \
         timeout `limit` ended the call after 1s (1 attempt had been sent)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_be_a_guarded_call_itself() {
    let (primary, replica) = (limit(), limit());
    let call = primary
        .run(|| async { Err::<u32, _>(io()) })
        .or_run(|_| replica.run(|| async { Ok::<_, std::io::Error>(7) }));
    assert_eq!(call.await.unwrap(), 7);

    let both = primary
        .run(|| async { Err::<u32, _>(io()) })
        .or_run(|_| replica.run(pending::<Result<u32, std::io::Error>>))
        .await
        .unwrap_err();
    assert!(both.fallback().and_then(Error::rejected).is_some());
    assert!(matches!(both.into_first(), Error::Inner(_)));
}

#[tokio::test]
async fn an_error_that_is_not_wanted_passes_unasked() {
    let error = async { Err::<u32, _>("404") }
        .or_run(|_| async { Ok::<_, &str>(9) })
        .only_if(|e| *e != "404")
        .await;
    assert_eq!(error, Err(FallbackError::Passed("404")));
}

#[tokio::test]
async fn two_conditions_both_have_to_hold() {
    let call = |e| {
        async move { Err::<u32, u32>(e) }
            .or_value(0)
            .only_if(|e| *e > 1)
            .only_if(|e| *e < 3)
    };
    assert_eq!(call(1).await, Err(1));
    assert_eq!(call(2).await, Ok(0));
    assert_eq!(call(3).await, Err(3));
}

#[tokio::test]
async fn a_panic_of_the_condition_is_contained_and_the_error_passes() {
    let call = async { Err::<u32, _>("down") }
        .or_value(9)
        .only_if(|_| panic!("in the condition"));
    assert_eq!(call.await, Err("down"));
}

#[tokio::test]
async fn a_panic_of_the_fallback_reaches_the_caller_after_the_call_was_settled() {
    let door = Bulkhead::new(1).build().unwrap();
    let task = {
        let door = door.clone();
        tokio::spawn(async move {
            door.run(|| async { Err::<u32, _>(io()) })
                .or_with(|_| panic!("in the fallback"))
                .await
        })
    };
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(door.run(|| async { Ok::<_, ()>(1) }).await, Ok(1));
}

/// Tells when it is dropped.
struct Held(Arc<AtomicBool>);
impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test]
async fn the_call_is_gone_before_its_fallback_begins() {
    let gone = Arc::new(AtomicBool::new(false));
    let held = Held(gone.clone());
    let call = std::future::poll_fn(move |_| {
        let _held = &held;
        std::task::Poll::Ready(Err::<bool, _>("down"))
    });
    let seen = gone.clone();
    let answer = call.or_with(|_| Ok(seen.load(SeqCst))).await;
    assert_eq!(answer, Ok(true));
}

#[tokio::test]
async fn dropping_it_drops_whichever_is_under_way() {
    let (call, fallback) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (first, second) = (Held(call.clone()), Held(fallback.clone()));
    let mut run = spawn(
        async move {
            let _first = first;
            Err::<(), _>("down")
        }
        .or_run(|_| async move {
            let _second = second;
            pending::<Result<(), &str>>().await
        }),
    );
    assert_pending!(run.poll());
    assert!(call.load(SeqCst) && !fallback.load(SeqCst));
    drop(run);
    assert!(fallback.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_carries_its_age_and_is_told() {
    let heard = Heard::default();
    let good = LastKnownGood::new("rates")
        .max_age(10 * S)
        .observer(heard.observer());
    let good = good.build().unwrap();
    async { Ok::<_, ()>(1) }.or_last_good(&good).await.unwrap();
    assert!(heard.all().is_empty());

    tokio::time::advance(10 * S).await;
    let kept = async { Err(()) }.or_last_good(&good.clone()).await;
    assert_eq!(
        kept,
        Ok(Kept::Stale {
            value: 1,
            age: 10 * S
        })
    );
    assert_eq!(
        heard.all(),
        [r#"ServedStale { policy: "rates", age: 10s }"#]
    );

    tokio::time::advance(MS).await;
    assert_eq!(async { Err(()) }.or_last_good(&good).await, Err(()));
    assert_eq!(heard.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_404_does_not_serve_stale_data_when_only_refusals_are_rescued() {
    let (good, limit) = (rates(), limit());
    good.set(1);
    let answer: Answer<_> = limit
        .run(|| async { Err(std::io::ErrorKind::NotFound.into()) })
        .or_last_good(&good)
        .only_if(refusals)
        .await;
    assert!(matches!(answer, Err(Error::Inner(_))));
    let answer: Answer<_> = limit
        .run(pending)
        .or_last_good(&good)
        .only_if(refusals)
        .await;
    assert_eq!(answer.unwrap(), Kept::Stale { value: 1, age: S });
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_call_does_not_replace_a_newer_one() {
    let good = rates();
    let (slow, answer) = tokio::sync::oneshot::channel();
    let mut earlier = spawn(answer.or_last_good(&good));
    assert_pending!(earlier.poll());
    tokio::time::advance(S).await;
    async { Ok::<_, ()>(2) }.or_last_good(&good).await.unwrap();
    slow.send(1).unwrap();
    assert_eq!(assert_ready!(earlier.poll()), Ok(Kept::Fresh(1)));
    assert_eq!(good.peek(), Some((2, Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn age_counts_from_when_the_call_was_first_polled() {
    let good = rates();
    let call = async {
        tokio::time::advance(3 * S).await;
        Ok::<_, ()>(1)
    }
    .or_last_good(&good);
    tokio::time::advance(5 * S).await;
    assert_eq!(call.await, Ok(Kept::Fresh(1)));
    assert_eq!(good.peek(), Some((1, 3 * S)));
}

#[tokio::test(start_paused = true)]
async fn what_was_cleared_does_not_come_back_with_a_call_under_way() {
    let good = rates();
    good.set(1);
    let (slow, answer) = tokio::sync::oneshot::channel();
    let mut call = spawn(answer.or_last_good(&good));
    assert_pending!(call.poll());
    good.clear();
    slow.send(2).unwrap();
    assert_eq!(assert_ready!(call.poll()), Ok(Kept::Fresh(2)));
    assert_eq!(good.peek(), None);
    good.set(3);
    assert_eq!(good.peek().map(|(n, _)| n), Some(3));
}

/// Uses the handle it is kept in while it is cloned and dropped: a lock held meanwhile would hang.
struct Nosy(LastKnownGood<Arc<Nosy>>, Arc<Mutex<Vec<&'static str>>>);
impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.clear();
        self.1.lock().unwrap().push("dropped");
    }
}

#[tokio::test]
async fn values_are_dropped_outside_the_lock() {
    let good: LastKnownGood<Arc<Nosy>> = LastKnownGood::new("nosy").build().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let nosy = || Arc::new(Nosy(good.clone(), log.clone()));
    good.set(nosy());
    good.set(nosy());
    good.clear();
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[test]
fn threads_that_share_one_never_see_an_answer_go_back() {
    let good: LastKnownGood<u32> = LastKnownGood::new("shared").build().unwrap();
    let counter = AtomicU32::new(0);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut seen = 0;
                for _ in 0..2_000 {
                    let call = async { Ok::<_, ()>(counter.fetch_add(1, SeqCst)) };
                    tokio_test::block_on(call.or_last_good(&good)).unwrap();
                    let (kept, _) = good.peek().expect("it has been set");
                    // Values are drawn just after calls are numbered: each thread may swap a few.
                    assert!(kept + 8 >= seen, "{kept} after {seen}");
                    seen = seen.max(kept);
                }
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn layers_do_what_the_methods_do() {
    let guard = Pipeline::builder("p").with(limit()).build().unwrap();
    let hung = || service_fn(|_: u32| pending::<Result<u32, std::io::Error>>());
    let stack = |layer: RescueLayer<_>| ServiceBuilder::new().layer(layer);

    let service = stack(value::or_value(9))
        .layer(guard.layer())
        .service(hung());
    assert_eq!(service.oneshot(1).await.unwrap(), 9);

    let with = value::or_with(|_: Error<std::io::Error>| Ok(8));
    let service = ServiceBuilder::new()
        .layer(with)
        .layer(guard.layer())
        .service(hung());
    assert_eq!(service.oneshot(1).await.unwrap(), 8);

    let run = value::or_run(|_: &Error<std::io::Error>| async { Err::<u32, _>(io()) });
    let service = ServiceBuilder::new()
        .layer(run)
        .layer(guard.layer())
        .service(hung());
    let both = service.oneshot(1).await.unwrap_err();
    assert!(both.first().rejected().is_some() && both.fallback().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_layer_keeps_the_last_good_answer_of_all_its_clones() {
    let good = rates();
    let inner = service_fn(|n: u32| async move { if n == 0 { Err(io()) } else { Ok(n) } });
    let layer = value::or_last_good(&good).only_if(|e: &std::io::Error| e.to_string() == "refused");
    let mut first = layer.layer(inner);
    let mut second = first.clone();
    assert_eq!(
        first.ready().await.unwrap().call(5).await.unwrap(),
        Kept::Fresh(5)
    );
    tokio::time::advance(S).await;
    let kept = second.ready().await.unwrap().call(0).await.unwrap();
    assert_eq!(kept, Kept::Stale { value: 5, age: S });
}

#[tokio::test]
async fn another_service_is_asked_the_same_and_only_after_a_failure() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let replica = service_fn(move |id: String| {
        log.lock().unwrap().push(id.clone());
        async move {
            if id == "gone" {
                Err(io())
            } else {
                Ok(format!("replica: {id}"))
            }
        }
    });
    let primary = service_fn(|id: String| async move {
        if id == "a" {
            Ok(id)
        } else {
            Err(std::io::Error::other("primary"))
        }
    });
    let service = value::or_service(replica).layer(primary);
    let ask = |id: &str| service.clone().oneshot(String::from(id));
    assert_eq!(ask("a").await.unwrap(), "a");
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(ask("b").await.unwrap(), "replica: b");
    let both = ask("gone").await.unwrap_err();
    assert_eq!(both.first().to_string(), "primary");
    assert_eq!(*asked.lock().unwrap(), ["b", "gone"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_kept_has_no_fallback() {
    let down = service_fn(|n: u32| async move { Err::<u32, _>(n) });
    let replica = service_fn(|n: u32| async move { Ok::<_, u32>(n + 10) });
    let layer = value::or_service_with(replica, |n: &u32| (*n != 0).then_some(*n));
    let service = layer.layer(down);
    assert_eq!(service.clone().oneshot(1).await, Ok(11));
    assert_eq!(service.oneshot(0).await, Err(FallbackError::Passed(0)));
}

/// Never gets ready: its channel is gone.
#[derive(Clone)]
struct Gone;
impl Service<u32> for Gone {
    type Response = u32;
    type Error = &'static str;
    type Future = std::future::Ready<Result<u32, &'static str>>;
    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Err("gone"))
    }
    fn call(&mut self, _: u32) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test]
async fn a_service_that_fails_to_get_ready_is_rescued_too() {
    assert_eq!(value::or_value(3).layer(Gone).oneshot(1).await, Ok(3));
}

#[tokio::test]
async fn a_rescue_of_ones_own_has_both_surfaces() {
    #[derive(Clone)]
    struct Negative;
    impl Rescue<i32, i32> for Negative {
        type Ok = i32;
        type Err = ();
        type Future = std::future::Ready<Result<i32, ()>>;
        fn keep(&mut self, value: i32) -> i32 {
            value
        }
        fn pass(&mut self, _: i32) {}
        fn rescue(&mut self, error: i32) -> Self::Future {
            std::future::ready(Ok(-error))
        }
    }
    impl Prepare<i32> for Negative {
        type Rescue = Self;
        fn prepare(&self, _: &i32) -> Self {
            Negative
        }
    }
    let service =
        RescueLayer::new(Negative).layer(service_fn(|n: i32| async move { Err::<i32, _>(n) }));
    assert_eq!(service.oneshot(4).await, Ok(-4));
}
