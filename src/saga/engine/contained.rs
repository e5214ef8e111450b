//! User code that may panic wherever it runs: when it is polled, when it ends, and when it is dropped
//! before its end.
use pin_project::{pin_project, pinned_drop};
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// `Err`: it panicked. What its destructors panic with is nobody's: they change no outcome.
#[pin_project(PinnedDrop)]
pub(super) struct Contained<F> {
    #[pin]
    code: Option<F>,
}

impl<F> Contained<F> {
    pub(super) fn new(code: F) -> Self {
        Contained { code: Some(code) }
    }

    fn end(self: Pin<&mut Self>) {
        let mut code = self.project().code;
        let _ = catch_unwind(AssertUnwindSafe(|| code.set(None)));
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(code) = self.as_mut().project().code.as_pin_mut() else {
            return Poll::Pending;
        };
        let ended = match catch_unwind(AssertUnwindSafe(|| code.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(out)) => Ok(out),
            Err(panic) => Err(panic),
        };
        self.end();
        Poll::Ready(ended)
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Contained<F> {
    fn drop(self: Pin<&mut Self>) {
        self.end();
    }
}
