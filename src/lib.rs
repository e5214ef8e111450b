//! Seawall keeps a service standing when what it calls fails.
//!
//! Two halves share one vocabulary. *Policies* decide whether, when and how often an operation runs:
//! breaker, retry, timeout, bulkhead, rate limit, hedge. A *saga* undoes what a failed chain of
//! operations had done. Both run the same async closures and the same [`tower`] services.
//!
//! ```
//! use seawall::{Bulkhead, CircuitBreaker, Error, Pipeline, Retry, Timeout, retry::Backoff};
//! use std::{io, time::Duration};
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let breaker = CircuitBreaker::new("payments").consecutive_failures(5).build()?;
//! let payments = Pipeline::builder("payments")
//!     .with(Timeout::after(Duration::from_secs(3)).name("payments-total"))
//!     .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(50)).jitter()))
//!     .with(&breaker)
//!     .with(Bulkhead::new(64).queue(128))
//!     .with(Timeout::after(Duration::from_millis(800)).name("payments-attempt"))
//!     .build()?;
//!
//! let mut attempt = 0;
//! let receipt = payments
//!     .run(|| {
//!         attempt += 1;
//!         async move { if attempt == 1 { Err(io::Error::other("reset")) } else { Ok("receipt 7") } }
//!     })
//!     .await?;
//! assert_eq!((receipt, attempt), ("receipt 7", 2));
//!
//! // Errors are your own, or say who refused and why.
//! breaker.isolate();
//! match payments.run(|| async { Ok::<_, io::Error>("never asked") }).await.unwrap_err() {
//!     Error::Inner(mine) => panic!("{mine}"),
//!     Error::Rejected(refused) => assert!(refused.never_sent()),
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Errors wrapped on their way up still tell: [`Rejected::within`] finds the refusal in any error, and
//! [`retry_after`](Rejected::retry_after) says when to come back. Where the operation's error is
//! `anyhow::Error` or a boxed one, `?` wants the builder's `.error::<anyhow::Error>()`, see [`error`].
//!
//! The same pipeline guards a service: `ServiceBuilder::new().layer(payments.layer())`, see
//! [`service`].
//!
//! # What there is
//!
//! | | what for |
//! |---|---|
//! | [`Pipeline`] | a stack of policies as a value; cloned for the price of an `Arc` |
//! | [`Timeout`] | an end for the call, or for each attempt |
//! | [`Retry`] | another attempt after a failure, within bounds |
//! | [`CircuitBreaker`] | no calls to what is down, and a careful way back |
//! | [`Bulkhead`] | so many calls at a time, the next in line |
//! | [`RateLimit`] | so many calls per time |
//! | [`Hedge`] | another attempt beside a slow one |
//! | [`value`] | another answer in place of a failed call: fallback, last known good |
//! | [`saga`] | a chain of calls that is undone when it fails, in one process or through crashes |
//! | [`Policy`] | a policy of your own |
//! | [`dialect`] | what an answer means: [`Standard`](dialect::Standard), HTTP, gRPC, your own |
//! | [`event`], [`observe`] | what happened, for logs and metrics |
//!
//! Each policy has `run` and `layer` of its own too, for one that stands alone. Several belong into
//! one pipeline: layer in layer, one takes the other's refusals for failures. `X::new(..)` and its
//! setters are a configuration; `build` checks it and makes a handle, whose clones share its state.
//! So one breaker can stand in many pipelines, and everything that is wrong is told at once
//! ([`BuildError`]).
//!
//! # Which order
//!
//! A call enters the policies in the order of the `with`s and leaves in reverse, so a policy guards
//! what stands below it. From the outside in:
//!
//! 1. A rate limit on *callers*, where a call counts once however often it is tried.
//! 2. A timeout for the whole call: the promise to your own caller. Everything below knows it, so a
//!    backoff that would not fit is not begun.
//! 3. The retry.
//! 4. The hedge. Policies above are entered once for a call, those below once for each attempt.
//! 5. The breaker: below the retry it sees each attempt, and when it opens, the retry stops.
//! 6. The bulkhead, so that a call that is refused by the breaker never stands in line.
//! 7. A rate limit on what the *dependency* allows: below everything that refuses, so that no permit
//!    is spent on a call that is not made.
//! 8. A timeout for each attempt, shorter than the other. Below the bulkhead it does not count the
//!    wait in line.
//!
//! Most services need three or four of these; `Pipeline::standard_http` (feature `http`) is the usual
//! set around an HTTP client. [`Pipeline::advice`] warns of orders that are legal and rarely meant.
//! What answers in place of a call ([`value`]) stands outside of them all.
//!
//! # Rulings
//!
//! Where libraries of this kind disagree, this one does as follows.
//!
//! *Counting.* `attempts(3)` is three calls at most, the first included. A failure rate is tested
//! once the minimum of calls is met, and `0.5` trips at exactly one half. A call is slow when it took
//! longer than the limit, by the breaker's own place in the stack. Reading a state never moves it.
//! An answer to a call from before a change of state reaches its caller and counts nowhere.
//!
//! *Time.* Jitter comes first, then the cap: no delay is above `max`. A result that is ready at the
//! deadline wins. What a timeout cut off is a failure; what the caller dropped is nothing. A refusal
//! names the timeout that fired. Time counts from the first moment the call has to wait.
//!
//! *Refusals.* One policy's refusal is never another's failure of the dependency, and a retry does
//! not repeat it unless asked to. [`Rejected::started`] counts the attempts that had reached the
//! operation: 0 is a proof that nothing was sent.
//!
//! *Waiting.* What waits outside holds nothing inside. A limiter that cannot serve within the
//! allowed wait refuses at once and reserves nothing. A call heavier than the burst is refused for
//! good, with that reason. A permit that comes free goes to the first in line.
//!
//! *Breaker.* Half-open lets exactly N probes out and decides by the rate over all of them, not by
//! the first. A probe that never ends gives its slot up after a lease. "Too many requests" (429,
//! `RESOURCE_EXHAUSTED`) says "slow down", not "broken": it counts as neither, and fails a probe. So
//! does 503 with `Retry-After`, but to a POST without an idempotency key it is a failure.
//!
//! *Repeating.* In a layer with a dialect that reads requests, the request decides before it is sent
//! whether it may be sent twice: a POST only with an idempotency key, or when it was provably not
//! applied. Around a closure nobody sees a request: `run` is your promise that repeating is safe,
//! `run_once` is for the rest. `Retry-After` counts on 429 and 503, in seconds or as a date, up to
//! the longest that the retry allows (60 s); where it is longer than the time left, the call gives up
//! now. gRPC's pushback is exact, and an unreadable one means stop.
//!
//! *Budgets and hedges.* Each first attempt pays into a budget; when it is empty, the original error
//! comes back at once. The losers of a race are dropped before the winner is returned, and count as
//! nothing.
//!
//! The reasons are in `docs/decisions.md`.
//!
//! # Features
//!
//! All are off by default, and none changes what is there without it.
//!
//! | feature | adds |
//! |---|---|
//! | `http` | `dialect::Http` for the `http` types; refusals as HTTP answers |
//! | `reqwest` | `dialect::Http` for reqwest's types (with `http`) |
//! | `grpc` | `dialect::Grpc` for tonic; refusals as `tonic::Status` (with `http`) |
//! | `tracing` | events as `tracing` events |
//! | `metrics` | events as counters, gauges and histograms of `metrics` |
//! | `saga` | durable sagas: `saga::Engine`, the memory store, the `Store` trait |
//! | `sqlite` | `saga::SqliteStore` and `saga::Ledger`; with `http`, `saga::idempotency` (SQLite is compiled in and needs a C compiler) |
//!
//! # Runtime
//!
//! Calls that never wait run anywhere. Those that wait need a tokio runtime with its time driver, and
//! are refused without one ([`Reason::NoTimer`]). Where a runtime lacks its time driver alone, tokio
//! tells so by a panic only: it is caught here, but panic hooks hear of it, and in a program with
//! `panic = "abort"` it ends the process. All time is tokio's, so a paused clock rules every deadline,
//! backoff and window in a test.
//!
//! [`tower`]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]
// Tests give a time to machines, and operations that sleep to the paused clock.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod bulkhead;
pub mod circuit_breaker;
pub mod class;
pub mod clock;
pub mod dialect;
pub mod error;
pub mod event;
pub mod hedge;
pub mod observe;
pub mod operation;
pub mod pipeline;
pub mod policy;
pub mod rate_limit;
pub mod retry;
mod run;
pub mod saga;
#[cfg(all(test, seawall_shuttle))]
mod schedules;
pub mod service;
mod sync;
pub mod timeout;
mod unwind;
pub mod value;

pub use bulkhead::Bulkhead;
pub use circuit_breaker::CircuitBreaker;
pub use class::{Class, Classify, Inspect, Replay};
pub use error::{BuildError, Error, Flat, Name, Reason, Rejected, Target};
pub use event::{Event, Observer};
pub use hedge::Hedge;
pub use operation::Operation;
pub use pipeline::Pipeline;
pub use policy::Policy;
pub use rate_limit::RateLimit;
pub use retry::Retry;
pub use run::Run;
pub use service::{Guard, GuardLayer};
pub use timeout::Timeout;

/// The README's examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
