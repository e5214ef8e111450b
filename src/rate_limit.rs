//! So many calls per time, by the generic cell rate algorithm (GCRA).
//!
//! For quotas: what a dependency allows you, or what you allow a caller. Permits come back evenly,
//! one each `per / permits`, until the burst is there; a call takes its weight or nothing. In any
//! time t at most **burst + rate × t** permits are spent, whoever waits or is dropped. That holds
//! because each call has a turn of its own on the line of time, as long as its weight at that rate;
//! turns do not overlap, since only the last one can be given back; and a call is let through no
//! later than its turn begins, and no earlier than a burst before it ends. So the turns of all
//! calls within t fit side by side into t and one burst.
//!
//! - A call that comes too soon is refused at once, and the refusal tells when to come back
//!   ([`Reason::RateLimited`](crate::Reason::RateLimited)). A caller who heeds that, and comes
//!   first, is let through.
//! - With [`max_wait`](RateLimitConfig::max_wait) it waits instead, if its turn comes within that
//!   time and before every deadline around it. Otherwise it is refused at once and reserves
//!   nothing. Each wait ends at an instant of its own, so waiting calls are spaced and not herded;
//!   nobody is asked twice, and each takes exactly its own permits.
//! - A call that is dropped while it waits gives its turn to those who come next, if it is the last
//!   that was reserved; else the turn is lost. Those behind it keep theirs.
//! - A call heavier than the burst would wait for ever, and is told so
//!   ([`Reason::ExceedsBurst`](crate::Reason::ExceedsBurst)).
//! - It counts no answers. A permit is spent by being let through, whatever comes of it, also when a
//!   policy further in refuses: put the limit inside of what refuses.
//!
//! | what ends | what comes back |
//! |---|---|
//! | a call that was let through, however it ends | nothing |
//! | a wait: dropped, or cut by a deadline | its turn, if it is the last; else nothing |
//! | a refusal | nothing was taken |
//!
//! The bound holds for the turns that are given out. A waiting call starts when its task is polled
//! after its turn has come: timers are exact to a millisecond, and a runtime that is late by L may
//! start the calls of that time together, rate × L more than the bound.
//!
//! Not to bound what runs at a time, which is a [bulkhead](crate::bulkhead): a slow dependency
//! fills up at any rate. And not shared between processes: each has a limit of its own.
//!
//! # Sources
//! ITU-T I.371 (2004), annex A: the algorithm in its form of a virtual schedule (A.1), with weights
//! added. That a wait which would be too long is refused at once is as in Guava's
//! `RateLimiter.tryAcquire`.
//!
//! # Example
//! ```
//! use seawall::RateLimit;
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let quota = RateLimit::per_second(10).burst(2).name("geocoder").build()?;
//! let ask = || async { Ok::<_, std::io::Error>("54.3 N, 10.1 E") };
//! quota.run(ask).await?;
//! quota.run(ask).await?;
//! let refused = quota.run(ask).await.unwrap_err();
//! assert_eq!(refused.to_string(), "rate limit `geocoder` is spent; try again in 100.0ms");
//! assert_eq!(quota.snapshot().available, 0);
//!
//! tokio::time::sleep(Duration::from_millis(100)).await;
//! quota.run(ask).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod config;
#[cfg(all(test, seawall_loom))]
mod models;
mod policy;
mod state;

pub use config::RateLimitConfig;
pub use policy::{RateLimit, Snapshot};
