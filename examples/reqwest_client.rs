//! A reqwest client that lives through a shop on a bad day.
//!
//! The shop is a server of this program's own, on a loopback port, which fails on purpose. Run it
//! with `cargo run --example reqwest_client`; it ends by itself and exits with 1 if anything went
//! otherwise than it says.
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use seawall::dialect::Http;
use seawall::retry::Backoff;
use seawall::{CircuitBreaker, Event, Name, Pipeline, Retry, Timeout};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};
use tower::{ServiceBuilder, ServiceExt};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let requests = Arc::new(AtomicU32::new(0));
    let shop = open_shop(requests.clone()).await?;

    // The five lines.
    let guard = Pipeline::builder("shop")
        .with(Timeout::after(Duration::from_secs(2)).name("shop-total"))
        .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(20)).jitter()))
        .with(CircuitBreaker::new("shop").consecutive_failures(6))
        .with(Timeout::after(Duration::from_millis(250)).name("shop-attempt"))
        .classify(Http)
        .observer(tell)
        .build()?;
    let client = ServiceBuilder::new()
        .layer(guard.layer_with(reqwest::Request::try_clone))
        .service(reqwest::Client::new());

    println!("GET /catalog, which fails twice:");
    let answer = client
        .clone()
        .oneshot(request("GET", &shop, "catalog")?)
        .await?;
    expect("the catalog came at last", answer.status() == 200)?;
    expect("it took three attempts", requests.swap(0, SeqCst) == 3)?;

    println!("POST /orders, which does its work and then answers 500:");
    let answer = client
        .clone()
        .oneshot(request("POST", &shop, "orders")?)
        .await?;
    expect("the 500 came back", answer.status() == 500)?;
    expect(
        "it was sent once: nobody orders twice",
        requests.swap(0, SeqCst) == 1,
    )?;

    println!("POST /orders with an Idempotency-Key:");
    let mut keyed = request("POST", &shop, "orders")?;
    keyed
        .headers_mut()
        .insert("idempotency-key", "order-7".parse()?);
    client.clone().oneshot(keyed).await?;
    expect("it was sent three times", requests.swap(0, SeqCst) == 3)?;

    println!("GET /slow, which never answers:");
    let refused = client.clone().oneshot(request("GET", &shop, "slow")?).await;
    let refused = refused.err().ok_or("an answer from /slow")?;
    println!("  {refused}");
    let sent = requests.swap(0, SeqCst);
    expect(
        "with six failures in a row, the breaker let no third through",
        sent == 2,
    )?;

    println!("GET /catalog, with the breaker open:");
    let refused = client.oneshot(request("GET", &shop, "catalog")?).await;
    let refused = refused.err().ok_or("an answer through an open breaker")?;
    println!("  {refused}");
    let never_sent = refused.rejected().is_some_and(|r| r.never_sent());
    expect(
        "the shop was left alone",
        never_sent && requests.load(SeqCst) == 0,
    )?;
    Ok(())
}

fn request(method: &str, shop: &str, path: &str) -> Result<reqwest::Request, BoxError> {
    let url = format!("{shop}/{path}").parse()?;
    Ok(reqwest::Request::new(method.parse()?, url))
}

fn tell(_: Name, event: &Event<'_>) {
    match event {
        Event::AttemptEnded { attempt, class, .. } => println!("  attempt {attempt}: {class:?}"),
        Event::TimedOut { policy, .. } => println!("  cut off by {policy:?}"),
        Event::RetryScheduled { after, .. } => println!("  again in {after:.0?}"),
        Event::StateChanged { from, to, .. } => println!("  the breaker: {from:?} to {to:?}"),
        _ => {}
    }
}

fn expect(what: &str, holds: bool) -> Result<(), BoxError> {
    println!("  {} {what}", if holds { "ok:" } else { "NOT:" });
    if holds { Ok(()) } else { Err(what.into()) }
}

async fn open_shop(requests: Arc<AtomicU32>) -> Result<String, BoxError> {
    let app = Router::new()
        .route("/catalog", get(catalog))
        .route("/orders", get(orders).post(orders))
        .route("/slow", get(slow))
        .with_state(requests);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let shop = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(shop)
}

async fn catalog(State(requests): State<Arc<AtomicU32>>) -> impl IntoResponse {
    match requests.fetch_add(1, SeqCst) {
        0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

async fn orders(State(requests): State<Arc<AtomicU32>>) -> impl IntoResponse {
    requests.fetch_add(1, SeqCst);
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn slow(State(requests): State<Arc<AtomicU32>>) -> StatusCode {
    requests.fetch_add(1, SeqCst);
    std::future::pending().await
}
