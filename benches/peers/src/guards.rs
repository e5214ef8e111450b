//! The guards, ours and others', with the same settings wherever they have the same.
pub mod breaker;
pub mod bulkhead;
pub mod rate_limit;
pub mod retry;
pub mod stack;
pub mod timeout;
