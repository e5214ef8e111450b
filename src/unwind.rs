//! Which types may be used on after a panic has been caught: `UnwindSafe` and `RefUnwindSafe`.
//!
//! The compiler gives both up as soon as there is a lock without poison, a cell, or a trait object of
//! the user's somewhere inside. It asks whether a panic could leave what is inside half done, and for
//! these types it cannot:
//!
//! - A lock is held over arithmetic only. What a user gave (an operation, an observer, a predicate, a
//!   clock, a step) runs outside of it, so no panic of theirs unwinds through a change of ours.
//! - A call that unwinds settles every ticket on its way, as one that is dropped.
//! - Observers, predicates and classifiers are called through [`contain`](crate::event); nothing of
//!   theirs unwinds at all.
//!
//! What an observer, a dialect, a service or a policy of the user's leaves in *itself* when it panics is
//! its own. For a dialect and a service the compiler goes on asking, since their types are known.
use crate::pipeline::Slot;
use crate::run::plan::Shared;
use crate::{bulkhead, circuit_breaker, hedge, pipeline, rate_limit, retry, timeout, value};
use std::panic::{RefUnwindSafe, UnwindSafe};

macro_rules! stands_panics {
    ($($type:ty),* $(,)?) => {
        $(impl UnwindSafe for $type {}
        impl RefUnwindSafe for $type {})*
    };
}

// Machines behind locks and atomics, each change of which is one step under its lock.
stands_panics!(
    bulkhead::Bulkhead,
    circuit_breaker::CircuitBreaker,
    rate_limit::RateLimit,
    retry::Retry,
    retry::RetryBudget,
    hedge::Hedge,
    timeout::Timeout,
);

// Settings, and functions that are only called once something was built of them.
stands_panics!(
    bulkhead::BulkheadConfig,
    circuit_breaker::CircuitBreakerConfig,
    rate_limit::RateLimitConfig,
    retry::RetryConfig,
    retry::Backoff,
    hedge::HedgeConfig,
    timeout::TimeoutConfig,
);

// One of the above, or a policy of the user's: one that panics is its author's, and the others still
// get their exits.
stands_panics!(Slot);

// Policies, a dialect that is asked through `contain`, an observer that is told through it: nothing of
// it changes after it was built.
impl<S: RefUnwindSafe, D: RefUnwindSafe> UnwindSafe for Shared<S, D> {}
impl<S: RefUnwindSafe, D: RefUnwindSafe> RefUnwindSafe for Shared<S, D> {}
impl<D: UnwindSafe, M> UnwindSafe for pipeline::Builder<D, M> {}
impl<D: RefUnwindSafe, M> RefUnwindSafe for pipeline::Builder<D, M> {}

// A shelf with one value, replaced as a whole.
impl<T: RefUnwindSafe> UnwindSafe for value::LastKnownGood<T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for value::LastKnownGood<T> {}

#[cfg(feature = "metrics")]
mod observe {
    use super::*;

    // The last number of each breaker, replaced as a whole.
    stands_panics!(crate::observe::MetricsObserver);
}

#[cfg(feature = "saga")]
mod saga {
    use super::*;
    use crate::saga;

    // What these share is the engine, which runs the user's code in tasks of its own, contains its
    // panics, and is built for processes that die in the middle. Its books change under locks that no
    // code of the user's runs in.
    impl<App> UnwindSafe for saga::Engine<App> {}
    impl<App> RefUnwindSafe for saga::Engine<App> {}
    impl<Out> UnwindSafe for saga::Handle<Out> {}
    impl<Out> RefUnwindSafe for saga::Handle<Out> {}
    impl<Out> UnwindSafe for saga::Starting<Out> {}
    impl<Out> RefUnwindSafe for saga::Starting<Out> {}
    impl<In, Out> UnwindSafe for saga::SagaService<In, Out> {}
    impl<In, Out> RefUnwindSafe for saga::SagaService<In, Out> {}
    stands_panics!(saga::Operator);

    // A map behind a lock, of which each request is one change.
    stands_panics!(saga::MemoryStore);

    // A queue to a thread of its own: half a request is never in it.
    #[cfg(feature = "sqlite")]
    stands_panics!(saga::SqliteStore);

    // A name and a clock: what it keeps is in the user's transaction.
    #[cfg(feature = "sqlite")]
    stands_panics!(saga::Ledger);

    // A queue to a thread of its own, and a function that is called before anything is asked of it.
    #[cfg(all(feature = "sqlite", feature = "http"))]
    stands_panics!(saga::idempotency::IdempotencyLayer);
}
