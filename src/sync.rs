//! The one switch for what threads share: a model checker's types go in here, and nowhere else.
//!
//! Files whose atomics and locks decide something take them from here. Under `--cfg seawall_loom`
//! the crate's own tests get loom's instead, and the modules called `models` run every interleaving
//! of a few calls. Under `--cfg seawall_shuttle` they get shuttle's, and the modules called
//! `schedules` run many interleavings of whole calls (stages of these names in `.ci/run`).
#[cfg(all(test, any(seawall_loom, seawall_shuttle)))]
pub(crate) use self::model::*;
#[cfg(not(all(test, any(seawall_loom, seawall_shuttle))))]
pub(crate) use self::real::*;

#[cfg(not(all(test, any(seawall_loom, seawall_shuttle))))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    #[cfg(feature = "saga")]
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
}

#[cfg(all(test, any(seawall_loom, seawall_shuttle)))]
mod model {
    #[cfg(seawall_loom)]
    use loom::sync;
    #[cfg(seawall_shuttle)]
    use shuttle::sync;

    pub(crate) use sync::MutexGuard;
    pub(crate) use sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};

    /// The checker's, without poison, as parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Mutex::new(T::default())
        }
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
