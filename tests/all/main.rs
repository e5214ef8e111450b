//! The integration tests: one binary, one module a subject.
mod breaker;
mod bulkhead;
mod driver;
mod hedge;
mod observe;
mod rate_limit;
mod retry;
mod scope;
mod settle;
mod support;
mod tower_surface;
mod users;
mod value;
