use super::{
    StepFailed,
    shared::{self, Ask, Delivered, Shared},
};
use serde::de::DeserializeOwned;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// An operation of a saga. It begins when it is first polled, and gets its number then.
///
/// # Cancel safety
/// Dropped before that, it does nothing. Later a step, a child or a compensation runs on and counts,
/// a timer is forgotten, and a signal stays for the next wait.
#[must_use = "nothing happens until it is awaited"]
pub struct Op<T> {
    shared: Arc<Shared>,
    what: &'static str,
    stage: Stage,
    decode: Decode<T>,
}

enum Stage {
    New(Ask),
    Asked(u32),
    Over,
}

/// The number of an operation, for [`Flow::undo`](super::Flow::undo).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpId(pub(super) u32);

/// Which of two was first, from [`Flow::race`](super::Flow::race).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raced<A, B> {
    /// The first one given.
    First(A),
    /// The second one given.
    Second(B),
}

pub(super) struct Decode<T>(fn(&'static str, Delivered) -> Result<T, String>);

impl<T> Decode<T> {
    pub(super) fn of(decode: fn(&'static str, Delivered) -> Result<T, String>) -> Self {
        Decode(decode)
    }
}

impl<T: DeserializeOwned> Decode<Result<T, StepFailed>> {
    pub(super) fn step() -> Self {
        Decode(shared::step)
    }
}

impl<T> Op<T> {
    pub(super) fn new(
        shared: &Arc<Shared>,
        ask: Ask,
        what: &'static str,
        decode: Decode<T>,
    ) -> Self {
        let ask = match ask {
            Ask::Step {
                name,
                origin: Some(origin),
                ..
            }
            | Ask::Child { name, origin, .. }
                if origin != shared.origin =>
            {
                Ask::Foreign(name)
            }
            ask => ask,
        };
        Op {
            shared: shared.clone(),
            what,
            stage: Stage::New(ask),
            decode,
        }
    }

    /// The same operation, which also tells its number.
    ///
    /// # Cancel safety
    /// As the operation.
    pub fn numbered(self) -> Numbered<T> {
        Numbered(self)
    }
}

impl<T> Unpin for Op<T> {}

impl<T> Future for Op<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        match std::mem::replace(&mut this.stage, Stage::Over) {
            Stage::New(ask) => {
                this.stage = Stage::Asked(this.shared.ask(ask, cx.waker().clone()));
                Poll::Pending
            }
            Stage::Asked(op) => match this.shared.take(op, cx.waker()) {
                None => {
                    this.stage = Stage::Asked(op);
                    Poll::Pending
                }
                Some(delivered) => match (this.decode.0)(this.what, delivered) {
                    Ok(value) => Poll::Ready(value),
                    Err(why) => {
                        // The engine finds it and parks the saga; the code goes no further.
                        this.shared.undecodable(why);
                        Poll::Pending
                    }
                },
            },
            // After its end, or after an answer that cannot be read.
            Stage::Over => Poll::Pending,
        }
    }
}

impl<T> Drop for Op<T> {
    fn drop(&mut self) {
        if let Stage::Asked(op) = self.stage {
            self.shared.let_go(op);
        }
    }
}

/// The future of [`Op::numbered`].
///
/// # Cancel safety
/// As [`Op`].
#[must_use = "nothing happens until it is awaited"]
pub struct Numbered<T>(Op<T>);

impl<T> Future for Numbered<T> {
    type Output = (OpId, T);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(OpId, T)> {
        let number = match self.0.stage {
            Stage::Asked(op) => OpId(op),
            Stage::New(_) | Stage::Over => OpId(u32::MAX),
        };
        Pin::new(&mut self.0).poll(cx).map(|value| (number, value))
    }
}
