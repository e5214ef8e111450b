//! One error for every policy: the caller's own `E`, untouched, or a refusal.
//!
//! [`Error<E>`] stays flat however many policies a call passes. A [`Rejected`] says for the person
//! paged at 3 a.m. what was refused, by which policy, and when to come back. A service that has an
//! error type of its own folds both halves into it:
//!
//! ```
//! use seawall::{Error, Pipeline, Rejected, Timeout};
//! use std::time::Duration;
//!
//! #[derive(Debug)]
//! enum AppError {
//!     Refused(Rejected),
//!     Io(std::io::Error),
//! }
//! impl From<Rejected> for AppError {
//!     fn from(r: Rejected) -> Self { AppError::Refused(r) }
//! }
//! impl From<std::io::Error> for AppError {
//!     fn from(e: std::io::Error) -> Self { AppError::Io(e) }
//! }
//!
//! # tokio_test::block_on(async {
//! let guard = Pipeline::builder("files")
//!     .with(Timeout::after(Duration::from_secs(1)))
//!     .error::<AppError>()
//!     .build()?;
//! let answer = guard.run(|| async { Err::<(), _>(std::io::Error::other("gone")) }).await;
//! assert!(matches!(answer, Err(AppError::Io(_))));
//! # Ok::<_, seawall::BuildError>(())
//! # }).unwrap();
//! ```

mod build;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod name;
mod rejected;
mod target;
mod within;

pub(crate) use build::Check;
pub use build::{BuildError, Problem};
pub use name::Name;
pub use rejected::{Reason, Rejected};
pub use target::{Flat, Target, To};
pub(crate) use within::in_a_part;

use std::fmt;

/// What a guarded call fails with.
///
/// It implements [`std::error::Error`] where `E` does. `BoxError` and `anyhow::Error` do not, so
/// there the way is [`fold`](Error::fold) or the builder's
/// [`error`](crate::pipeline::Builder::error).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The operation's own error, of its last attempt.
    Inner(E),
    /// A policy's refusal. [`Rejected::started`] tells whether the operation may have run.
    Rejected(Rejected),
}

impl<E> Error<E> {
    /// The refusal, if it is one.
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Error::Rejected(r) => Some(r),
            Error::Inner(_) => None,
        }
    }

    /// The operation's own error, if it is one.
    pub fn inner(&self) -> Option<&E> {
        match self {
            Error::Inner(e) => Some(e),
            Error::Rejected(_) => None,
        }
    }

    /// The operation's own error by value, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Error::Inner(e) => Some(e),
            Error::Rejected(_) => None,
        }
    }

    /// Into any error both halves convert into.
    ///
    /// `anyhow::Error`, a boxed error, an enum of your own, `tonic::Status`.
    pub fn fold<M: From<E> + From<Rejected>>(self) -> M {
        match self {
            Error::Inner(e) => e.into(),
            Error::Rejected(r) => r.into(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Inner(e) => e.fmt(f),
            Error::Rejected(r) => r.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // `Display` has told `e` itself already.
            Error::Inner(e) => {
                in_a_part();
                e.source()
            }
            Error::Rejected(r) => Some(r).and_then(std::error::Error::source),
        }
    }
}
