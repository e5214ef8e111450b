use crate::Name;
use std::fmt;

/// Settings that cannot be: every one of them, with field, value and range.
///
/// Nothing has been built and nothing started; mend the settings and build again.
///
/// ```
/// use seawall::Timeout;
/// use std::time::Duration;
///
/// let error = Timeout::after(Duration::ZERO).name("search").build().unwrap_err();
/// assert_eq!(error.problems()[0].field, "after");
/// assert_eq!(error.to_string(), "`search`: after is 0ns, but has to be longer than zero");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Listed(.problems))]
pub struct BuildError {
    problems: Vec<Problem>,
}

impl BuildError {
    /// Each thing that is wrong, in the order of the policies and of their fields.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// One setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The policy or pipeline it belongs to.
    pub owner: Name,
    /// The setter's name.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            owner,
            field,
            value,
            allowed,
        } = self;
        write!(f, "`{owner}`: {field} is {value}, but has to be {allowed}")
    }
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Collects what is wrong, so that a user hears of all of it at once.
pub(crate) struct Check {
    owner: Name,
    problems: Vec<Problem>,
}

impl Check {
    pub(crate) fn new(owner: Name) -> Self {
        Check {
            owner,
            problems: Vec::new(),
        }
    }

    /// `field` must be as `allowed` says.
    pub(crate) fn that(
        &mut self,
        holds: bool,
        field: &'static str,
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) -> &mut Self {
        if !holds {
            let (owner, value, allowed) = (self.owner, format!("{value:?}"), allowed.into());
            self.problems.push(Problem {
                owner,
                field,
                value,
                allowed,
            });
        }
        self
    }

    /// A share: above 0 and at most 1, no NaN.
    pub(crate) fn ratio(&mut self, field: &'static str, value: f64) -> &mut Self {
        self.that(
            value > 0.0 && value <= 1.0,
            field,
            value,
            "above 0.0 and at most 1.0",
        )
    }

    /// A span that is not empty.
    pub(crate) fn positive(
        &mut self,
        field: &'static str,
        value: std::time::Duration,
    ) -> &mut Self {
        self.that(!value.is_zero(), field, value, "longer than zero")
    }

    /// Takes over what another check has found.
    pub(crate) fn absorb<T>(&mut self, built: Result<T, BuildError>) -> Option<T> {
        built.map_err(|e| self.problems.extend(e.problems)).ok()
    }

    /// `Ok` if nothing was found.
    pub(crate) fn done(&mut self) -> Result<(), BuildError> {
        let problems = std::mem::take(&mut self.problems);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(BuildError { problems })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_with_field_value_and_range() {
        let mut check = Check::new(Name::from_static("payments"));
        check
            .ratio("failure_rate", f64::NAN)
            .ratio("slow_rate", 1.5)
            .ratio("fine", 1.0);
        let error = check.done().unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|p| p.field).collect();
        assert_eq!(fields, ["failure_rate", "slow_rate"]);
        assert_eq!(
            error.to_string(),
            "`payments`: failure_rate is NaN, but has to be above 0.0 and at most 1.0; \
             `payments`: slow_rate is 1.5, but has to be above 0.0 and at most 1.0"
        );
    }

    #[test]
    fn a_share_of_nothing_is_a_problem() {
        let mut check = Check::new(Name::from_static("payments"));
        assert!(check.ratio("failure_rate", 0.0).done().is_err());
    }
}
