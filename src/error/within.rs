use super::Rejected;
use std::{cell::Cell, error::Error};

#[derive(Clone, Copy, PartialEq)]
enum Looking {
    Nobody,
    Somebody,
    /// It has come to what is a part of the call alone.
    InAPart,
}

thread_local! {
    /// Whether somebody looks for a refusal on this thread.
    static LOOKING: Cell<Looking> = const { Cell::new(Looking::Nobody) };
}

/// Ends the look also where a foreign `source` panics.
struct Look(Looking);

impl Look {
    fn begin() -> Self {
        Look(LOOKING.replace(Looking::Somebody))
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        LOOKING.set(self.0);
    }
}

/// What comes now is a part of the call alone: the operation's own error of a guarded call, which may
/// have made others before, or an error beside that of a fallback.
pub(crate) fn in_a_part() {
    if LOOKING.get() == Looking::Somebody {
        LOOKING.set(Looking::InAPart);
    }
}

/// The refusal behind an error, and whether it is of a part of the call alone: then it has not counted
/// what the call has sent besides.
fn look(error: &(dyn Error + 'static)) -> Option<(Rejected, bool)> {
    let _look = Look::begin();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref() {
            return Some((*refused, LOOKING.get() == Looking::InAPart));
        }
        next = error.source();
    }
    None
}

impl Rejected {
    /// The refusal behind an error, however it is wrapped.
    ///
    /// The error itself, an [`Error<E>`](crate::Error), or one of the sources of an error of your
    /// own.
    ///
    /// ```
    /// use seawall::{Error, Reason, Rejected};
    /// use std::io;
    ///
    /// let refused = Rejected::new("stock".into(), Reason::BulkheadFull);
    /// let wrapped = io::Error::other(Error::<io::Error>::Rejected(refused));
    /// assert_eq!(Rejected::within(&wrapped), Some(refused));
    /// assert_eq!(Rejected::within(&io::Error::other("gone")), None);
    /// ```
    pub fn within(error: &(dyn Error + 'static)) -> Option<Rejected> {
        look(error).map(|(refused, _)| refused)
    }

    /// Whether this error is a refusal of the whole call, before anything was sent.
    pub(crate) fn proves_unsent(error: &(dyn Error + 'static)) -> bool {
        look(error).is_some_and(|(refused, in_a_part)| refused.never_sent() && !in_a_part)
    }
}

/// A refusal is no source of itself, and texts of whole chains would say it twice. But an
/// `Error<E>` of an unknown `E`, and a wrapper that is transparent, can be seen through by nothing
/// else than the source they hand on.
impl Error for Rejected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        (LOOKING.get() != Looking::Nobody).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    const REFUSED: Rejected = Rejected::new(crate::Name::from_static("p"), Reason::BulkheadFull);

    #[derive(Debug, thiserror::Error)]
    enum Mine {
        #[error(transparent)]
        Transparent(#[from] Rejected),
        #[error("the payment failed")]
        Wrapped(#[source] Box<dyn Error + Send + Sync>),
        #[error("mine")]
        Plain,
    }

    #[test]
    fn a_refusal_is_found_through_every_wrapper() {
        let seen = |e: &(dyn Error + 'static)| Rejected::within(e) == Some(REFUSED);
        let of = crate::Error::<Mine>::Rejected;
        assert!(seen(&REFUSED));
        assert!(seen(&of(REFUSED)));
        assert!(seen(&Mine::from(REFUSED)));
        assert!(seen(&Mine::Wrapped(Box::new(of(REFUSED)))));
        assert!(seen(&crate::Error::Inner(Mine::Wrapped(REFUSED.into()))));
        let any: Box<dyn Error + Send + Sync> = anyhow::Error::from(of(REFUSED)).into();
        assert!(seen(&*any));
        assert!(!seen(&Mine::Wrapped(Box::new(Mine::Plain))));
    }

    #[test]
    fn a_refusal_of_a_part_of_the_call_does_not_prove_that_nothing_was_sent() {
        type Of = crate::Error<Mine>;
        let both = crate::value::FallbackError::Both {
            first: Of::Rejected(REFUSED),
            fallback: Mine::Plain,
        };
        assert!(Rejected::proves_unsent(&Of::Rejected(REFUSED)));
        assert!(Rejected::proves_unsent(&Mine::from(REFUSED)));
        let answered = crate::Error::Inner(Of::Rejected(REFUSED));
        assert!(!Rejected::proves_unsent(&answered));
        assert!(!Rejected::proves_unsent(&both));
        let later = Of::Rejected(REFUSED.with_started(1));
        assert!(!Rejected::proves_unsent(&later));
        assert!(!Rejected::proves_unsent(&Mine::Plain));
    }

    #[test]
    fn nobody_else_sees_a_refusal_as_its_own_source() {
        assert_eq!(Rejected::within(&REFUSED), Some(REFUSED));
        assert!(REFUSED.source().is_none());
        assert!(crate::Error::<Mine>::Rejected(REFUSED).source().is_none());
    }
}
