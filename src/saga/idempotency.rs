//! The `Idempotency-Key` header around any HTTP service: what comes again is not done again.
//!
//! It is answered again, with the first answer.
//!
//! A client whose answer was lost can only send its request once more. [`IdempotencyLayer`] keeps,
//! in an SQLite file of its own, what each key was answered.
//!
//! # Sources
//! The IETF draft *The Idempotency-Key HTTP Header Field* (draft-ietf-httpapi-idempotency-key-header),
//! where that says anything. Answers of the layer itself are `application/problem+json` (RFC 9457).
//!
//! # What it cannot promise
//!
//! The layer and the handler commit apart. A process that dies between the two, or a disk that then
//! refuses the answer, leaves a mark that says "in progress" and nothing else: nobody knows whether the handler has done its work. The mark
//! is a lease. Until it runs out the key is answered 409, and **then the same request runs again**.
//! So a handler that writes to an SQLite database of its own should do so through a
//! [`Ledger`](super::Ledger), which shares its transaction and closes that gap; the layer then saves
//! it work. Alone, the layer suits handlers that may run twice after a crash, but not at every
//! reload of a page.
//!
//! All instances of the service have to share the file, since one that has never seen a step takes its
//! undo for one of nothing. So it is for one machine. Behind a load balancer keep the keys in the
//! service's own database.
//!
//! # What is answered
//!
//! Requests are told apart by key, method and path (and [caller](IdempotencyConfig::caller)); their
//! payload is the query and the body, byte by byte.
//!
//! | what comes | the answer |
//! |---|---|
//! | GET, HEAD, OPTIONS, TRACE; no key where none is needed | the service's, nothing kept |
//! | POST or PATCH without a key, unless [optional](IdempotencyConfig::optional) | 400 |
//! | a key that is empty, too long, no quoted string or visible ASCII, or there twice | 400 |
//! | a body that is too long; one that breaks off | 413; 400 |
//! | a new key | the service's |
//! | the same again, answered | the kept status, headers and body, and `Idempotency-Replayed: true` |
//! | the same again, in progress | 409 with `Retry-After` |
//! | the same again, failed or left behind by a crash | the service's: it runs again |
//! | another payload under the key | 422 |
//! | a step whose undo was here | 410; it never reaches the service |
//! | the file cannot be written | 503 with `Retry-After`; it never reaches the service |
//!
//! Kept are status, body and all headers but those of one connection (RFC 9110 7.6.1), `Date` and
//! `Content-Length`; trailers are dropped. Not kept are 5xx, 401, 408, 425 and 429, which ask to be
//! asked again, nor a 4xx to an undo, which has to succeed in the end, nor a handler's error or panic:
//! whether it has done anything is not known then, and the next request runs it again. An answer
//! whose body is too long to keep is replaced by a 500, and that one is kept, since the work has been
//! done.
//!
//! # Undo
//!
//! Sagas undo a step with `Idempotency-Key: <step's key>/undo` and `Saga-Step: <step's key>`. It is
//! a request like others, on a route of the service. Before it runs, the layer shuts the step's key
//! on every method and path. While the step is still running the undo gets 409 and may come again. If the
//! step was never here, or was answered 4xx at its first attempt on every route it came to, there is
//! nothing to undo: the layer answers 204, and the service is not asked. A 4xx to a later attempt may
//! be there because of what the first one did ("exists already"), so the service is asked then. A key that ends in `/undo` without `Saga-Step`
//! is refused (400), as it would leave no tombstone.
//!
//! In axum, put it on the outermost router: under `nest` two routes may have the same path.
//!
//! ```
//! use axum::{Router, body::{Body, to_bytes}, http::Request, routing::post};
//! use seawall::saga::idempotency::IdempotencyLayer;
//! use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
//! use tower::ServiceExt as _;
//!
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("keys.db");
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! static CHARGES: AtomicU32 = AtomicU32::new(0);
//! let app = Router::new()
//!     .route("/charges", post(async || format!("charge {}", CHARGES.fetch_add(1, SeqCst))))
//!     .layer(IdempotencyLayer::new(file).build()?);
//!
//! let charge = |cents: &'static str| {
//!     let request = Request::post("/charges").header("Idempotency-Key", "\"order-7\"");
//!     app.clone().oneshot(request.body(Body::from(cents)).unwrap())
//! };
//! assert_eq!(charge("500").await?.status(), 200);
//! let again = charge("500").await?;
//! assert_eq!(again.headers()["idempotency-replayed"], "true");
//! assert_eq!(to_bytes(again.into_body(), 100).await?, "charge 0");
//! assert_eq!(charge("900").await?.status(), 422);
//! assert_eq!(CHARGES.load(SeqCst), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod answer;
mod body;
mod books;
mod config;
mod error;
mod problem;
mod request;
mod service;
mod store;

pub use config::{IdempotencyConfig, IdempotencyLayer};
pub use error::IdempotencyError;
pub use service::Idempotent;
