use super::Builder;
use crate::error::Check;
use crate::saga::step::{
    ErasedStep, Failure, FnStep, OnUnknown, Outcome, Payload, StepContext, StepRef, StepRetry,
    Verdict, encode,
};
use std::{future::Future, sync::Arc};

/// A step that is being registered.
///
/// # Defaults
/// - [`retry`](StepBuilder::retry): [`StepRetry::default`]
/// - [`verify`](StepBuilder::verify): nobody is asked
/// - [`on_unknown`](StepBuilder::on_unknown): as the retry says
#[must_use = "a step is there once it is registered"]
pub struct StepBuilder<'b, App, In, Out> {
    builder: &'b mut Builder<App>,
    name: &'static str,
    step: FnStep<App, In, Out>,
    /// Over that of the retry, whichever is given first.
    on_unknown: Option<OnUnknown>,
    /// Here, so that what a step has to be is asked where it is given, and not once more by each
    /// setter.
    erase: fn(FnStep<App, In, Out>) -> Arc<dyn ErasedStep>,
}

impl<App: Send + Sync + 'static> Builder<App> {
    /// A step from two functions: what it does, and what takes it back.
    ///
    /// It is registered by [`register`](StepBuilder::register), which gives the only thing that can
    /// call it.
    ///
    /// What it takes and answers is kept in the journal ([`Payload`]): types that serde can write and
    /// read, and that own their data, so `String` and not `&str`.
    ///
    /// The name stands in the journal: never change it while sagas that ran the step are kept.
    pub fn step<In, Out, R, Running, U, Undoing>(
        &mut self,
        name: &'static str,
        run: R,
        undo: U,
    ) -> StepBuilder<'_, App, In, Out>
    where
        In: Payload,
        Out: Payload,
        R: Fn(Arc<App>, StepContext, In) -> Running + Send + Sync + 'static,
        Running: Future<Output = Result<Out, Failure>> + Send + 'static,
        U: Fn(Arc<App>, StepContext, In, Outcome<Out>) -> Undoing + Send + Sync + 'static,
        Undoing: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let step = FnStep {
            app: self.app.clone(),
            run: Box::new(move |app, cx, input| {
                let running = run(app, cx, input);
                Box::pin(async move { encode(&running.await?) })
            }),
            undo: Box::new(move |app, cx, input, was| Box::pin(undo(app, cx, input, was))),
            verify: None,
            retry: StepRetry::default(),
        };
        StepBuilder {
            builder: self,
            name,
            step,
            on_unknown: None,
            erase: |step| Arc::new(step),
        }
    }
}

impl<App: Send + Sync + 'static, In, Out> StepBuilder<'_, App, In, Out> {
    /// What asks the participant whether an attempt of unknown outcome was applied.
    ///
    /// With it, a step whose outcome stays unknown parks the saga and is never silently
    /// compensated. Default: nobody is asked.
    pub fn verify<V, Asking>(mut self, verify: V) -> Self
    where
        V: Fn(Arc<App>, StepContext, In) -> Asking + Send + Sync + 'static,
        Asking: Future<Output = Verdict<Out>> + Send + 'static,
    {
        self.step.verify = Some(Box::new(move |app, cx, input| {
            Box::pin(verify(app, cx, input))
        }));
        self
    }

    /// How it is tried again. Default: [`StepRetry::default`].
    pub fn retry(mut self, retry: StepRetry) -> Self {
        self.step.retry = retry;
        self
    }

    /// What to do when an attempt may have been applied and there is no `verify`.
    ///
    /// It goes before whatever the [retry](StepBuilder::retry) says of it. Default: what that says.
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.on_unknown = Some(on_unknown);
        self
    }

    /// Registers it.
    ///
    /// A name that is taken, and settings out of range, are told by [`build`](Builder::build).
    pub fn register(self) -> StepRef<In, Out> {
        let StepBuilder {
            builder,
            name,
            mut step,
            on_unknown,
            erase,
        } = self;
        if let Some(on_unknown) = on_unknown {
            step.retry.on_unknown = on_unknown;
        }
        builder.check_name("step name", name);
        // Told as the step's own.
        let mut check = Check::new(name.into());
        step.retry.check(&mut check);
        builder.check.absorb(check.done());
        if builder.functions.insert(name, erase(step)).is_some() {
            builder
                .check
                .that(false, "step name", name, "a name that no other step has");
        }
        StepRef::new(name, builder.origin)
    }
}
