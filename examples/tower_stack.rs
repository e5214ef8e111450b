//! Seawall's layers among tower's own, on both sides of a service.
//!
//! Run it with `cargo run --example tower_stack`; it ends by itself and exits with 1 if anything
//! went otherwise than it says. No network: the services are functions.
use seawall::retry::Backoff;
use seawall::service::respond_with;
use seawall::{Bulkhead, Event, Name, Pipeline, Retry, Timeout};
use std::io::{Error as IoError, ErrorKind::ConnectionReset};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    client_side().await?;
    server_side().await
}

/// A caller's stack: one pipeline as one layer, between layers of tower's own.
async fn client_side() -> Result<(), BoxError> {
    let attempts = Arc::new(AtomicU32::new(0));
    let count = attempts.clone();
    let flaky = service_fn(move |name: String| {
        let attempt = count.fetch_add(1, SeqCst);
        async move {
            if attempt < 2 {
                return Err(IoError::from(ConnectionReset));
            }
            Ok(format!("hello, {name}"))
        }
    });
    let guard = Pipeline::builder("greeter")
        .with(Timeout::after(Duration::from_secs(1)).name("greeter-total"))
        .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(10))))
        .with(Bulkhead::new(8))
        .observer(tell)
        .build()?;
    for advice in guard.advice() {
        println!("advice: {advice}");
    }
    let mut greeter = ServiceBuilder::new()
        .map_request(|name: &str| name.to_uppercase()) // once per call
        .layer(guard.layer()) // each attempt sends a clone of the request
        .concurrency_limit(1) // per attempt; its readiness is waited for inside the timeouts
        .service(flaky);

    println!("a service whose connection is reset twice, behind a pipeline:");
    let answer = greeter.ready().await?.call("world").await?;
    println!("  {answer}");
    expect("the greeting came", answer == "hello, WORLD")?;
    expect("it took three attempts", attempts.load(SeqCst) == 3)?;
    Ok(())
}

/// A server's stack: a single policy as a layer, whose refusals become answers.
async fn server_side() -> Result<(), BoxError> {
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = service_fn(move |page: u32| {
        let mut released = released.clone();
        async move {
            let _ = released.wait_for(|released| *released).await;
            Ok::<_, std::convert::Infallible>(format!("200: page {page}"))
        }
    });
    let permits = Bulkhead::new(2).build()?;
    let server = ServiceBuilder::new()
        .layer(respond_with(|refusal| format!("503: {refusal}")))
        .layer(permits.layer())
        .service(slow);

    println!("three calls at once into a server with two permits:");
    let (first, second, third) = tokio::join!(
        server.clone().oneshot(1),
        server.clone().oneshot(2),
        async {
            let refused = server.clone().oneshot(3).await;
            release.send_replace(true); // the two others may end
            refused
        }
    );
    let answers = [first?, second?, third?];
    for answer in &answers {
        println!("  {answer}");
    }
    expect(
        "two were served",
        answers.iter().filter(|a| a.starts_with("200")).count() == 2,
    )?;
    expect(
        "one was refused at once, as an answer",
        answers[2].starts_with("503"),
    )?;
    let again = server.oneshot(4).await?;
    expect("the permits are back", again.starts_with("200"))
}

fn tell(_: Name, event: &Event<'_>) {
    match event {
        Event::AttemptEnded { attempt, class, .. } => println!("  attempt {attempt}: {class:?}"),
        Event::RetryScheduled { after, .. } => println!("  again in {after:.0?}"),
        _ => {}
    }
}

fn expect(what: &str, holds: bool) -> Result<(), BoxError> {
    println!("  {} {what}", if holds { "ok:" } else { "NOT:" });
    if holds { Ok(()) } else { Err(what.into()) }
}
