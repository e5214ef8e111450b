//! The one switch for what threads share: a model checker's types go in here, and nowhere else.
//!
//! Files whose atomics and locks decide something take them from here.
pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
