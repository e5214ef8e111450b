//! Steps that are types, asked for by sagas that are types.
use super::{Context, Flow, Op, Saga, StepFailed};
use crate::saga::step::{ListedIn, Step};
use std::{marker::PhantomData, ops::Deref};

impl<App, S> Context<App, S> {
    pub(crate) fn new(flow: Flow) -> Self {
        Context {
            flow,
            types: PhantomData,
        }
    }
}

impl<App: Send + Sync + 'static, S: Saga<App>> Context<App, S> {
    /// Runs a step, see [`Flow::call`].
    ///
    /// # Errors
    /// As [`Flow::call`].
    ///
    /// # Cancel safety
    /// As [`Flow::call`].
    pub fn step<C, I>(&self, step: C) -> Op<Result<C::Output, StepFailed>>
    where
        C: Step<App> + ListedIn<S::Steps, I>,
    {
        self.flow.step_op(C::NAME, None, &step, false)
    }

    /// Runs the step that is the point of no return, see [`Flow::pivot`].
    ///
    /// # Errors
    /// As [`Flow::pivot`].
    ///
    /// # Cancel safety
    /// As [`Flow::call`].
    pub fn pivot<C, I>(&self, step: C) -> Op<Result<C::Output, StepFailed>>
    where
        C: Step<App> + ListedIn<S::Steps, I>,
    {
        self.flow.step_op(C::NAME, None, &step, true)
    }
}

impl<App, S> Deref for Context<App, S> {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.flow
    }
}
