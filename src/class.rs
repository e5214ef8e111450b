//! What an answer says about the dependency: decided once, at the leaf, by the pipeline's dialect.
//!
//! No policy has a notion of failure of its own. A *dialect* reads the request first
//! ([`Inspect`] → [`Replay`]) and then each answer ([`Classify`] → [`Class`]); every policy counts
//! classes. See [`dialect`](crate::dialect) for the ones that exist.
//!
//! ```
//! use seawall::{Class, Classify, Replay};
//!
//! /// A cache for which a miss is an `Ok(None)` that says nothing about its health.
//! struct Cache;
//! impl<T, E> Classify<Option<T>, E> for Cache {
//!     fn classify(&self, result: &Result<Option<T>, E>, _: Replay) -> Class {
//!         match result {
//!             Ok(Some(_)) => Class::Success,
//!             Ok(None) => Class::Ignored,
//!             Err(_) => Class::Transient,
//!         }
//!     }
//! }
//! assert_eq!(Cache.classify(&Ok::<Option<u8>, ()>(None), Replay::Always), Class::Ignored);
//! ```
use crate::event::contain;
use std::time::Duration;

/// What an answer says about the dependency.
///
/// | | breaker | retry | hedge |
/// |---|---|---|---|
/// | `Success` | ok | stop | winner |
/// | `Transient` | failure | again | wait for the others; start the next now |
/// | `Throttled` | neither; fails a probe | again, not before the hint | wait |
/// | `Pushback` | as `Throttled` | again, after exactly this time; stop | wait; winner |
/// | `Failed` | failure | stop | winner |
/// | `Permanent` | ok | stop | winner |
/// | `Ignored` | neither | stop | winner |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// It worked.
    Success,
    /// It failed, and may be tried again.
    Transient,
    /// It asked for less, perhaps saying for how long.
    Throttled(Option<Duration>),
    /// As `Throttled`, by a server that says exactly when to come back: no backoff, no jitter, no
    /// cap (gRPC's pushback, gRFC A6). `None`: it is not to be asked again for this.
    Pushback(Option<Duration>),
    /// It failed, and this request must not be repeated: a POST answered 500, or cut off.
    Failed,
    /// It worked and said no: 404, `INVALID_ARGUMENT`. Trying again cannot help.
    Permanent,
    /// Says nothing about the dependency.
    Ignored,
}

/// Whether a request may be sent again, decided from the request before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// Sent once, whatever happens: a streaming body, [`run_once`](crate::Pipeline::run_once).
    Never,
    /// Only while it has provably not reached the dependency: a POST without an idempotency key.
    /// An attempt cut off by a timeout is not repeated, and nothing is hedged.
    IfUnsent,
    /// As often as a policy likes. In the closure form, [`run`](crate::Pipeline::run) is the
    /// caller's promise of this.
    Always,
}

/// A dialect's second half: what an answer means.
///
/// `replay` is what the dialect's first half said of the request, so that "failed" can be told from
/// "failed, and must not be repeated" ([`Class::Failed`]).
///
/// A panic of yours is contained, and that answer counts as [`Class::Ignored`].
///
/// There is no blanket impl for closures, which would shut out other impls; they come in through
/// [`classify_with`](crate::pipeline::Builder::classify_with).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot classify `Result<{T}, {E}>`",
    note = "use `Standard`, a dialect for these types, or `classify_with(|result: &Result<T, E>| ..)`"
)]
pub trait Classify<T, E> {
    /// What this answer says about the dependency.
    fn classify(&self, result: &Result<T, E>, replay: Replay) -> Class;

    /// What the driver asks: [`classify`](Classify::classify), with panics contained.
    ///
    /// A panic counts as [`Class::Ignored`]. Leave it as it is.
    #[inline]
    fn classify_contained(&self, result: &Result<T, E>, replay: Replay) -> Class {
        contain(Class::Ignored, || self.classify(result, replay))
    }
}

/// A dialect's first half: whether this request may be sent again.
///
/// Asked once per call, in the tower form.
#[diagnostic::on_unimplemented(
    message = "the dialect `{Self}` cannot read a request of type `{Req}`",
    note = "use a dialect for this request type, `Standard`, or `impl Inspect<{Req}> for {Self}`"
)]
pub trait Inspect<Req> {
    /// Whether it may be sent again.
    fn inspect(&self, request: &Req) -> Replay;
}
