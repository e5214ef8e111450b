//! What is run: a closure here, a service and its request in [`service`](crate::service).
//!
//! A pipeline makes these itself, from what `run`, `run_once` and its layers are given; they are
//! public because they stand in the type of [`Run`](crate::Run).
//!
//! ```
//! use seawall::{Pipeline, Retry, retry::Backoff};
//!
//! # tokio_test::block_on(async {
//! let twice = Pipeline::builder("db").with(Retry::attempts(2).backoff(Backoff::none())).build()?;
//! let mut calls = 0;
//! let _ = twice.run(|| { calls += 1; async { Err::<(), _>("down") } }).await; // `Repeated`
//! assert_eq!(calls, 2);
//! let _ = twice.run_once(|| { calls += 1; async { Err::<(), _>("down") } }).await; // `Once`
//! assert_eq!(calls, 3);
//! # Ok::<_, seawall::BuildError>(())
//! # }).unwrap();
//! ```
use crate::Replay;

/// What a [`Run`](crate::Run) runs: something that can be started, perhaps again.
pub trait Operation {
    /// The answer.
    type Ok;
    /// The operation's own error.
    type Err;
    /// One attempt.
    type Future: Future<Output = Result<Self::Ok, Self::Err>>;

    /// Begins an attempt; `None` if there is nothing (left) to begin.
    ///
    /// `keep`: the pipeline may ask for another one.
    fn start(&mut self, keep: bool) -> Option<Self::Future>;

    /// Whether [`start`](Operation::start) has one more.
    fn can_repeat(&self) -> bool;

    /// Whether it may be started again.
    #[inline]
    fn replay(&self) -> Replay {
        Replay::Always
    }

    /// Whether this attempt has reached the dependency.
    ///
    /// A service that is not ready yet has not been called.
    #[inline]
    fn sent(_: &Self::Future) -> bool {
        true
    }
}

/// A closure that can be called again.
pub struct Repeated<F>(pub(crate) F);

impl<F: FnMut() -> Fut, Fut: Future<Output = Result<T, E>>, T, E> Operation for Repeated<F> {
    type Ok = T;
    type Err = E;
    type Future = Fut;

    #[inline]
    fn start(&mut self, _: bool) -> Option<Fut> {
        Some((self.0)())
    }

    #[inline]
    fn can_repeat(&self) -> bool {
        true
    }
}

/// A closure that is called once.
pub struct Once<F>(pub(crate) Option<F>);

impl<F: FnOnce() -> Fut, Fut: Future<Output = Result<T, E>>, T, E> Operation for Once<F> {
    type Ok = T;
    type Err = E;
    type Future = Fut;

    #[inline]
    fn start(&mut self, _: bool) -> Option<Fut> {
        self.0.take().map(|f| f())
    }

    #[inline]
    fn can_repeat(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    fn replay(&self) -> Replay {
        Replay::Never
    }
}
