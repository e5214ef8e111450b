//! Futures polled by hand.
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

/// A guarded call that is under way.
pub type Call = Pin<Box<dyn Future<Output = ()>>>;

/// One poll of a call that is ready then.
#[inline(always)]
pub fn once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

/// Whether it is still under way.
pub fn waits(call: &mut Call) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    call.as_mut().poll(&mut cx).is_pending()
}

/// An operation that ends when it is told to. Clones are told together.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, SeqCst);
    }

    /// Ends at the first poll after it was opened.
    pub async fn pass(self) -> Result<(), ()> {
        std::future::poll_fn(|_| match self.0.load(SeqCst) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        })
        .await
    }
}
