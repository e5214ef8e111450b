//! The integration tests: one binary, one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::disallowed_methods, missing_docs, unreachable_pub)]
mod auto_traits;
mod breaker;
mod bulkhead;
mod compile_fail;
mod disk;
mod driver;
mod errors;
mod generated;
mod grpc;
mod hedge;
mod http;
mod idempotency;
mod journal;
mod ledger;
mod observe;
mod order_events;
mod order_saga;
mod random_stacks;
mod rate_limit;
mod retry;
mod saga;
mod scope;
mod settle;
mod sqlite_store;
mod support;
mod tower_surface;
mod unruly;
mod unwind;
mod users;
mod value;
