//! Stops calling a dependency that fails, and asks it again, carefully, later.
//!
//! A dependency that is down answers slowly or not at all; calls that wait for it use up the
//! caller, and calls that it cannot serve keep it down. A breaker counts how calls end, refuses
//! them when a rule says it is enough, and after a break lets a few probes through to find out.
//!
//! ```text
//! Closed ──rule broken──► Open ──break over, a call comes──► HalfOpen ──probes well──► Closed
//!                          ▲─────────────probes bad────────────┘
//! by hand, from anywhere: Isolated (refuses), Disabled (lets through), MetricsOnly (and counts)
//! ```
//!
//! | outcome | closed | a probe |
//! |---|---|---|
//! | `Success`, `Permanent` | ok | ok |
//! | `Transient`, `Failed`, `TimedOut`, `Panicked` | failure | failure |
//! | `Throttled`, `Pushback` | not counted | failure |
//! | `Ignored`, `Rejected`, `Cancelled`, `Unused` | not counted | its slot is free again |
//!
//! A throttled dependency works and asks for less; with
//! [`open_on_retry_after`](CircuitBreakerConfig::open_on_retry_after) it may open the breaker for as
//! long as it says.
//!
//! - Rules: failures in a row, share of failed calls, share of slow calls, the latter two over a
//!   count window, a time window, or both. Several may be set; the first that is broken trips it,
//!   and the [`Cause`] tells which, with its numbers. Rates are tested inclusively, at each call
//!   that counts, once the minimum of calls is met.
//! - The count window is an exact ring. The time window slides by buckets: the oldest leaves whole,
//!   so a call is forgotten at most `window / buckets` early.
//! - A break begins with the trip. The first call after it makes the breaker half-open; reading
//!   [`state`](CircuitBreaker::state) or [`snapshot`](CircuitBreaker::snapshot) never does.
//! - Half-open lets exactly N probes through and decides when all N have answered, by their rates. A
//!   probe that never ends gives its slot up after its lease.
//! - An answer to a call from before a change of state reaches its caller and counts nowhere.
//! - A call is slow by the breaker's own place in the stack: what waits outside it is not counted.
//!
//! Not for limiting load (a [`Bulkhead`](crate::Bulkhead) or a [`RateLimit`](crate::RateLimit) does,
//! before anything fails), and not for a single hung call (a [`Timeout`](crate::Timeout) inside the
//! breaker turns that into a failure it can count). One breaker for many hosts opens for all of them
//! when one is down.
//!
//! ```
//! use seawall::{CircuitBreaker, circuit_breaker::State};
//! use std::{io, time::Duration};
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let breaker = CircuitBreaker::new("payments")
//!     .consecutive_failures(2)
//!     .failure_rate(0.5)
//!     .time_window(Duration::from_secs(60))
//!     .break_for(Duration::from_secs(5))
//!     .half_open_probes(1)
//!     .build()?;
//! for _ in 0..2 {
//!     let down = breaker.run(|| async { Err::<(), _>(io::Error::other("down")) }).await;
//!     assert!(down.unwrap_err().inner().is_some());
//! }
//! let refused = breaker.run(|| async { Ok::<_, io::Error>(()) }).await.unwrap_err();
//! assert_eq!(refused.to_string(), "circuit breaker `payments` is open; try again in 5.0s");
//! assert_eq!(breaker.snapshot().cause.unwrap().to_string(), "2 failures in a row");
//!
//! tokio::time::advance(Duration::from_secs(5)).await;
//! assert_eq!(breaker.state(), State::Open, "until a call comes");
//! breaker.run(|| async { Ok::<_, io::Error>(()) }).await?;
//! assert_eq!(breaker.state(), State::Closed);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sources
//! The three states are Nygard's (*Release It!*, 2nd edition, chapter 5); windows, minimum and
//! slow-call rate mean what resilience4j documents
//! (<https://resilience4j.readme.io/docs/circuitbreaker>), with the differences above.
mod break_time;
mod config;
mod machine;
mod meter;
#[cfg(all(test, seawall_loom))]
mod models;
mod policy;
mod probes;
mod rules;
mod settings;
mod snapshot;
mod state;
mod tagged;
mod window_count;
mod window_time;

pub use config::CircuitBreakerConfig;
pub use policy::CircuitBreaker;
pub use snapshot::{Counts, Probes, Snapshot};
pub use state::{Cause, State, Window};
