use super::{Flow, Op, Saga, StepFailed};
use crate::saga::step::{ListedIn, Step};
use std::{marker::PhantomData, ops::Deref};

/// The hand of a [`Saga`]'s code on its engine: [`Flow`], and the steps that the saga lists.
pub struct Context<App, S> {
    flow: Flow,
    types: PhantomData<fn() -> (App, S)>,
}

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
