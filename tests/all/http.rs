//! `dialect::Http` where users have it: reqwest clients and axum servers on real sockets.
use crate::support::{Heard, Ledger, MS, Refuse, S};
use axum::{Router, extract::Request, response::IntoResponse, routing::any};
use reqwest::{Method, StatusCode, header::HeaderMap};
use seawall::dialect::Http;
use seawall::event::GaveUp;
use seawall::retry::Backoff;
use seawall::service::respond_with;
use seawall::{Bulkhead, Error, Event, Name, Pipeline, Reason, Rejected, Retry, Timeout};
use std::net::SocketAddr;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

/// Answers its n-th request, counted from 0, with `answer(n)`.
async fn server<A: IntoResponse + 'static>(answer: fn(u32) -> A) -> (SocketAddr, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let hits = count.clone();
    let answer = any(move |_: Request| async move { answer(hits.fetch_add(1, SeqCst)) });
    (serve(Router::new().fallback(answer)).await, count)
}

/// Reads a request and closes the connection without a word.
async fn cutting_server() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let hits = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            if socket.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {
                hits.fetch_add(1, SeqCst);
            }
        }
    });
    (at, count)
}

fn request(method: Method, at: SocketAddr) -> reqwest::Request {
    let mut request = reqwest::Request::new(method, format!("http://{at}/").parse().unwrap());
    *request.body_mut() = Some("an order".into());
    request
}

fn keyed(at: SocketAddr) -> reqwest::Request {
    let mut request = request(Method::POST, at);
    let key = "7f3a".parse().unwrap();
    request.headers_mut().insert("idempotency-key", key);
    request
}

type Answer = Result<reqwest::Response, Error<reqwest::Error>>;

fn three_attempts() -> seawall::pipeline::Builder<Http> {
    Pipeline::builder("shop")
        .with(Retry::attempts(3).backoff(Backoff::none()))
        .classify(Http)
}

async fn send(guard: &Pipeline<Http>, request: reqwest::Request) -> Answer {
    let client = ServiceBuilder::new()
        .layer(guard.layer_with(reqwest::Request::try_clone))
        .service(reqwest::Client::new());
    client.oneshot(request).await
}

async fn send_thrice(request: reqwest::Request) -> Answer {
    send(&three_attempts().build().unwrap(), request).await
}

#[tokio::test]
async fn a_flaky_server_is_asked_again() {
    let flaky = |n| {
        if n < 2 {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::OK
        }
    };
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let (at, hits) = server(flaky).await;
        let answer = send_thrice(request(method, at)).await.unwrap();
        assert_eq!((answer.status(), hits.load(SeqCst)), (StatusCode::OK, 3));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_failure_is_not_asked_for_again() {
    let (at, hits) = server(|_| StatusCode::NOT_FOUND).await;
    let answer = send_thrice(request(Method::GET, at)).await.unwrap();
    assert_eq!(
        (answer.status(), hits.load(SeqCst)),
        (StatusCode::NOT_FOUND, 1)
    );
}

#[tokio::test]
async fn a_post_is_not_repeated_after_a_500() {
    let (at, hits) = server(|_| StatusCode::INTERNAL_SERVER_ERROR).await;
    let answer = send_thrice(request(Method::POST, at)).await.unwrap();
    assert_eq!((answer.status().as_u16(), hits.load(SeqCst)), (500, 1));
    let answer = send_thrice(request(Method::PATCH, at)).await.unwrap();
    assert_eq!((answer.status().as_u16(), hits.load(SeqCst)), (500, 2));
}

#[tokio::test]
async fn a_post_with_an_idempotency_key_is_repeated() {
    let flaky = |n| {
        if n < 2 {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::CREATED
        }
    };
    let (at, hits) = server(flaky).await;
    let answer = send_thrice(keyed(at)).await.unwrap();
    assert_eq!(
        (answer.status(), hits.load(SeqCst)),
        (StatusCode::CREATED, 3)
    );
}

#[tokio::test]
async fn a_post_that_was_turned_away_is_repeated() {
    let busy = |n| {
        if n < 1 {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            StatusCode::CREATED
        }
    };
    let (at, hits) = server(busy).await;
    let answer = send_thrice(request(Method::POST, at)).await.unwrap();
    assert_eq!(
        (answer.status(), hits.load(SeqCst)),
        (StatusCode::CREATED, 2)
    );
}

#[tokio::test]
async fn a_connection_cut_after_the_request_is_repeated_unless_it_was_a_post() {
    let (at, hits) = cutting_server().await;
    let error = send_thrice(request(Method::GET, at)).await.unwrap_err();
    assert!(!error.inner().unwrap().is_connect());
    assert_eq!(hits.swap(0, SeqCst), 3);
    send_thrice(request(Method::POST, at)).await.unwrap_err();
    assert_eq!(hits.load(SeqCst), 1);
}

#[tokio::test]
async fn a_post_that_a_timeout_cut_is_not_repeated() {
    let hits = Arc::new(AtomicU32::new(0));
    let seen = hits.clone();
    let stuck = any(move |_: Request| {
        seen.fetch_add(1, SeqCst);
        std::future::pending::<StatusCode>()
    });
    let at = serve(Router::new().fallback(stuck)).await;
    let guard = Pipeline::builder("shop")
        .with(Retry::attempts(3).backoff(Backoff::none()))
        .with(Timeout::after(200 * MS).name("attempt"))
        .classify(Http)
        .build()
        .unwrap();
    let error = send(&guard, request(Method::POST, at)).await.unwrap_err();
    assert!(error.rejected().unwrap().is_timeout());
    assert_eq!(
        (error.rejected().unwrap().started, hits.load(SeqCst)),
        (1, 1)
    );
    let error = send(&guard, keyed(at)).await.unwrap_err();
    assert_eq!(
        (error.rejected().unwrap().started, hits.load(SeqCst)),
        (3, 4)
    );
}

#[tokio::test]
async fn a_post_that_found_nobody_is_repeated_and_reaches_who_has_come_meanwhile() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let guard = three_attempts()
        .observer(move |_: Name, event: &Event<'_>| {
            if let Event::RetryScheduled { .. } = event {
                let listener = std::net::TcpListener::bind(at).unwrap();
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                let app = Router::new().fallback(any(async || "at last"));
                tokio::spawn(async move { axum::serve(listener, app).await });
            }
        })
        .build()
        .unwrap();
    let answer = send(&guard, request(Method::POST, at)).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "at last");
}

fn pausing(status: StatusCode, pause: impl ToString) -> impl IntoResponse {
    (status, [("retry-after", pause.to_string())])
}

/// The pause before the second attempt. It is not sat through.
async fn pause_after(at: SocketAddr) -> Duration {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let guard = three_attempts()
        .observer(move |_: Name, event: &Event<'_>| {
            if let Event::RetryScheduled { after, .. } = event {
                let _ = tell.send(*after);
            }
        })
        .build()
        .unwrap();
    tokio::select! {
        biased;
        after = told.recv() => after.unwrap(),
        answer = send(&guard, request(Method::GET, at)) => panic!("no pause: {answer:?}"),
    }
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds() {
    let (at, _) = server(|_| pausing(StatusCode::TOO_MANY_REQUESTS, 7)).await;
    assert_eq!(pause_after(at).await, 7 * S);
    let (at, _) = server(|_| pausing(StatusCode::SERVICE_UNAVAILABLE, 9)).await;
    assert_eq!(pause_after(at).await, 9 * S);
}

#[tokio::test]
async fn retry_after_is_honoured_as_a_date() {
    let (at, _) = server(|_| {
        #[allow(clippy::disallowed_methods)] // a server of its own has a clock of its own
        let soon = std::time::SystemTime::now() + 20 * S;
        pausing(
            StatusCode::SERVICE_UNAVAILABLE,
            httpdate::fmt_http_date(soon),
        )
    })
    .await;
    let pause = pause_after(at).await;
    assert!(pause > 15 * S && pause <= 20 * S, "{pause:?}");
}

#[tokio::test]
async fn retry_after_that_has_passed_or_belongs_to_another_status_is_no_pause() {
    const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (at, hits) = server(|_| pausing(StatusCode::SERVICE_UNAVAILABLE, PAST)).await;
    send_thrice(request(Method::GET, at)).await.unwrap();
    assert_eq!(hits.load(SeqCst), 3);
    let (at, hits) = server(|_| pausing(StatusCode::BAD_GATEWAY, 3600)).await;
    send_thrice(request(Method::GET, at)).await.unwrap();
    assert_eq!(hits.load(SeqCst), 3);
}

#[tokio::test]
async fn retry_after_beyond_the_deadline_gives_the_answer_back_at_once() {
    let (at, hits) = server(|_| pausing(StatusCode::TOO_MANY_REQUESTS, 30)).await;
    let heard = Heard::default();
    let guard = Pipeline::builder("shop")
        .with(Timeout::after(10 * S).name("total"))
        .with(Retry::attempts(3).backoff(Backoff::none()))
        .classify(Http)
        .observer(heard.observer())
        .build()
        .unwrap();
    let answer = send(&guard, request(Method::GET, at)).await.unwrap();
    assert_eq!((answer.status().as_u16(), hits.load(SeqCst)), (429, 1));
    assert_eq!(heard.count(&format!("{:?}", GaveUp::Deadline)), 1);
}

#[tokio::test]
async fn the_closure_form_is_the_callers_promise() {
    let flaky = |n| {
        if n < 1 {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::CREATED
        }
    };
    let (at, hits) = server(flaky).await;
    let client = reqwest::Client::new();
    let guard = three_attempts().build().unwrap();
    let post = || client.post(format!("http://{at}/")).send();
    assert_eq!(guard.run(post).await.unwrap().status(), 201);
    assert_eq!(hits.swap(0, SeqCst), 2);
    assert_eq!(guard.run_once(post).await.unwrap().status(), 502);
    assert_eq!(hits.load(SeqCst), 1);
}

#[tokio::test]
async fn policies_hear_of_a_failed_post_as_a_failure_that_is_not_repeated() {
    let (at, hits) = server(|_| StatusCode::INTERNAL_SERVER_ERROR).await;
    let ledger = Ledger::new();
    let guard = three_attempts().with(ledger.at("breaker")).build().unwrap();
    send(&guard, request(Method::POST, at)).await.unwrap();
    assert_eq!(ledger.nested(), ["breaker: Failed"]);
    assert_eq!(hits.load(SeqCst), 1);
}

async fn headers_of(at: SocketAddr) -> (StatusCode, HeaderMap) {
    let answer = reqwest::get(format!("http://{at}/")).await.unwrap();
    (answer.status(), answer.headers().clone())
}

#[tokio::test]
async fn a_servers_refusals_are_answers() {
    let full = Bulkhead::new(0).build().unwrap();
    let app = Router::new().fallback(any(async || "never")).layer(
        ServiceBuilder::new()
            .layer(respond_with(Rejected::into_response))
            .layer(full.layer()),
    );
    let (status, headers) = headers_of(serve(app).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!headers.contains_key("retry-after"));

    let limit = Timeout::after(20 * MS).build().unwrap().layer();
    let stuck = any(std::future::pending::<StatusCode>);
    let app = Router::new().fallback(stuck).layer(
        ServiceBuilder::new()
            .layer(respond_with(Rejected::into_response))
            .layer(limit),
    );
    let (status, _) = headers_of(serve(app).await).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);

    let spent = Reason::RateLimited {
        retry_after: 1_500 * MS,
    };
    let guard = Pipeline::builder("api")
        .with(Refuse(spent))
        .classify(Http)
        .build()
        .unwrap();
    let app = Router::new().fallback(any(async || "never")).layer(
        ServiceBuilder::new()
            .layer(respond_with(Rejected::into_response))
            .layer(guard.layer_once().unwrap()),
    );
    let (status, headers) = headers_of(serve(app).await).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "2");
}

#[tokio::test]
async fn a_body_that_cannot_be_copied_is_sent_once() {
    let (at, hits) = server(|_| StatusCode::BAD_GATEWAY).await;
    let guard = three_attempts().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(guard.layer_with(|_: &reqwest::Request| None))
        .service(reqwest::Client::new());
    let answer = client.oneshot(request(Method::PUT, at)).await.unwrap();
    assert_eq!((answer.status().as_u16(), hits.load(SeqCst)), (502, 1));
}
