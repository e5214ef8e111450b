//! So many calls at a time, and a bounded queue for those beyond.
//!
//! A dependency that has become slow does not fail: it holds on to connections, tasks and memory of
//! everybody who calls it, until nothing is left for the others. A bulkhead bounds what one
//! dependency can hold. Size it by Little's law: calls in flight = calls per second × seconds per
//! call, with some room; the queue bridges bursts, and its longest wait belongs well below the
//! caller's own deadline.
//!
//! - A permit that comes free goes to the first in line, never to whoever comes by just then.
//! - A call that is dropped in line leaves it; one that was already given a permit passes it on.
//! - A call that can get neither a permit nor a place is refused at once
//!   ([`Reason::BulkheadFull`](crate::Reason::BulkheadFull)), without a lock or a reading of the
//!   clock. One whose turn does not come in time gets
//!   [`Reason::QueueTimeout`](crate::Reason::QueueTimeout). Deadlines around the bulkhead count
//!   while it waits; to them, and to breakers, this is no failure of the dependency.
//! - The limit can be changed while calls run ([`Bulkhead::set_limit`]).
//! - It counts no answers: every end of a call, a panic and a drop included, gives the permit back.
//!
//! | what ends | what is given back |
//! |---|---|
//! | a call that was let in, however it ends | its permit, to the first in line |
//! | a wait in line: dropped, refused, cut by a deadline | its place |
//! | the same, after the permit was handed over | the permit, to the next in line |
//!
//! Not for "so many per second", which is a [rate limit](crate::rate_limit), and not to protect a
//! dependency whose capacity nobody knows.
//!
//! # Sources
//! Nygard, *Release It!* (2nd edition, chapter 5), "Bulkheads". Little, *A Proof for the Queuing
//! Formula: L = λW* (Operations Research 9(3), 1961). The line is served as tokio's `Semaphore`
//! serves its own: in the order of arrival, and a permit is handed over, not put back.
//!
//! # Example
//! ```
//! use seawall::{Bulkhead, Reason};
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let reports = Bulkhead::new(1)
//!     .queue(1)
//!     .max_wait(Duration::from_millis(200))
//!     .name("reports")
//!     .build()?;
//! let slow = || async {
//!     tokio::time::sleep(Duration::from_secs(1)).await;
//!     Ok::<_, std::io::Error>("report")
//! };
//! let (first, second, third) = tokio::join!(reports.run(slow), reports.run(slow), reports.run(slow));
//! assert_eq!(first?, "report");
//! assert_eq!(second.unwrap_err().to_string(), "bulkhead `reports` had no free permit within 200ms");
//! assert_eq!(third.unwrap_err().rejected().map(|r| r.reason), Some(Reason::BulkheadFull));
//! assert_eq!((reports.in_flight(), reports.queued()), (0, 0));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod config;
mod gate;
mod policy;
mod state;

pub use config::BulkheadConfig;
pub use policy::Bulkhead;
