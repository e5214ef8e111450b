use super::Builder;
use crate::saga::step::{
    Failure, FnStep, OnUnknown, Outcome, StepContext, StepRef, StepRetry, Verdict, Verify,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{future::Future, sync::Arc};

/// A step that is being registered.
#[must_use = "a step is there once it is registered"]
pub struct StepBuilder<'b, App, In, Out, R, U> {
    pub(super) builder: &'b mut Builder<App>,
    pub(super) name: &'static str,
    pub(super) step: FnStep<App, In, Out, R, U>,
}

impl<App, In, Out, R, Running, U, Undoing> StepBuilder<'_, App, In, Out, R, U>
where
    App: Send + Sync + 'static,
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: Serialize + DeserializeOwned + Send + 'static,
    R: Fn(Arc<App>, StepContext, In) -> Running + Send + Sync + 'static,
    Running: Future<Output = Result<Out, Failure>> + Send + 'static,
    U: Fn(Arc<App>, StepContext, In, Outcome<Out>) -> Undoing + Send + Sync + 'static,
    Undoing: Future<Output = Result<(), Failure>> + Send + 'static,
{
    /// What asks the participant whether an attempt of unknown outcome was applied. With it, a step
    /// whose outcome stays unknown parks the saga and is never silently compensated.
    pub fn verify<V, Asking>(mut self, verify: V) -> Self
    where
        V: Fn(Arc<App>, StepContext, In) -> Asking + Send + Sync + 'static,
        Asking: Future<Output = Verdict<Out>> + Send + 'static,
    {
        let verify: Verify<App, In, Out> =
            Box::new(move |app, cx, input| Box::pin(verify(app, cx, input)));
        self.step.verify = Some(verify);
        self
    }

    /// How it is tried again.
    pub fn retry(mut self, retry: StepRetry) -> Self {
        self.step.retry = retry;
        self
    }

    /// What to do when an attempt may have been applied and there is no `verify`.
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.step.retry.on_unknown = on_unknown;
        self
    }

    /// Registers it. A name that is taken, and settings out of range, are told by
    /// [`build`](Builder::build).
    pub fn register(self) -> StepRef<In, Out> {
        let StepBuilder {
            builder,
            name,
            step,
        } = self;
        builder.check_name("step name", name);
        step.retry.check(&mut builder.check);
        if builder.functions.insert(name, Arc::new(step)).is_some() {
            builder
                .check
                .that(false, "step name", name, "a name that no other step has");
        }
        StepRef::new(name, builder.origin)
    }
}
