//! The tower surface: readiness, ways to keep a request, boxed and buffered.
use crate::support::{MS, S};
use seawall::{
    Bulkhead, CircuitBreaker, Class, Classify, Hedge, Inspect, Pipeline, Reason, Rejected, Replay,
    Retry, Timeout, retry::Backoff, service::respond_with,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};
use std::task::{Context, Poll};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// Ready only when told; panics when called on an instance that was not readied.
#[derive(Clone)]
struct Strict {
    gate: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    readied: bool,
}
impl Strict {
    fn new() -> Self {
        Strict {
            gate: Arc::new(AtomicBool::new(true)),
            calls: Arc::default(),
            readied: false,
        }
    }
}
impl Service<u32> for Strict {
    type Response = u32;
    type Error = u32;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<u32, u32>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), u32>> {
        self.readied = self.gate.load(SeqCst);
        if self.readied {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
    fn call(&mut self, fail_first: u32) -> Self::Future {
        assert!(
            std::mem::take(&mut self.readied),
            "called without readiness"
        );
        let n = self.calls.fetch_add(1, SeqCst) + 1;
        Box::pin(async move {
            if n == 1 && fail_first == 2 {
                tokio::time::sleep(S).await
            }
            if n <= fail_first && fail_first != 2 {
                Err(n)
            } else {
                Ok(n)
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_readies_the_instance_it_calls() {
    let inner = Strict::new();
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(3).backoff(Backoff::constant(MS)))
        .build()
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(p.layer())
        .service(inner.clone());
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(2));
    // Never ready: the timeout cuts it, and nothing was sent.
    inner.gate.store(false, SeqCst);
    let error = service.ready().await.unwrap().call(0).await.unwrap_err();
    assert!(error.rejected().unwrap().never_sent());
    // An open circuit answers although the service is not ready.
    let breaker = CircuitBreaker::new("b")
        .consecutive_failures(1)
        .build()
        .unwrap();
    breaker.run(|| async { Err::<(), _>(1) }).await.unwrap_err();
    let mut service = breaker.layer().layer(inner);
    assert!(matches!(
        service
            .ready()
            .await
            .unwrap()
            .call(0)
            .await
            .unwrap_err()
            .rejected()
            .unwrap()
            .reason,
        Reason::CircuitOpen { .. }
    ));
}

/// A service that failed to become ready has not been called.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_failed_before_the_call_was_not_sent() {
    #[derive(Clone)]
    struct Broken;
    impl Service<u32> for Broken {
        type Response = ();
        type Error = &'static str;
        type Future = std::future::Ready<Result<(), &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("connect"))
        }
        fn call(&mut self, _: u32) -> Self::Future {
            unreachable!()
        }
    }
    let p = Pipeline::builder("p")
        .with(Retry::attempts(2).backoff(Backoff::constant(MS)))
        .with(CircuitBreaker::new("b").consecutive_failures(1))
        .build()
        .unwrap();
    let error = p.layer().layer(Broken).oneshot(1).await.unwrap_err();
    assert!(error.rejected().unwrap().never_sent());
}

#[tokio::test(start_paused = true)]
async fn a_hedge_sends_the_request_again_through_another_clone() {
    let inner = Strict::new();
    let p = Pipeline::builder("p")
        .with(Hedge::after(100 * MS))
        .with(Bulkhead::new(5))
        .build()
        .unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(p.layer().layer(inner).oneshot(2).await, Ok(2)); // the first call would take 1 s
    assert_eq!(start.elapsed(), 100 * MS);
    // A request that cannot be kept is sent once.
    struct Unique;
    let sent = Arc::new(AtomicU32::new(0));
    let count = sent.clone();
    let slow = service_fn(move |_: Unique| {
        count.fetch_add(1, SeqCst);
        async {
            tokio::time::sleep(S).await;
            Ok::<_, u8>(())
        }
    });
    p.layer_with(|_: &Unique| None)
        .layer(slow)
        .oneshot(Unique)
        .await
        .unwrap();
    assert_eq!(sent.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn boxed_buffered_and_balanced_by_tower() {
    let p = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(2).backoff(Backoff::constant(MS)))
        .with(
            CircuitBreaker::new("b")
                .failure_rate(0.5)
                .count_window(10)
                .minimum_calls(5),
        )
        .build()
        .unwrap();
    let echo = service_fn(|x: u32| async move { Ok::<_, tower::BoxError>(x) });
    let mut service = ServiceBuilder::new()
        .boxed_clone()
        .layer(p.layer())
        .buffer(16)
        .concurrency_limit(4)
        .service(echo);
    assert_eq!(service.ready().await.unwrap().call(7).await.unwrap(), 7);
    // `Error<BoxError>` is no `std::error::Error`, as `BoxError` is none: what wants one is given it folded.
    let folded = Pipeline::builder("p")
        .append(&p)
        .error::<tower::BoxError>()
        .build()
        .unwrap();
    let mut outside = ServiceBuilder::new()
        .buffer(16)
        .layer(folded.layer())
        .service(echo);
    assert_eq!(outside.ready().await.unwrap().call(8).await.unwrap(), 8);
}

#[test]
fn a_retry_that_could_never_repeat_is_refused() {
    let p = Pipeline::builder("p")
        .with(Retry::attempts(2).name("again"))
        .build()
        .unwrap();
    let error = p.layer_once().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`p`: layer_once is \"again\", but has to be no retry and no hedge, which could never repeat a request"
    );
    let gates = Pipeline::builder("p")
        .with(Timeout::after(S))
        .build()
        .unwrap();
    assert!(gates.layer_once().is_ok());
}

/// A dialect whose requests may be repeated only while they have not been sent.
#[derive(Clone, Copy)]
struct Careful;
impl<T, E> Classify<T, E> for Careful {
    fn classify(&self, result: &Result<T, E>, replay: Replay) -> Class {
        match (result, replay) {
            (Ok(_), _) => Class::Success,
            (Err(_), Replay::Always) => Class::Transient,
            (Err(_), _) => Class::Failed,
        }
    }
}
impl Inspect<Replay> for Careful {
    fn inspect(&self, request: &Replay) -> Replay {
        *request
    }
}

/// What the request allows decides: also where a timeout cut the attempt and no answer was classed.
#[tokio::test(start_paused = true)]
async fn a_request_is_repeated_only_as_it_allows() {
    let sent = Arc::new(AtomicU32::new(0));
    let hangs = |sent: Arc<AtomicU32>| {
        service_fn(move |_: Replay| {
            sent.fetch_add(1, SeqCst);
            std::future::pending::<Result<(), u8>>()
        })
    };
    let fails = |sent: Arc<AtomicU32>| {
        service_fn(move |_: Replay| {
            sent.fetch_add(1, SeqCst);
            async { Err::<(), u8>(1) }
        })
    };
    let retry = Pipeline::builder("p")
        .with(Retry::attempts(3).backoff(Backoff::constant(MS)))
        .with(Timeout::after(S))
        .classify(Careful)
        .build()
        .unwrap();
    let hedge = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Hedge::after(10 * MS).attempts(3))
        .classify(Careful)
        .build()
        .unwrap();
    for (replay, attempts) in [
        (Replay::Always, 3),
        (Replay::IfUnsent, 1),
        (Replay::Never, 1),
    ] {
        retry
            .layer()
            .layer(hangs(sent.clone()))
            .oneshot(replay)
            .await
            .unwrap_err();
        assert_eq!(sent.swap(0, SeqCst), attempts, "cut, {replay:?}");
        retry
            .layer()
            .layer(fails(sent.clone()))
            .oneshot(replay)
            .await
            .unwrap_err();
        assert_eq!(sent.swap(0, SeqCst), attempts, "failed, {replay:?}");
        hedge
            .layer()
            .layer(hangs(sent.clone()))
            .oneshot(replay)
            .await
            .unwrap_err();
        assert_eq!(sent.swap(0, SeqCst), attempts, "hedged, {replay:?}");
    }
    // Not ready in time: not sent, so it may be tried again.
    let never_ready = NeverReady {
        instances: Arc::default(),
        asked: false,
    };
    let error = retry
        .layer()
        .layer(never_ready.clone())
        .oneshot(Replay::IfUnsent)
        .await
        .unwrap_err();
    assert!(error.rejected().unwrap().never_sent());
    assert_eq!(never_ready.instances.load(SeqCst), 3);
}

#[derive(Clone)]
struct NeverReady {
    instances: Arc<AtomicU32>,
    asked: bool,
}
impl Service<Replay> for NeverReady {
    type Response = ();
    type Error = u8;
    type Future = std::future::Pending<Result<(), u8>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        if !std::mem::replace(&mut self.asked, true) {
            self.instances.fetch_add(1, SeqCst);
        }
        Poll::Pending
    }
    fn call(&mut self, _: Replay) -> Self::Future {
        unreachable!("it was never ready")
    }
}

/// Says of every failure that nothing was sent.
#[derive(Clone, Copy)]
struct Unsent;
impl<T, E> Classify<T, E> for Unsent {
    fn classify(&self, result: &Result<T, E>, _: Replay) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(_) => Class::Transient,
        }
    }
}
impl Inspect<u32> for Unsent {
    fn inspect(&self, _: &u32) -> Replay {
        Replay::IfUnsent
    }
}

/// The dialect's word on each lane's answer holds for the race: it used to count as sent.
#[tokio::test(start_paused = true)]
async fn a_race_of_unsent_attempts_may_be_repeated() {
    let p = Pipeline::builder("p")
        .with(Retry::attempts(2).backoff(Backoff::constant(MS)))
        .with(Hedge::after(S))
        .classify(Unsent)
        .build()
        .unwrap();
    let calls = AtomicU32::new(0);
    let refused = service_fn(|_: u32| {
        calls.fetch_add(1, SeqCst);
        async { Err::<(), _>("connection refused") }
    });
    p.layer().layer(refused).oneshot(1).await.unwrap_err();
    assert_eq!(calls.load(SeqCst), 4);
}

/// Says no in place of getting ready, the first time.
#[derive(Clone)]
struct Busy {
    inner: Strict,
    refuses: bool,
}
impl Service<u32> for Busy {
    type Response = u32;
    type Error = seawall::Error<u32>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<u32, Self::Error>> + Send>>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if std::mem::take(&mut self.refuses) {
            let busy = Rejected::new("busy".into(), Reason::BulkheadFull);
            return Poll::Ready(Err(seawall::Error::Rejected(busy)));
        }
        self.inner.poll_ready(cx).map_err(seawall::Error::Inner)
    }
    fn call(&mut self, request: u32) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(seawall::Error::Inner) })
    }
}

/// It was called although it had not become ready.
#[tokio::test]
async fn a_service_that_refuses_to_get_ready_is_not_called() {
    let inner = Strict::new();
    let calls = inner.calls.clone();
    let refuses = true;
    let mut service = ServiceBuilder::new()
        .layer(respond_with(|_| 503))
        .service(Busy { inner, refuses });
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(503));
    assert_eq!(calls.load(SeqCst), 0);
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(1));
}
