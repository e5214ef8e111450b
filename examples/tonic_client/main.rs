//! A generated gRPC client, guarded in both ways, against a server that fails on purpose.
//!
//! Run it with `cargo run --example tonic_client`; it ends by itself and exits with 1 if anything
//! went otherwise than it says. `generated.rs` is made from `stock.proto` and kept up to date by a
//! test, so neither a build script nor `protoc` is needed.
use generated::stock_client::StockClient;
use generated::stock_server::{Stock, StockServer};
use generated::{LevelReply, LevelRequest};
use seawall::dialect::Grpc;
use seawall::retry::Backoff;
use seawall::{Bulkhead, Event, Name, Pipeline, Rejected, Retry, Timeout};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;

#[rustfmt::skip] // as the generator wrote it
#[allow(unreachable_pub)]
mod generated;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let calls = Arc::new(AtomicU32::new(0));
    let channel = open_warehouse(calls.clone()).await?;

    // The closure form: each attempt makes the call anew.
    let guard = Pipeline::builder("stock")
        .with(Timeout::after(Duration::from_secs(2)).name("stock-total"))
        .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(20)).jitter()))
        .with(Timeout::after(Duration::from_millis(250)).name("stock-attempt"))
        .classify(Grpc)
        .error::<Status>()
        .observer(tell)
        .build()?;
    let client = StockClient::new(channel.clone());
    let level = async |product: &str| {
        let call = || {
            let (mut client, request) = (client.clone(), of(product));
            async move { client.level(request).await }
        };
        guard.run(call).await.map(|reply| reply.into_inner().units)
    };

    println!("apples, while the server restarts (UNAVAILABLE twice):");
    expect("seven are there", level("apples").await? == 7)?;
    expect("it took three calls", calls.swap(0, SeqCst) == 3)?;

    println!("pears, with a server that asks for 30 ms of peace:");
    expect("seven are there", level("pears").await? == 7)?;
    expect("it took two calls", calls.swap(0, SeqCst) == 2)?;

    println!("unicorns, which are no product:");
    let status = level("unicorns").await.err().ok_or("unicorns")?;
    println!("  {status}");
    expect("asking again would not help", calls.swap(0, SeqCst) == 1)?;

    println!("snails, for which no answer comes:");
    let status = level("snails").await.err().ok_or("snails")?;
    println!("  {:?}: {}", status.code(), status.message());
    expect("the code says so", status.code() == Code::DeadlineExceeded)?;
    expect("it was asked three times", calls.swap(0, SeqCst) == 3)?;

    // Around the channel: every call of the client is guarded, and sent once.
    let guard = Pipeline::builder("stock")
        .with(Bulkhead::new(1))
        .with(Timeout::after(Duration::from_millis(250)).name("stock-call"))
        .classify(Grpc)
        .build()?;
    let guarded = ServiceBuilder::new()
        .layer(guard.layer_channel()?)
        .service(channel);
    let (mut first, mut second) = (StockClient::new(guarded.clone()), StockClient::new(guarded));

    println!("two calls at once through a guarded channel with one permit:");
    let (stuck, refused) = tokio::join!(first.level(of("snails")), second.level(of("apples")));
    for status in [stuck.err().ok_or("snails")?, refused.err().ok_or("apples")?] {
        println!("  {:?}: {}", status.code(), status.message());
        let refusal = status.source().and_then(|s| s.downcast_ref::<Rejected>());
        expect("the refusal is its source", refusal.is_some())?;
    }
    expect("one of them was sent", calls.load(SeqCst) == 1)
}

fn of(product: &str) -> LevelRequest {
    let product = product.into();
    LevelRequest { product }
}

fn tell(_: Name, event: &Event<'_>) {
    match event {
        Event::AttemptEnded { attempt, class, .. } => println!("  attempt {attempt}: {class:?}"),
        Event::TimedOut { policy, .. } => println!("  cut off by {policy:?}"),
        Event::RetryScheduled { after, .. } => println!("  again in {after:.0?}"),
        _ => {}
    }
}

fn expect(what: &str, holds: bool) -> Result<(), BoxError> {
    println!("  {} {what}", if holds { "ok:" } else { "NOT:" });
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Counts its calls; the first ones fail.
struct Warehouse(Arc<AtomicU32>);

#[tonic::async_trait]
impl Stock for Warehouse {
    async fn level(&self, request: Request<LevelRequest>) -> Result<Response<LevelReply>, Status> {
        match (
            request.get_ref().product.as_str(),
            self.0.fetch_add(1, SeqCst),
        ) {
            ("apples", 0 | 1) => Err(Status::unavailable("restarting")),
            ("pears", 0) => {
                let mut busy = Status::resource_exhausted("one at a time, please");
                busy.metadata_mut()
                    .insert("grpc-retry-pushback-ms", 30.into());
                Err(busy)
            }
            ("apples" | "pears", _) => Ok(Response::new(LevelReply { units: 7 })),
            ("snails", _) => std::future::pending().await,
            (other, _) => Err(Status::not_found(format!("no product `{other}`"))),
        }
    }
}

async fn open_warehouse(calls: Arc<AtomicU32>) -> Result<Channel, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = Server::builder().add_service(StockServer::new(Warehouse(calls)));
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(Channel::from_shared(url)?.connect_lazy())
}
