//! A guarded call under observation: whose log it writes is known to whoever is called back from it,
//! its panics end here, and it may be dropped at any of its polls.
use pin_project::{pin_project, pinned_drop};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The slot of the call that this thread polls or drops just now.
pub fn current() -> Option<usize> {
    CURRENT.get()
}

fn on_behalf<T>(slot: usize, act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let outer = CURRENT.replace(Some(slot));
    let done = catch_unwind(AssertUnwindSafe(act));
    CURRENT.set(outer);
    done
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    ToItsEnd,
    /// Instead of this poll, the first being 0. Until then it is polled again and again, whether
    /// somebody has woken it or not.
    DroppedAt(u32),
    /// Never dropped, and polled as often for no reason.
    Pestered(u32),
}

pub enum End<T> {
    Answered(T),
    Dropped,
    /// With what was thrown, also while it was dropped.
    Panicked(Box<dyn Any + Send>),
}

#[pin_project(PinnedDrop)]
pub struct Watched<F> {
    #[pin]
    call: Option<F>,
    slot: usize,
    fate: Fate,
    polls: u32,
}

impl<F> Watched<F> {
    pub fn new(call: F, slot: usize, fate: Fate) -> Self {
        Watched {
            call: Some(call),
            slot,
            fate,
            polls: 0,
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = End<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let at = *this.polls;
        *this.polls += 1;
        if *this.fate == Fate::DroppedAt(at) {
            return Poll::Ready(match on_behalf(*this.slot, || this.call.set(None)) {
                Ok(()) => End::Dropped,
                Err(thrown) => End::Panicked(thrown),
            });
        }
        let polled = on_behalf(*this.slot, || match this.call.as_mut().as_pin_mut() {
            Some(call) => call.poll(cx),
            None => Poll::Pending,
        });
        let end = match polled {
            Ok(Poll::Pending) => {
                if let Fate::DroppedAt(last) | Fate::Pestered(last) = *this.fate
                    && at < last
                {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            Ok(Poll::Ready(answer)) => End::Answered(answer),
            Err(thrown) => End::Panicked(thrown),
        };
        Poll::Ready(match on_behalf(*this.slot, || this.call.set(None)) {
            Ok(()) => end,
            Err(thrown) => End::Panicked(thrown),
        })
    }
}

/// A task that is aborted drops it wherever it is.
#[pinned_drop]
impl<F> PinnedDrop for Watched<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        // What is thrown here, the operation has noted.
        let _ = on_behalf(*this.slot, || this.call.set(None));
    }
}
