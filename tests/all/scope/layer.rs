//! Services as steps of a scope.
use super::{Arc, AtomicU32, Future, Log, SeqCst, pending, saga, spawn};
use seawall::{Bulkhead, CircuitBreaker, Retry, Timeout};
use seawall::{retry::Backoff, saga::Outcome, value::or_service};
use std::{
    convert::Infallible,
    io,
    task::{Context, Poll},
};
use tokio_test::assert_pending;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

/// A compensation that tells what it was given.
fn undo(
    log: &Log,
) -> impl Fn(u32, Outcome<String>) -> std::future::Ready<Result<(), Infallible>>
+ Send
+ Sync
+ 'static
+ use<> {
    let log = log.clone();
    move |request, was| {
        log.add(format!("undo {request} {was:?}"));
        std::future::ready(Ok(()))
    }
}

/// Even numbers are answered, odd ones fail, zero is never answered.
async fn answer(n: u32) -> io::Result<String> {
    match n {
        0 => pending().await,
        n if n % 2 == 0 => Ok(format!("answer {n}")),
        _ => Err(io::Error::other("reset")),
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_applied_or_may_have_been_is_undone_with_what_is_known_of_it() {
    let log = Log::default();
    let failed = saga::scope(async |saga| {
        let step = saga.layer("step", undo(&log)).layer(service_fn(answer));
        let (four, lost) = tokio::join!(step.clone().oneshot(4), step.clone().oneshot(5));
        assert_eq!(four?, "answer 4");
        assert!(lost.is_err());
        step.oneshot(7).await
    })
    .await;
    assert!(failed.is_err());
    let undone = [
        "undo 7 Unknown",
        "undo 5 Unknown",
        "undo 4 Done(\"answer 4\")",
    ];
    assert_eq!(log.all(), undone);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_may_have_been_applied() {
    let log = Log::default();
    {
        let mut run = spawn(saga::scope(async |saga| {
            let step = saga.layer("step", undo(&log)).layer(service_fn(answer));
            let never_polled = step.clone().oneshot(2);
            step.oneshot(0).await?;
            never_polled.await
        }));
        assert_pending!(run.poll());
    }
    tokio::task::yield_now().await;
    assert_eq!(log.all(), ["undo 0 Unknown"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_may_have_been_applied() {
    let log = Log::default();
    let run = saga::scope({
        let log = log.clone();
        async move |saga| {
            let bug = service_fn(async |n: u32| -> io::Result<String> { panic!("a bug at {n}") });
            saga.layer("step", undo(&log)).layer(bug).oneshot(3).await
        }
    });
    assert!(tokio::spawn(run).await.unwrap_err().is_panic());
    assert_eq!(log.all(), ["undo 3 Unknown"]);
}

/// The refusal counts what was sent within its own layer: nothing. The retry around it has sent one before.
#[tokio::test(start_paused = true)]
async fn what_a_layer_inside_refused_after_one_outside_had_sent_may_have_been_applied() {
    let log = Log::default();
    let retry = Retry::attempts(2).backoff(Backoff::none()).build().unwrap();
    let total = Timeout::after(std::time::Duration::from_secs(1)).build();
    let breaker = CircuitBreaker::new("b").consecutive_failures(1).build();
    let failed = saga::scope(async |saga| {
        let step = ServiceBuilder::new()
            .layer(saga.layer("step", undo(&log)))
            .layer(total.unwrap().layer())
            .layer(retry.layer())
            .layer(breaker.unwrap().layer())
            .service(service_fn(answer));
        step.oneshot(5).await
    })
    .await;
    let refused = seawall::Rejected::within(&failed.unwrap_err()).unwrap();
    assert!(refused.never_sent());
    assert_eq!(log.all(), ["undo 5 Unknown"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_then_sent_to_the_fallback_may_have_been_applied() {
    let log = Log::default();
    let full = Bulkhead::new(0).build().unwrap();
    let failed = saga::scope(async |saga| {
        let step = ServiceBuilder::new()
            .layer(saga.layer("step", undo(&log)))
            .layer(or_service(service_fn(answer)))
            .layer(full.layer())
            .service(service_fn(answer));
        step.oneshot(5).await
    })
    .await;
    assert!(failed.is_err());
    assert_eq!(log.all(), ["undo 5 Unknown"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_refused_before_it_was_sent_leaves_nothing_to_undo() {
    let log = Log::default();
    let breaker = CircuitBreaker::new("stock")
        .consecutive_failures(1)
        .build()
        .unwrap();
    let failed = saga::scope(async |saga| {
        let step = ServiceBuilder::new()
            .layer(saga.layer("step", undo(&log)))
            .layer(breaker.layer())
            .service(service_fn(answer));
        // The first was sent, and opens the breaker.
        assert!(step.clone().oneshot(5).await.is_err());
        step.oneshot(4).await
    })
    .await
    .unwrap_err();
    assert!(failed.to_string().contains("`stock` is open"), "{failed}");
    assert_eq!(log.all(), ["undo 5 Unknown"]);
}

/// Never becomes ready.
#[derive(Clone)]
struct Gone(Arc<AtomicU32>);

impl Service<u32> for Gone {
    type Response = String;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("gone")))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        self.0.fetch_add(1, SeqCst);
        std::future::ready(Ok(String::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_did_not_become_ready_has_done_nothing() {
    fn is_send<T: Future + Send>(future: T) -> T {
        future
    }
    let (log, calls) = (Log::default(), Arc::default());
    let gone = Gone(Arc::clone(&calls));
    let kept = log.clone();
    let run = saga::scope(async move |saga| {
        let step = saga.layer("step", undo(&kept)).layer(gone);
        is_send(step.oneshot(2)).await
    });
    assert!(is_send(run).await.is_err());
    assert_eq!(calls.load(SeqCst), 0);
    assert!(log.all().is_empty());
}
