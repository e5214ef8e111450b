use crate::Name;
use std::{error, fmt};

/// What became of one step of a failed scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepReport {
    /// The step's name.
    pub name: Name,
    /// What became of it.
    pub outcome: StepOutcome,
}

impl StepReport {
    pub(super) fn new(name: Name, outcome: StepOutcome) -> Self {
        StepReport { name, outcome }
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepOutcome {
    /// It ran and has no compensation.
    Ran,
    /// Its compensation has worked.
    #[non_exhaustive]
    Undone {
        /// At which try; the first is 1.
        attempts: u32,
    },
    /// Its compensation has not worked, or was not tried: the step stays applied, or may.
    #[non_exhaustive]
    Left {
        /// How often it was tried.
        attempts: u32,
        /// What the last try said.
        error: String,
    },
}

/// Why a scope failed, and what became of each of its steps.
///
/// `Display` tells the operation's error first, then what was left applied, which somebody has to
/// see to. It implements [`std::error::Error`] where `E` does; `anyhow::Error` and boxed errors do
/// not: there the way is [`into_error`](ScopeError::into_error).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError<E> {
    scope: Name,
    error: E,
    steps: Vec<StepReport>,
}

impl<E> ScopeError<E> {
    pub(super) fn new(scope: Name, error: E, steps: Vec<StepReport>) -> Self {
        ScopeError {
            scope,
            error,
            steps,
        }
    }

    /// The scope's name.
    pub fn scope(&self) -> Name {
        self.scope
    }

    /// The operation's error.
    pub fn error(&self) -> &E {
        &self.error
    }

    /// The operation's error, by value.
    pub fn into_error(self) -> E {
        self.error
    }

    /// Each step that ran, in that order.
    pub fn steps(&self) -> &[StepReport] {
        &self.steps
    }

    /// The steps whose compensation has not worked.
    pub fn left(&self) -> impl Iterator<Item = &StepReport> {
        let left = |step: &&StepReport| matches!(step.outcome, StepOutcome::Left { .. });
        self.steps.iter().filter(left)
    }

    /// Whether every step that has a compensation is undone.
    pub fn is_undone(&self) -> bool {
        self.left().next().is_none()
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`", self.error, self.scope)?;
        if self.steps.is_empty() {
            return f.write_str(": no step had run)");
        }
        let mut mark = ": ";
        for (title, of) in KINDS {
            let mut lead = title;
            for step in self.steps.iter().filter(|step| of(&step.outcome)) {
                write!(f, "{mark}{lead}`{}`", step.name)?;
                (mark, lead) = (", ", "");
                match &step.outcome {
                    StepOutcome::Left { attempts: 0, error } => write!(f, ", not tried: {error}")?,
                    StepOutcome::Left { attempts: 1, error } => write!(f, " after 1 try: {error}")?,
                    StepOutcome::Left { attempts, error } => {
                        write!(f, " after {attempts} tries: {error}")?;
                    }
                    StepOutcome::Ran | StepOutcome::Undone { .. } => {}
                }
            }
            if lead.is_empty() {
                mark = "; ";
            }
        }
        f.write_str(")")
    }
}

impl<E: error::Error> error::Error for ScopeError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // `Display` has told `error` itself already.
        self.error.source()
    }
}

type Kind = (&'static str, fn(&StepOutcome) -> bool);

/// What has to be acted on comes first.
const KINDS: [Kind; 3] = [
    ("left applied: ", |o| matches!(o, StepOutcome::Left { .. })),
    ("undone: ", |o| matches!(o, StepOutcome::Undone { .. })),
    ("ran: ", |o| matches!(o, StepOutcome::Ran)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, outcome: StepOutcome) -> StepReport {
        StepReport::new(name.into(), outcome)
    }

    fn left(attempts: u32) -> StepOutcome {
        let error = String::from("503");
        StepOutcome::Left { attempts, error }
    }

    #[test]
    fn what_was_left_comes_first() {
        let steps = vec![
            step("create", StepOutcome::Undone { attempts: 1 }),
            step("reserve", StepOutcome::Undone { attempts: 3 }),
            step("charge", left(5)),
            step("notify", StepOutcome::Ran),
            step("confirm", left(1)),
            step("ship", left(0)),
        ];
        let error = ScopeError::new("place_order".into(), "declined", steps);
        assert_eq!(
            error.to_string(),
            "declined (`place_order`: left applied: `charge` after 5 tries: 503, \
             `confirm` after 1 try: 503, `ship`, not tried: 503; undone: `create`, `reserve`; \
             ran: `notify`)"
        );
        assert!(!error.is_undone());
        assert_eq!(error.left().count(), 3);
    }

    #[test]
    fn a_scope_without_steps_says_so_and_the_source_is_that_of_its_error() {
        let inner = std::io::Error::other(std::fmt::Error);
        let error = ScopeError::new("place_order".into(), crate::Error::Inner(inner), vec![]);
        assert!(
            error
                .to_string()
                .ends_with("(`place_order`: no step had run)")
        );
        assert!(error.is_undone());
        let _: &dyn error::Error = &error;
    }
}
