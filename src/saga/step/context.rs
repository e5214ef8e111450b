use super::Failure;
use crate::{Classify, Error, Flat, Pipeline};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// What an action or a compensation knows of itself. Clones share it.
#[derive(Clone)]
pub struct StepContext(Arc<Inner>);

struct Inner {
    /// Of the step; followed by `/undo` in a compensation.
    key: Arc<str>,
    step_key_len: usize,
    saga_key: Arc<str>,
    attempt: u32,
    reason: Option<Arc<str>>,
    calls: AtomicU32,
}

impl StepContext {
    pub(crate) fn new(
        step_key: Arc<str>,
        undo: bool,
        saga_key: Arc<str>,
        attempt: u32,
        reason: Option<Arc<str>>,
    ) -> Self {
        let step_key_len = step_key.len();
        let key = match undo {
            true => format!("{step_key}/undo").into(),
            false => step_key,
        };
        let calls = AtomicU32::new(0);
        StepContext(Arc::new(Inner {
            key,
            step_key_len,
            saga_key,
            attempt,
            reason,
            calls,
        }))
    }

    /// The key to send with the call (`Idempotency-Key`).
    ///
    /// The same for every attempt, and unique to this step of this saga. A compensation has a key
    /// of its own, `<key of the step>/undo`: it is another call.
    pub fn idempotency_key(&self) -> &str {
        &self.0.key
    }

    /// The key of the step; in a compensation, of the step that it takes back (`Saga-Step`).
    pub fn step_key(&self) -> &str {
        self.0.key.get(..self.0.step_key_len).unwrap_or_default()
    }

    /// The headers to send along: `Idempotency-Key`, and with a compensation `Saga-Step`.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let undo = self.0.key.len() > self.0.step_key_len;
        let step = undo.then(|| ("saga-step", self.step_key()));
        [("idempotency-key", self.idempotency_key())]
            .into_iter()
            .chain(step)
    }

    /// The caller's key of the saga.
    pub fn saga_key(&self) -> &str {
        &self.0.saga_key
    }

    /// Which attempt this is; the first is 1. No restart lowers it.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// In a compensation, why the saga was given up.
    ///
    /// What a refund's own `reason` wants to know. `None` in an action, and in an
    /// [`undo`](super::super::Flow::undo) that the saga has asked for itself. It has in it what a step's
    /// error said, or an operator's note.
    pub fn undo_reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Makes a guarded call, and says what its failure means for the step.
    ///
    /// Where a policy refuses the *first* call of an attempt before it was sent, the step is clean
    /// and waits without using an attempt, see [`Failure::only_call`]. From the second call on a
    /// refusal is of unknown effect, since the first may have been applied. Do not mix it with calls
    /// of other kinds.
    ///
    /// ```
    /// use seawall::{Pipeline, saga::{Failure, StepContext}};
    ///
    /// async fn charge(cx: StepContext, payments: &Pipeline) -> Result<u32, Failure> {
    ///     cx.call(payments, async || Ok::<_, std::io::Error>(7)).await
    /// }
    /// # let _ = charge;
    /// ```
    ///
    /// # Errors
    /// As above; the operation's own error is of unknown effect.
    ///
    /// # Cancel safety
    /// As the pipeline's own `run`.
    pub async fn call<D, F, Fut, T, E>(
        &self,
        pipeline: &Pipeline<D, Flat>,
        f: F,
    ) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        D: Classify<T, E>,
        E: fmt::Display,
    {
        let only = self.0.calls.fetch_add(1, Relaxed) == 0;
        pipeline.run(f).await.map_err(|error| match error {
            Error::Inner(e) => Failure::unknown(e),
            Error::Rejected(refused) => Failure::of_refusal(&refused, only),
        })
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("idempotency_key", &self.0.key)
            .field("attempt", &self.0.attempt)
            .finish_non_exhaustive()
    }
}
