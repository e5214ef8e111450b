use crate::saga::{
    journal::Raw,
    step::{Failure, clip},
};
use std::fmt;

/// Gives a saga up: everything it attempted is undone. `?` makes one of any error.
#[derive(Debug)]
pub struct Abort(pub(crate) Given);

/// What the code of a saga ended with, other than its output.
#[derive(Debug)]
pub(crate) enum Given {
    Up(String),
    Continue(Raw),
}

impl Abort {
    /// With the reason that the journal keeps and the caller gets.
    pub fn new(reason: impl fmt::Display) -> Self {
        Abort(Given::Up(clip(reason.to_string())))
    }
}

/// With the whole chain of sources.
impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Abort {
    fn from(error: E) -> Self {
        Abort(Given::Up(Failure::from(error).into_error()))
    }
}

/// A step that did not succeed, as the saga's code sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepFailed {
    /// The step's name.
    pub step: String,
    /// Whether it was certainly not applied. Otherwise nobody knows, and going backward undoes it.
    pub clean: bool,
    /// The last error.
    pub error: String,
}

impl fmt::Display for StepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StepFailed { step, clean, error } = self;
        match clean {
            true => write!(f, "step `{step}` was refused: {error}"),
            false => write!(f, "step `{step}` failed and may have been applied: {error}"),
        }
    }
}

impl std::error::Error for StepFailed {}
