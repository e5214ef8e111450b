//! One step of a durable saga: an action at a participant, and the compensation that takes it back.
//!
//! An action has more than two ends. It was applied, or certainly not, or *nobody knows*: the
//! connection broke, the time ran out, the process died. The engine decides what to do next from
//! [`Failure`], so an action says there what it knows, and `?` on any other error says that it knows
//! nothing.
//!
//! | an action ends with | it was applied | then |
//! |---|---|---|
//! | `Ok(out)` | yes | the saga goes on |
//! | [`Failure::refused`] | no | the saga hears of it |
//! | [`Failure::transient`] | no | tried again after the backoff |
//! | [`Failure::only_call`], refused before it was sent | no | tried again when the policy says so; no attempt is used |
//! | [`Failure::unknown`], `?`, a panic, the timeout, a crash | nobody knows | `verify`, else as [`OnUnknown`] says |
//! | [`Failure::never_applied`] | no, and the participant says so | the saga hears of it |
//!
//! What nobody knows stays so: a later refusal of the same step does not clear it, since it may be
//! the answer to what an earlier attempt did. Only an `Ok`, `never_applied` or `verify` does.
//!
//! So a participant has to (P1) take a repeated [key](StepContext::idempotency_key) as the same
//! call, and (P2) accept the compensation of a step it has never seen and refuse the step if it
//! comes later. [`Ledger`](super::Ledger) does both in the participant's own transaction.
//!
//! ```
//! use seawall::saga::{Failure, Outcome, StepContext};
//! use std::sync::Arc;
//!
//! struct Shop;
//!
//! async fn charge(_shop: Arc<Shop>, cx: StepContext, cents: u64) -> Result<String, Failure> {
//!     if cents > 100_000 {
//!         return Err(Failure::refused("above the limit of the card"));
//!     }
//!     let answer = post("/charges", cx.idempotency_key()).await?; // lost: nobody knows
//!     Ok(answer)
//! }
//!
//! async fn refund(_shop: Arc<Shop>, cx: StepContext, _: u64, _: Outcome<String>) -> Result<(), Failure> {
//!     post("/refunds", cx.idempotency_key()).await?; // `<key>/undo`
//!     Ok(())
//! }
//! # async fn post(_: &str, key: &str) -> std::io::Result<String> { Ok(key.to_owned()) }
//! # let (_, _) = (charge, refund);
//! ```
mod context;
mod erased;
mod failure;
mod listed;
mod payload;
mod retry;
mod service;
mod unfit;

pub use super::outcome::Outcome;
pub use context::StepContext;
pub(crate) use erased::{ErasedStep, FnStep, Steps, StructStep, encode, same};
pub(crate) use failure::clip;
pub use failure::{Failure, FailureKind};
pub(crate) use listed::StepSink;
pub use listed::{At, ListedIn, StepSet};
pub use payload::Payload;
pub use retry::{OnUnknown, StepRetry};
pub use service::StepCall;
pub(crate) use service::run_service;
pub(crate) use unfit::{undecodable, unencodable};

use std::{fmt, future::Future, marker::PhantomData, sync::Arc};

/// A step as a type: a serializable command, what it does and how that is taken back.
///
/// For steps that outlive a release; functions under a name
/// ([`Builder::step`](super::Builder::step)) need less.
///
/// `App` is what the actions work with (clients, pools): the value given to the engine's builder.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a saga step for the application `{App}`",
    label = "`impl Step<{App}> for {Self}` is missing"
)]
pub trait Step<App: 'static>: Payload + Sync {
    /// Its name in the journal. Never change it while sagas that ran it are kept.
    const NAME: &'static str;

    /// What it answers.
    type Output: Payload + Sync;

    /// The action.
    ///
    /// # Errors
    /// [`Failure`]; see the [module](self) for what each means.
    ///
    /// # Cancel safety
    /// It is dropped when its time is over or the process ends, at any await. The attempt is then
    /// one of unknown outcome, and comes again under the same key.
    fn run(
        &self,
        app: &App,
        cx: &StepContext,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The compensation: called when the saga goes backward, also where the outcome is unknown.
    ///
    /// Its [key](StepContext::idempotency_key) is `<key of the step>/undo`. The default has nothing
    /// to take back.
    ///
    /// # Errors
    /// Whatever the [`Failure`], it is tried again; at last the saga is parked.
    ///
    /// # Cancel safety
    /// As [`run`](Step::run).
    fn undo(
        &self,
        app: &App,
        cx: &StepContext,
        was: Outcome<Self::Output>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (app, cx, was);
        async { Ok(()) }
    }

    /// Asks the participant what became of an attempt whose outcome is unknown.
    ///
    /// The default has nobody to ask. A step that has a `verify` overrides
    /// [`VERIFIES`](Step::VERIFIES) as well.
    ///
    /// # Cancel safety
    /// As [`run`](Step::run): it is asked again.
    fn verify(
        &self,
        app: &App,
        cx: &StepContext,
    ) -> impl Future<Output = Verdict<Self::Output>> + Send {
        let _ = (app, cx);
        async { Verdict::CannotTell }
    }

    /// Whether [`verify`](Step::verify) is there. Default: false.
    const VERIFIES: bool = false;

    /// How it is tried again. Read for each command.
    fn retry(&self) -> StepRetry {
        StepRetry::default()
    }
}

/// What a participant says about an attempt whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict<T> {
    /// It was applied, and answered this.
    Applied(T),
    /// No attempt under this key was applied, nor will be.
    NotApplied,
    /// It has not seen the key so far, and an attempt may still be on its way. The step stays in doubt and
    /// is sent again under the same key, as long as it has attempts; in the end it is given up as unknown,
    /// and undone. The participant must take a repeated key as the same call (P1).
    NotSeen,
    /// It cannot tell, or cannot be asked. It is asked again after the backoff; in the end the saga
    /// is parked for an operator.
    CannotTell,
}

/// A step that was registered under a name.
///
/// Only a builder makes one, so a step that is not registered cannot be called.
pub struct StepRef<In, Out> {
    pub(crate) name: &'static str,
    /// The builder it belongs to.
    pub(crate) origin: u64,
    types: PhantomData<fn(In) -> Out>,
}

impl<In, Out> StepRef<In, Out> {
    pub(crate) fn new(name: &'static str, origin: u64) -> Self {
        StepRef {
            name,
            origin,
            types: PhantomData,
        }
    }

    /// The name it was registered under.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<In, Out> Clone for StepRef<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for StepRef<In, Out> {}

impl<In, Out> fmt::Debug for StepRef<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepRef({:?})", self.name)
    }
}

/// The compensation of a step that leaves nothing to take back: a read, an e-mail.
///
/// # Errors
/// None.
///
/// # Cancel safety
/// It never waits.
pub async fn nothing_to_undo<App, In, Out>(
    _: Arc<App>,
    _: StepContext,
    _: In,
    _: Outcome<Out>,
) -> Result<(), Failure> {
    Ok(())
}
