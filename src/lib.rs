//! Seawall keeps one failing dependency from sinking a Rust service.
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
pub mod service;
mod sync;
pub mod timeout;
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
