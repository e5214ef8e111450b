use crate::{Class, Error, Reason, Rejected};
use std::{fmt, time::Duration};

/// Why an action, or a compensation, did not succeed, and what is known of its effect.
///
/// `?` on any error makes one of unknown effect: the only safe reading.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: FailureKind,
    error: String,
    held: Option<Held>,
    /// Boxed, so that a `Result` with a failure stays small.
    alone: Option<Box<Alone>>,
}

/// What a failure of unknown effect would be, were it that of the only call of its step.
#[derive(Clone, Debug)]
enum Alone {
    Refused(Rejected),
    Known(FailureKind, Option<Held>),
}

/// What is known of the effect of an action that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Certainly not applied, and trying again will not help.
    Refused,
    /// Certainly not applied; worth trying again.
    Transient,
    /// It may or may not have been applied.
    Unknown,
    /// The participant was asked: no attempt under this key was applied, nor will be.
    NeverApplied,
    /// A policy refused the only call before it was sent: certainly not applied, and no attempt.
    Held,
}

/// A policy that does not let the call through at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) policy: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// Certainly not applied, and trying again will not help: the business says no.
    pub fn refused(error: impl fmt::Display) -> Self {
        Failure::new(FailureKind::Refused, error)
    }

    /// Certainly not applied; worth trying again.
    pub fn transient(error: impl fmt::Display) -> Self {
        Failure::new(FailureKind::Transient, error)
    }

    /// It may or may not have been applied. What `?` means.
    pub fn unknown(error: impl fmt::Display) -> Self {
        Failure::new(FailureKind::Unknown, error)
    }

    /// The participant was asked: no attempt under this key was applied, nor will be.
    pub fn never_applied(error: impl fmt::Display) -> Self {
        Failure::new(FailureKind::NeverApplied, error)
    }

    /// The error of the one guarded call that is *all this action does*.
    ///
    /// Where a policy refused it before anything was sent ([`Rejected::never_sent`]) the step is
    /// clean: no attempt is used, and it waits for as long as the policy says. Everything else is of
    /// unknown effect. In an action that calls more than once this would be wrong: an earlier call
    /// may have been applied; use [`StepContext::call`](super::StepContext::call), which counts.
    pub fn only_call<E: fmt::Display>(error: Error<E>) -> Self {
        match error {
            Error::Inner(e) => Failure::unknown(e),
            Error::Rejected(refused) => Failure::of_refusal(&refused, true),
        }
    }

    pub(crate) fn of_refusal(refused: &Rejected, only: bool) -> Self {
        if !only || !refused.never_sent() {
            return Failure::unknown(refused);
        }
        match refused.reason {
            // No waiting would help.
            Reason::ExceedsBurst { .. } | Reason::NoTimer => Failure::refused(refused),
            _ => {
                let mut failure = Failure::new(FailureKind::Held, refused);
                failure.held = Some(Held {
                    policy: refused.policy.as_str().to_owned(),
                    retry_after: refused.retry_after(),
                });
                failure
            }
        }
    }

    fn new(kind: FailureKind, error: impl fmt::Display) -> Self {
        Failure {
            kind,
            error: clip(error.to_string()),
            held: None,
            alone: None,
        }
    }

    /// What it says about the participant, for a pipeline around actions that fail with it.
    ///
    /// `.classify_with(|r: &Result<T, Failure>| r.as_ref().map_or_else(Failure::class, |_| Class::Success))`.
    /// A business that says no is no failure of the service, and is not asked again.
    pub fn class(&self) -> Class {
        match self.kind {
            FailureKind::Refused | FailureKind::NeverApplied => Class::Permanent,
            FailureKind::Transient | FailureKind::Unknown => Class::Transient,
            FailureKind::Held => Class::Ignored,
        }
    }

    /// A policy's refusal that it came from.
    pub(super) fn refusal(&self) -> Option<&Rejected> {
        match self.alone.as_deref() {
            Some(Alone::Refused(refused)) => Some(refused),
            _ => None,
        }
    }

    /// As that of the only attempt of the only call.
    pub(super) fn believed(mut self) -> Self {
        if let Some(Alone::Known(kind, held)) = self.alone.take().map(|alone| *alone) {
            self.kind = kind;
            self.held = held;
        }
        self
    }

    /// What is known of the effect.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What went wrong, as text.
    pub fn error(&self) -> &str {
        &self.error
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    pub(crate) fn into_error(self) -> String {
        self.error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

/// What the journal keeps of an error: its first 4 KiB.
pub(crate) fn clip(mut error: String) -> String {
    const MOST: usize = 4096;
    if error.len() > MOST {
        let end = (0..=MOST).rev().find(|end| error.is_char_boundary(*end));
        error.truncate(end.unwrap_or(0));
        error.push_str(" ..");
    }
    error
}

/// With the whole chain of sources, which the journal keeps.
impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut failure = Failure::unknown(Chain(&*error));
        failure.alone = Rejected::within(&*error).map(|refused| Box::new(Alone::Refused(refused)));
        failure
    }
}

/// Of unknown effect too: the pipeline may have tried more than once, and a `Failure` is only of the
/// last attempt.
impl From<Error<Failure>> for Failure {
    fn from(error: Error<Failure>) -> Self {
        let mut failure = Failure::unknown(&error);
        failure.alone = Some(Box::new(match error {
            Error::Inner(inner) => Alone::Known(inner.kind, inner.held),
            Error::Rejected(refused) => Alone::Refused(refused),
        }));
        failure
    }
}

/// An error and its sources, in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
