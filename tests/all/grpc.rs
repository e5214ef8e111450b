//! `dialect::Grpc` where users have it: generated clients and a server on a real socket.
use crate::support::{Heard, Ledger, MS, Refuse};
use seawall::dialect::Grpc;
use seawall::retry::Backoff;
use seawall::{CircuitBreaker, Pipeline, Reason, Rejected, Retry, Timeout};
use std::error::Error as _;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;

#[rustfmt::skip]
#[allow(unreachable_pub)]
#[path = "../../examples/tonic_client/generated.rs"]
mod generated;
use generated::stock_client::StockClient;
use generated::stock_server::{Stock, StockServer};
use generated::{LevelReply, LevelRequest};

/// The answer to the n-th request; `None`: never any.
type Answer = fn(u32) -> Option<Result<u32, Status>>;

/// Answers its n-th request, counted from 0.
struct Script {
    hits: Arc<AtomicU32>,
    answer: Answer,
}

#[tonic::async_trait]
impl Stock for Script {
    async fn level(&self, _: Request<LevelRequest>) -> Result<Response<LevelReply>, Status> {
        match (self.answer)(self.hits.fetch_add(1, SeqCst)) {
            Some(answer) => answer.map(|units| Response::new(LevelReply { units })),
            None => std::future::pending().await,
        }
    }
}

async fn server(answer: Answer) -> (Channel, Arc<AtomicU32>) {
    let (url, hits) = serve(answer).await;
    (Channel::from_shared(url).unwrap().connect_lazy(), hits)
}

async fn serve(answer: Answer) -> (String, Arc<AtomicU32>) {
    let hits = Arc::new(AtomicU32::new(0));
    let stock = StockServer::new(Script {
        hits: hits.clone(),
        answer,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = Server::builder().add_service(stock);
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
    (url, hits)
}

fn apples() -> LevelRequest {
    LevelRequest {
        product: "apples".into(),
    }
}

fn three_attempts() -> seawall::pipeline::Builder<Grpc> {
    Pipeline::builder("stock")
        .with(Retry::attempts(3).backoff(Backoff::none()))
        .classify(Grpc)
}

/// In the closure form, with three attempts.
async fn ask(channel: Channel) -> Result<u32, Status> {
    let client = StockClient::new(channel);
    let guard = three_attempts().error::<Status>().build().unwrap();
    let reply = guard
        .run(|| {
            let mut client = client.clone();
            async move { client.level(apples()).await }
        })
        .await?;
    Ok(reply.into_inner().units)
}

#[tokio::test]
async fn an_unavailable_server_is_asked_again() {
    let flaky = |n| {
        Some(if n < 2 {
            Err(Status::unavailable(""))
        } else {
            Ok(7)
        })
    };
    let (channel, hits) = server(flaky).await;
    assert_eq!(ask(channel).await.unwrap(), 7);
    assert_eq!(hits.load(SeqCst), 3);
}

#[tokio::test]
async fn codes_that_do_not_ask_to_be_tried_again_are_not() {
    let codes: [Answer; 4] = [
        |_| Some(Err(Status::internal(""))),
        |_| Some(Err(Status::not_found(""))),
        |_| Some(Err(Status::deadline_exceeded(""))),
        |_| Some(Err(Status::cancelled(""))),
    ];
    for answer in codes {
        let (channel, hits) = server(answer).await;
        ask(channel).await.unwrap_err();
        assert_eq!(hits.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn pushback_is_heard_over_the_wire() {
    let stop = |_| {
        let mut status = Status::unavailable("");
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", (-1).into());
        Some(Err(status))
    };
    let (channel, hits) = server(stop).await;
    assert_eq!(ask(channel).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(hits.load(SeqCst), 1);

    let (channel, hits) = server(|n| match n {
        0 => {
            let mut status = Status::resource_exhausted("");
            status
                .metadata_mut()
                .insert("grpc-retry-pushback-ms", 3.into());
            Some(Err(status))
        }
        _ => Some(Ok(1)),
    })
    .await;
    let heard = Heard::default();
    let guard = three_attempts().observer(heard.observer()).build().unwrap();
    let client = StockClient::new(channel);
    let call = || {
        let mut client = client.clone();
        async move { client.level(apples()).await }
    };
    guard.run(call).await.unwrap();
    assert_eq!(hits.load(SeqCst), 2);
    assert_eq!(heard.count("Pushback(Some(3ms))"), 1);
    assert_eq!(heard.count("after: 3ms"), 1);
}

#[tokio::test]
async fn a_guarded_channel_serves_a_generated_client() {
    let (channel, hits) = server(|n| {
        Some(if n == 0 {
            Ok(3)
        } else {
            Err(Status::internal("x"))
        })
    })
    .await;
    let ledger = Ledger::new();
    let guard = Pipeline::builder("stock")
        .with(ledger.at("policy"))
        .classify(Grpc)
        .build()
        .unwrap();
    let guarded = ServiceBuilder::new()
        .layer(guard.layer_channel().unwrap())
        .service(channel);
    let mut client = StockClient::new(guarded);
    assert_eq!(client.level(apples()).await.unwrap().into_inner().units, 3);
    let error = client.level(apples()).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, "x"));
    // Its status came in the headers, so the policies have heard of it.
    assert_eq!(ledger.nested(), ["policy: Success", "policy: Failed"]);
    assert_eq!(hits.load(SeqCst), 2);
}

async fn refused_by(reason: Reason) -> Status {
    let (channel, hits) = server(|_| Some(Ok(1))).await;
    let guard = Pipeline::builder("stock")
        .with(Refuse(reason))
        .classify(Grpc)
        .build()
        .unwrap();
    let guarded = ServiceBuilder::new()
        .layer(guard.layer_channel().unwrap())
        .service(channel);
    let status = StockClient::new(guarded).level(apples()).await.unwrap_err();
    assert_eq!(hits.load(SeqCst), 0);
    status
}

#[tokio::test]
async fn a_refusal_reaches_the_user_of_a_generated_client_with_its_own_code() {
    let status = refused_by(Reason::BulkheadFull).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "bulkhead `refuse` is full");
    let refusal = status.source().unwrap().downcast_ref::<Rejected>().unwrap();
    assert!(refusal.never_sent());

    let retry_after = 40 * MS;
    let status = refused_by(Reason::RateLimited { retry_after }).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "40"
    );
}

#[tokio::test]
async fn a_timeout_around_a_channel_is_a_deadline_exceeded() {
    let (channel, hits) = server(|_| None).await;
    let guard = Pipeline::builder("stock")
        .with(Timeout::after(200 * MS).name("stock-call"))
        .classify(Grpc)
        .build()
        .unwrap();
    let guarded = ServiceBuilder::new()
        .layer(guard.layer_channel().unwrap())
        .service(channel);
    let status = StockClient::new(guarded).level(apples()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.message(),
        "timeout `stock-call` ended the call after 200ms (1 attempt had been sent)"
    );
    assert_eq!(hits.load(SeqCst), 1);
}

/// Whether a breaker that two failures open is open after two calls. They fail with these words.
async fn opens_a_breaker(channel: Endpoint, with: &str) -> bool {
    let client = StockClient::new(channel.connect_lazy());
    let guard = Pipeline::builder("stock")
        .with(CircuitBreaker::new("stock").consecutive_failures(2))
        .classify(Grpc)
        .build()
        .unwrap();
    let call = || {
        let mut client = client.clone();
        async move { client.level(apples()).await }
    };
    for _ in 0..2 {
        let error = guard.run(call).await.unwrap_err().into_inner().unwrap();
        assert_eq!((error.code(), error.message()), (Code::Cancelled, with));
    }
    let third = guard.run(call).await.unwrap_err();
    matches!(
        third.rejected().map(|r| r.reason),
        Some(Reason::CircuitOpen { .. })
    )
}

#[tokio::test]
async fn a_server_that_hangs_opens_the_breaker_also_where_tonics_own_timeout_ends_the_wait() {
    let (url, hits) = serve(|_| None).await;
    let channel = Channel::from_shared(url).unwrap().timeout(50 * MS);
    assert!(opens_a_breaker(channel, "Timeout expired").await);
    assert_eq!(hits.load(SeqCst), 2);
}

/// As a balancer does that has nobody behind it.
#[tokio::test]
async fn a_server_that_hangs_up_at_once_opens_the_breaker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let channel = Channel::from_shared(url).unwrap();
    assert!(opens_a_breaker(channel, "operation was canceled").await);
}

#[tokio::test]
async fn an_error_of_the_channel_stays_what_tonic_makes_of_it() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let ledger = Ledger::new();
    let guard = Pipeline::builder("stock")
        .with(ledger.at("policy"))
        .classify(Grpc)
        .build()
        .unwrap();
    let channel = Channel::from_shared(url).unwrap().connect_lazy();
    let guarded = ServiceBuilder::new()
        .layer(guard.layer_channel().unwrap())
        .service(channel);
    let status = StockClient::new(guarded).level(apples()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(ledger.nested(), ["policy: Failed"]);
}

#[test]
fn a_channel_takes_no_policy_that_repeats() {
    let error = three_attempts()
        .build()
        .unwrap()
        .layer_channel()
        .unwrap_err();
    assert_eq!(error.problems()[0].field, "layer_once");
}
