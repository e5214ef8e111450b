//! An axum server under the layer, and its client.
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use reqwest::{Method, StatusCode};
use seawall::saga::idempotency::{IdempotencyConfig, IdempotencyLayer};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

/// The service: what its requests ask for is in their bodies.
#[derive(Clone)]
pub struct Service {
    pub hits: Arc<AtomicU32>,
    pub started: mpsc::UnboundedSender<()>,
    pub ended: mpsc::UnboundedSender<()>,
    /// What waits is let go by a permit.
    pub gate: Arc<Semaphore>,
}

pub async fn handle(State(service): State<Service>, request: Request) -> Response {
    let n = service.hits.fetch_add(1, SeqCst) + 1;
    let _ = service.started.send(());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20)
        .await
        .unwrap();
    let asked = std::str::from_utf8(&body).unwrap();
    let answer = match asked {
        "no" => (StatusCode::CONFLICT, "no").into_response(),
        "stranger" => StatusCode::UNAUTHORIZED.into_response(),
        "busy" => StatusCode::TOO_MANY_REQUESTS.into_response(),
        "fail" => StatusCode::BAD_GATEWAY.into_response(),
        "panic" => panic!("on purpose"),
        "long" => "x".repeat(LIMIT + 1).into_response(),
        "torn" => torn().into_response(),
        "wait" => {
            service.gate.acquire().await.unwrap().forget();
            "waited".into_response()
        }
        _ => {
            let headers = [
                ("location", format!("/charges/{n}")),
                ("x-n", n.to_string()),
            ];
            (StatusCode::CREATED, headers, format!("done {asked:.20}")).into_response()
        }
    };
    let _ = service.ended.send(());
    answer
}

/// A body that breaks off.
pub fn torn() -> Body {
    struct Torn;
    impl http_body::Body for Torn {
        type Data = axum::body::Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
        }
    }
    Body::new(Torn)
}

pub const LIMIT: usize = 1_000;

/// A served layer, and its client.
pub struct Site {
    pub service: Service,
    pub started: mpsc::UnboundedReceiver<()>,
    pub ended: mpsc::UnboundedReceiver<()>,
    pub layer: IdempotencyLayer,
    pub url: String,
    pub http: reqwest::Client,
    pub folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn is_replayed(&self) -> bool {
        self.headers
            .get("idempotency-replayed")
            .is_some_and(|v| v == "true")
    }

    /// The detail of a problem of the layer's own.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        let status = StatusCode::from_u16(self.status).unwrap();
        assert_eq!(problem["title"], status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

pub fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("keys.db")
}

impl Site {
    pub async fn start() -> Site {
        Site::with(|config| config).await
    }

    pub async fn with(set: impl FnOnce(IdempotencyConfig) -> IdempotencyConfig) -> Site {
        Site::on(tempfile::tempdir().unwrap(), set).await
    }

    pub async fn on(
        folder: TempDir,
        set: impl FnOnce(IdempotencyConfig) -> IdempotencyConfig,
    ) -> Site {
        let config = IdempotencyLayer::new(file(&folder)).body_limit(LIMIT);
        let layer = set(config).build().unwrap();
        let (started, starts) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let service = Service {
            hits: Arc::default(),
            started,
            ended,
            gate: Arc::new(Semaphore::new(0)),
        };
        let app = Router::new()
            .fallback(any(handle))
            .with_state(service.clone())
            .layer(layer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Site {
            service,
            started: starts,
            ended: ends,
            layer,
            url,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            folder,
        }
    }

    pub fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .timeout(Duration::from_secs(60))
            .body(body.to_owned())
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        read(self.request(method, path, headers, body))
            .await
            .unwrap()
    }

    pub async fn post(&self, key: &str, body: &str) -> Answer {
        self.ask(Method::POST, "/charges", &[("idempotency-key", key)], body)
            .await
    }

    /// Sends it and waits until the handler has it in hand.
    pub async fn begin(&mut self, key: &str) -> tokio::task::JoinHandle<reqwest::Result<Answer>> {
        while self.started.try_recv().is_ok() {}
        let sent = read(self.request(
            Method::POST,
            "/charges",
            &[("idempotency-key", key)],
            "wait",
        ));
        let sent = tokio::spawn(sent);
        self.started.recv().await.unwrap();
        sent
    }

    /// So many of the same at a time.
    pub async fn many(&self, count: u32, key: &str, body: &str) -> Vec<Answer> {
        let key = [("idempotency-key", key)];
        let sent = (0..count).map(|_| read(self.request(Method::POST, "/charges", &key, body)));
        let answers = sent.collect::<tokio::task::JoinSet<_>>().join_all().await;
        answers.into_iter().map(Result::unwrap).collect()
    }

    pub fn open_gate(&self) {
        self.service.gate.add_permits(1);
    }

    pub fn hits(&self) -> u32 {
        self.service.hits.load(SeqCst)
    }
}

pub async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}
