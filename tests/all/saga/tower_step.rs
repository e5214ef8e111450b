//! Services as the steps of durable sagas.
use super::world::clock;
use seawall::{
    CircuitBreaker, Class, Pipeline, Retry, Timeout,
    saga::{
        Abort, Engine, Failure, Flow, MemoryStore, OnUnknown, Outcome, StepCall, StepContext,
        StepRetry, Verdict,
    },
};
use std::{
    io,
    sync::{Arc, Mutex, atomic::AtomicU32, atomic::Ordering::SeqCst},
    task::{Context, Poll},
    time::Duration,
};
use tower::{BoxError, Service, ServiceBuilder, service_fn, util::BoxCloneSyncService};

/// What the participants saw, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// Runs one saga of one step, which has one attempt, and tells how it ended.
async fn pay<S, E>(service: S, retry: StepRetry) -> (Result<String, String>, Vec<String>)
where
    S: Service<StepCall<u32>, Response = String, Error = E> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    E: Into<Failure>,
{
    let log = Log::default();
    let mut b = Engine::builder(log.clone(), MemoryStore::new());
    b.wall_clock(clock());
    let undo = async |log: Arc<Log>, cx: StepContext, cents: u32, was: Outcome<String>| {
        assert!(cx.idempotency_key().ends_with("/undo"));
        log.lock().unwrap().push(format!("undo {cents} {was:?}"));
        Ok(())
    };
    let charge = b.service("charge", service, undo).retry(retry).register();
    let pay = b.saga("pay", move |saga: Flow, cents: u32| async move {
        Ok::<_, Abort>(saga.call(charge, cents).await?)
    });
    let engine = b.build().await.unwrap();
    let end = engine.start(pay, "k", 7).await.unwrap().outcome().await;
    let log = log.lock().unwrap().clone();
    (end.map_err(|e| e.to_string()), log)
}

fn once() -> StepRetry {
    StepRetry::attempts(1)
}

/// Counts its calls, and answers as told.
fn scripted<E: Clone + Send + Sync + 'static>(
    calls: &Arc<AtomicU32>,
    answers: Vec<Result<&'static str, E>>,
) -> impl Service<
    StepCall<u32>,
    Response = String,
    Error = E,
    Future = impl Future<Output = Result<String, E>> + Send + use<E>,
> + Clone
+ Send
+ Sync
+ 'static {
    let calls = calls.clone();
    service_fn(move |call: StepCall<u32>| {
        let n = calls.fetch_add(1, SeqCst) as usize;
        let answer = answers[n.min(answers.len() - 1)].clone();
        async move {
            assert_eq!(*call.request(), 7);
            answer.map(str::to_owned)
        }
    })
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("reset")]
struct Reset;

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_guard_uses_no_attempt_and_waits() {
    let breaker = CircuitBreaker::new("payments")
        .consecutive_failures(5)
        .build()
        .unwrap();
    breaker.isolate();
    let calls = Arc::default();
    let inner = scripted::<Reset>(&calls, vec![Ok("paid")]);
    let service = ServiceBuilder::new().layer(breaker.layer()).service(inner);
    let repair = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        breaker.reset();
    };
    let begin = tokio::time::Instant::now();
    let ((end, log), ()) = tokio::join!(pay(service, once()), repair);
    assert_eq!(end.unwrap(), "paid");
    assert_eq!(calls.load(SeqCst), 1);
    assert!(begin.elapsed() >= Duration::from_millis(3500));
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_found_in_the_error_of_a_stack_of_other_layers() {
    let breaker = CircuitBreaker::new("payments").build().unwrap();
    breaker.isolate();
    let calls = Arc::default();
    let guarded = ServiceBuilder::new()
        .layer(breaker.layer())
        .service(scripted::<Reset>(&calls, vec![Ok("paid")]));
    let stack = ServiceBuilder::new()
        .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(9)))
        .service(guarded);
    let boxed: BoxCloneSyncService<_, _, BoxError> = BoxCloneSyncService::new(stack);
    let repair = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        breaker.reset();
    };
    let ((end, _), ()) = tokio::join!(pay(boxed, once()), repair);
    assert_eq!(end.unwrap(), "paid");
}

#[tokio::test(start_paused = true)]
async fn a_first_call_applied_and_a_second_one_refused_is_never_clean() {
    let breaker = CircuitBreaker::new("payments").build().unwrap();
    breaker.isolate();
    let applied = Arc::new(AtomicU32::new(0));
    let (counter, payments) = (applied.clone(), Pipeline::builder("payments"));
    let payments = payments.with(&breaker).build().unwrap();
    let two = service_fn(move |call: StepCall<u32>| {
        let (counter, payments) = (counter.clone(), payments.clone());
        async move {
            let (_, cents) = call.into_parts();
            counter.fetch_add(cents, SeqCst);
            payments
                .run(|| async { Ok::<_, Reset>("never sent".to_owned()) })
                .await
        }
    });
    let (end, log) = pay(two, once()).await;
    assert!(end.unwrap_err().contains("may have been applied"));
    assert_eq!(applied.load(SeqCst), 7);
    assert_eq!(log, ["undo 7 Unknown"]);
}

fn declined() -> Failure {
    Failure::refused("card declined")
}

#[tokio::test(start_paused = true)]
async fn a_business_no_behind_a_guard_is_clean() {
    let calls = Arc::default();
    let retry = Retry::attempts(3).build().unwrap();
    let limit = Timeout::after(Duration::from_secs(1)).build().unwrap();
    let guard = Pipeline::builder("payments")
        .with(&limit)
        .with(&retry)
        .classify_with(|r: &Result<String, Failure>| {
            r.as_ref().map_or_else(Failure::class, |_| Class::Success)
        })
        .build()
        .unwrap();
    let no = scripted(&calls, vec![Err(declined())]);
    let service = ServiceBuilder::new().layer(guard.layer()).service(no);
    let (end, log) = pay(service, StepRetry::attempts(5)).await;
    let why = "the saga was undone: step `charge` was refused: card declined";
    assert_eq!(end.unwrap_err(), why);
    assert_eq!(calls.load(SeqCst), 1);
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_business_no_after_a_lost_answer_of_the_same_call_is_not_clean() {
    let calls = Arc::default();
    let retry = Retry::attempts(2).build().unwrap();
    let answers = vec![Err(Failure::unknown("reset")), Err(declined())];
    let service = ServiceBuilder::new()
        .layer(retry.layer())
        .service(scripted(&calls, answers));
    let (end, log) = pay(service, once()).await;
    assert!(end.unwrap_err().contains("may have been applied"));
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(log, ["undo 7 Unknown"]);
}

#[tokio::test(start_paused = true)]
async fn any_other_error_is_of_unknown_effect_and_verify_is_asked() {
    let calls = Arc::default();
    let lost = scripted(&calls, vec![Err(Reset)]);
    let (end, log) = pay(lost.clone(), once()).await;
    assert!(end.unwrap_err().contains("may have been applied: reset"));
    assert_eq!(log, ["undo 7 Unknown"]);

    let mut b = Engine::builder((), MemoryStore::new());
    let undo = async |_: Arc<()>, _: StepContext, _: u32, _: Outcome<String>| Ok(());
    let find = async |_: Arc<()>, cx: StepContext, _: u32| {
        Verdict::Applied(format!("found {}", cx.attempt()))
    };
    let charge = b.service("charge", lost, undo).verify(find);
    let charge = charge.on_unknown(OnUnknown::Park).register();
    let pay = b.saga("pay", move |saga: Flow, cents: u32| async move {
        Ok::<_, Abort>(saga.call(charge, cents).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(pay, "k", 7).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), "found 1");
}

/// Fails to become ready so many times; has to be readied before each call.
#[derive(Clone)]
struct Strict {
    unready: Arc<AtomicU32>,
    readied: bool,
}

impl Service<StepCall<u32>> for Strict {
    type Response = String;
    type Error = io::Error;
    type Future = std::future::Ready<Result<String, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        let less = |n: u32| n.checked_sub(1);
        let failing = self.unready.fetch_update(SeqCst, SeqCst, less).is_ok();
        self.readied = !failing;
        Poll::Ready(match failing {
            true => Err(io::Error::other("no connection")),
            false => Ok(()),
        })
    }

    fn call(&mut self, call: StepCall<u32>) -> Self::Future {
        assert!(std::mem::take(&mut self.readied), "not readied");
        let attempt = call.context().attempt();
        std::future::ready(Ok(format!("attempt {attempt}")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready_was_not_called() {
    let strict = |failures| Strict {
        unready: Arc::new(AtomicU32::new(failures)),
        readied: false,
    };
    let (end, _) = pay(strict(2), StepRetry::attempts(3)).await;
    assert_eq!(end.unwrap(), "attempt 3");
    let (end, log) = pay(strict(9), StepRetry::attempts(3)).await;
    let why = "the saga was undone: step `charge` was refused: no connection";
    assert_eq!(end.unwrap_err(), why);
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_attempt_sends_the_same_key_as_a_header() {
    let seen = Log::default();
    let log = seen.clone();
    let client = service_fn(move |request: http::Request<u32>| {
        let log = log.clone();
        async move {
            let key = request.headers()["idempotency-key"].to_str().unwrap();
            log.lock().unwrap().push(key.to_owned());
            match log.lock().unwrap().len() {
                1 => Err(io::Error::other("reset")),
                2 => Ok(http::Response::builder().status(503).body(String::new())),
                _ => Ok(http::Response::builder().body(format!("paid {}", request.body()))),
            }
        }
    });
    let retry = Retry::attempts(3).build().unwrap();
    let guard = Pipeline::builder("payments")
        .with(&retry)
        .classify(seawall::dialect::Http)
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .map_response(|answer: http::Response<String>| answer.into_body())
        .layer(guard.layer())
        .map_request(|call: StepCall<u32>| call.into_http(http::Request::new))
        .map_result(|answer: io::Result<http::Result<_>>| answer?.map_err(io::Error::other))
        .service(client);
    let (end, _) = pay(service, once()).await;
    assert_eq!(end.unwrap(), "paid 7");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|key| *key == seen[0] && key.len() > 32));
}
