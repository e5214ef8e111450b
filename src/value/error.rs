use crate::error::in_a_part;
use std::{error, fmt};

/// What a call with another operation as its fallback fails with.
///
/// `E` is the call's own error, [`seawall::Error`](crate::Error) for a guarded one, and `F` the
/// fallback's. It implements [`std::error::Error`] where both do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FallbackError<E, F> {
    /// The call failed and the fallback was not asked: `only_if` did not want it for this error, or
    /// the request could not be kept for it.
    Passed(E),
    /// The call failed, and so did the fallback. `Display` tells the fallback's error, and
    /// [`source`](error::Error::source) is the first one, where the trouble began.
    Both {
        /// The call's error.
        first: E,
        /// The fallback's error.
        fallback: F,
    },
}

impl<E, F> FallbackError<E, F> {
    /// The call's error, with which it began.
    pub fn first(&self) -> &E {
        match self {
            FallbackError::Passed(first) | FallbackError::Both { first, .. } => first,
        }
    }

    /// The call's error, by value.
    pub fn into_first(self) -> E {
        match self {
            FallbackError::Passed(first) | FallbackError::Both { first, .. } => first,
        }
    }

    /// The fallback's error, if it was asked.
    pub fn fallback(&self) -> Option<&F> {
        match self {
            FallbackError::Passed(_) => None,
            FallbackError::Both { fallback, .. } => Some(fallback),
        }
    }
}

impl<E: fmt::Display, F: fmt::Display> fmt::Display for FallbackError<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FallbackError::Passed(first) => first.fmt(f),
            FallbackError::Both { fallback, .. } => {
                write!(f, "the fallback failed too: {fallback}")
            }
        }
    }
}

impl<E: error::Error + 'static, F: error::Error> error::Error for FallbackError<E, F> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            // `Display` has told this one already.
            FallbackError::Passed(first) => first.source(),
            FallbackError::Both { first, .. } => {
                in_a_part();
                Some(first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Name, Reason, Rejected};
    use std::error::Error as _;

    type Both = FallbackError<Error<std::io::Error>, std::io::Error>;

    fn refused() -> Error<std::io::Error> {
        let full = Rejected::new(Name::from_static("search"), Reason::BulkheadFull);
        Error::Rejected(full)
    }

    #[test]
    fn a_failed_fallback_tells_its_error_and_has_the_first_as_its_source() {
        let error: Both = FallbackError::Both {
            first: refused(),
            fallback: std::io::Error::other("no copy"),
        };
        assert_eq!(error.to_string(), "the fallback failed too: no copy");
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("bulkhead `search` is full"));
    }

    #[test]
    fn an_error_that_passed_reads_as_itself() {
        let error: Both = FallbackError::Passed(refused());
        assert_eq!(error.to_string(), "bulkhead `search` is full");
        assert!(error.source().is_none());
        assert!(error.fallback().is_none());
    }
}
