//! The one switch for what threads share: a model checker's types go in here, and nowhere else.
//!
//! Files whose atomics and locks decide something take them from here. Under `--cfg seawall_loom`
//! the crate's own tests get loom's instead, and the modules called `models` run every interleaving
//! of a few calls (stage `models` of `.ci/run`).
#[cfg(all(test, seawall_loom))]
pub(crate) use self::model::*;
#[cfg(not(all(test, seawall_loom)))]
pub(crate) use self::real::*;

#[cfg(not(all(test, seawall_loom)))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
}

#[cfg(all(test, seawall_loom))]
mod model {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

    /// loom's, without poison, as parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
