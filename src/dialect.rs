//! Dialects: how the answers of one kind of dependency are read.
//!
//! | dialect | for | feature |
//! |---|---|---|
//! | [`Standard`] | any `Result`: `Ok` is a success, `Err` may be tried again | – |
//! | [`By`] | a closure, through [`classify_with`](crate::pipeline::Builder::classify_with) | – |
//!
//! ```
//! use seawall::{Class, Classify, Replay, dialect::Standard};
//!
//! let answer: Result<u8, &str> = Err("down");
//! assert_eq!(Standard.classify(&answer, Replay::Always), Class::Transient);
//! ```
use crate::event::contain;
use crate::{Class, Classify, Inspect, Replay};

/// `Ok` is a success; `Err` is transient, or failed for good where the request must not be sent
/// again. Every request may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standard;

impl<T, E> Classify<T, E> for Standard {
    #[inline]
    fn classify(&self, result: &Result<T, E>, _: Replay) -> Class {
        if result.is_ok() {
            Class::Success
        } else {
            Class::Transient
        }
    }
}

impl<Req> Inspect<Req> for Standard {
    #[inline]
    fn inspect(&self, _: &Req) -> Replay {
        Replay::Always
    }
}

/// A closure as a dialect, made by [`classify_with`](crate::pipeline::Builder::classify_with).
/// Every request may be repeated. A panic of the closure is contained: [`Class::Ignored`].
#[derive(Clone, Copy, Debug)]
pub struct By<F>(pub(crate) F);

impl<T, E, F: Fn(&Result<T, E>) -> Class> Classify<T, E> for By<F> {
    #[inline]
    fn classify(&self, result: &Result<T, E>, _: Replay) -> Class {
        contain(Class::Ignored, || (self.0)(result))
    }
}

impl<Req, F> Inspect<Req> for By<F> {
    #[inline]
    fn inspect(&self, _: &Req) -> Replay {
        Replay::Always
    }
}
