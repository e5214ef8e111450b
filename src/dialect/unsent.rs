//! What an error proves: that the request was never sent, or nothing.
use std::{any::Any, error::Error, io};

/// The request cannot have reached anybody: no connection came about.
///
/// Looks along the sources of the errors it can look into: [`io::Error`], boxed errors, and
/// reqwest's. Only a refused connection proves it among I/O errors: a reset, a broken pipe and an
/// unreachable host can all come after the request.
pub(super) fn proves_unsent(error: &dyn Any) -> bool {
    let mut next = as_error(error);
    while let Some(error) = next {
        if let Some(e) = error.downcast_ref::<io::Error>()
            && e.kind() == io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        #[cfg(feature = "reqwest")]
        if let Some(e) = error.downcast_ref::<reqwest::Error>() {
            return e.is_connect();
        }
        next = error.source();
    }
    false
}

fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(e) = error.downcast_ref::<io::Error>() {
        return Some(e);
    }
    if let Some(e) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(e.as_ref());
    }
    if let Some(e) = error.downcast_ref::<Box<dyn Error>>() {
        return Some(e.as_ref());
    }
    #[cfg(feature = "reqwest")]
    if let Some(e) = error.downcast_ref::<reqwest::Error>() {
        return Some(e);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("connecting")]
    struct Connecting(#[source] io::Error);

    fn of(kind: io::ErrorKind) -> io::Error {
        io::Error::from(kind)
    }

    #[test]
    fn a_refused_connection_is_found_along_the_sources() {
        use io::ErrorKind::ConnectionRefused;
        let bare = of(ConnectionRefused);
        let boxed: Box<dyn Error + Send + Sync> = Box::new(Connecting(of(ConnectionRefused)));
        let local: Box<dyn Error> = Box::new(Connecting(of(ConnectionRefused)));
        assert!(proves_unsent(&bare) && proves_unsent(&boxed) && proves_unsent(&local));
    }

    #[test]
    fn what_can_come_after_the_request_proves_nothing() {
        use io::ErrorKind::*;
        for kind in [
            ConnectionReset,
            ConnectionAborted,
            BrokenPipe,
            TimedOut,
            HostUnreachable,
            UnexpectedEof,
            Other,
        ] {
            let boxed: Box<dyn Error + Send + Sync> = Box::new(Connecting(of(kind)));
            assert!(
                !proves_unsent(&of(kind)) && !proves_unsent(&boxed),
                "{kind}"
            );
        }
    }

    #[test]
    fn an_error_that_cannot_be_looked_into_proves_nothing() {
        assert!(!proves_unsent(&Connecting(of(
            io::ErrorKind::ConnectionRefused
        ))));
        assert!(!proves_unsent(&"connection refused"));
    }
}
