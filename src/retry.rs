//! Another attempt after a failure: bounded in number, in time and in cost, spaced by backoff.
//!
//! A dependency that fails for a moment is best asked again; one that is overloaded is made worse
//! by it. So a retry has three bounds, of which a service wants at least two: attempts
//! ([`Retry::attempts`]), elapsed time ([`Retry::within`], [`RetryConfig::max_elapsed`], or a
//! [`Timeout`](crate::Timeout) outside), and a [`RetryBudget`], which bounds the load that all
//! retries together add.
//!
//! Not for operations that must not be done twice ([`run_once`](crate::Pipeline::run_once), and
//! dialects that read the request, keep those from being repeated), and not in several layers of a
//! system at once: their attempts multiply. A [`Hedge`](crate::Hedge) is the neighbour that does
//! not wait for the failure.
//!
//! | outcome of an attempt | |
//! |---|---|
//! | `Success` | stop |
//! | `Transient` | again |
//! | `Throttled` | again, not before its `retry_after` (up to [`max_retry_after`](RetryConfig::max_retry_after)) |
//! | `Pushback` | again, after exactly the time it names; stop, where it names none |
//! | `Failed` | stop: it must not be repeated |
//! | `Permanent`, `Ignored` | stop |
//! | timed out by a timeout inside | again |
//! | refused by a policy inside | stop, unless [`retry_refusals`](RetryConfig::retry_refusals) or [`wait_for_circuit`](RetryConfig::wait_for_circuit) |
//! | … for good: circuit opened by hand, heavier than the burst, no timer | stop |
//! | dropped, panicked | stop |
//! | never let in | what the attempt took from the budget comes back |
//!
//! [`retry_if`](RetryConfig::retry_if) decides instead where the answer is not settled. A refusal
//! may come after attempts that were sent ([`Rejected::started`](crate::Rejected::started)): each of
//! them was judged when it ended, so that plays no part.
//!
//! - Attempts are numbered from 1, the first call included, and the numbers saturate.
//! - The wait is the [`Backoff`]'s, or what the answer asked for if that is longer. There is none
//!   after the last attempt.
//! - When another attempt would be in order and is not made, the last answer comes back at once,
//!   and the observer hears [`GaveUp`](crate::Event::GaveUp): `NotRepeatable`, `Attempts` (or the
//!   end of a [`from_iter`](Backoff::from_iter)), `Deadline` (the wait does not fit into
//!   [`max_elapsed`](RetryConfig::max_elapsed)) or `Budget`, looked at in this order. Then come the
//!   timeouts outside: where the wait does not fit into one of them, it is `Deadline` too, and what
//!   was drawn from the budget comes back. An answer that stops by its class is told by that alone
//!   ([`AttemptEnded`](crate::Event::AttemptEnded)).
//! - An answer that is superseded is dropped before the wait for the next attempt begins.
//! - A call that succeeds at once costs a comparison. A budget adds an atomic addition, and under
//!   light traffic a lock and a reading of the clock; a limit of elapsed time adds that reading.
//!
//! # Sources
//! - Jitter: the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
//! - Budget: Finagle's `RetryBudget` (<https://finagle.github.io/blog/2016/02/08/retry-budgets/>).
//! - Attempts that multiply: Beyer et al., *Site Reliability Engineering* (2016), chapter 22.
//! - `Retry-After`: RFC 9110, 10.2.3. Pushback: gRFC A6.
//!
//! # Example
//! ```
//! use seawall::Retry;
//! use seawall::retry::{Backoff, RetryBudget};
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let budget = RetryBudget::new(0.2).build()?;
//! let retry = Retry::attempts(4)
//!     .backoff(Backoff::exponential(Duration::from_millis(50)).max(Duration::from_secs(1)).jitter())
//!     .budget(&budget)
//!     .build()?;
//!
//! let mut attempt = 0;
//! let answer = retry.run(|| {
//!     attempt += 1;
//!     async move { if attempt < 3 { Err("down") } else { Ok(attempt) } }
//! });
//! assert_eq!(answer.await, Ok(3));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod backoff;
mod budget;
mod config;
mod jitter;
mod policy;
mod shape;
mod ticket;
mod verdict;

pub use backoff::Backoff;
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use config::RetryConfig;
pub use policy::Retry;
