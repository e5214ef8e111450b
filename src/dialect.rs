//! Dialects: how the answers of one kind of dependency are read.
//!
//! A breaker must know a failure when it sees one, and a retry must know what may be repeated.
//! Both are facts of the protocol, not of the policy: a 404 is an answer, a 503 is a failure, and a
//! `POST` that was answered 500 may have done its work. A dialect writes them down once, for every
//! policy of a pipeline.
//!
//! | dialect | for | feature |
//! |---|---|---|
//! | [`Standard`] | any `Result`: `Ok` is a success, `Err` may be tried again | – |
//! | [`By`] | a closure, through [`classify_with`](crate::pipeline::Builder::classify_with) | – |
#![cfg_attr(
    feature = "http",
    doc = "| [`Http`] | `http::Request` and `http::Response` | `http` |"
)]
#![cfg_attr(
    feature = "reqwest",
    doc = "| [`Http`] | reqwest's requests, responses and errors | `reqwest` |"
)]
#![cfg_attr(
    feature = "grpc",
    doc = "| [`Grpc`] | `tonic::Response` and `tonic::Status`; a tonic `Channel` | `grpc` |"
)]
//!
//! None of them fits where one dependency answers in several ways, or where `Ok` hides a failure
//! that only your code can see: then write a [`Classify`], or give
//! [`classify_with`](crate::pipeline::Builder::classify_with) a closure.
//!
//! # Sources
//! HTTP: RFC 9110 (methods that may be repeated: 9.2.2; `Retry-After`: 10.2.3) and RFC 6585 (429).
//! gRPC: gRFC A6, "client retries", and the meanings in google.rpc.Code.
//!
//! # Example
//! ```
//! use seawall::{Class, Classify, Replay, dialect::Standard};
//!
//! let answer: Result<u8, &str> = Err("down");
//! assert_eq!(Standard.classify(&answer, Replay::Always), Class::Transient);
//! ```
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "http")]
mod retry_after;
#[cfg(feature = "grpc")]
mod retry_info;
#[cfg(feature = "http")]
mod unsent;

#[cfg(feature = "grpc")]
pub(crate) use grpc::PUSHBACK;
#[cfg(feature = "grpc")]
pub use grpc::{AsStatus, Grpc};
#[cfg(feature = "http")]
pub use http::Http;

use crate::{Class, Classify, Inspect, Replay};

/// `Ok` is a success, `Err` a failure that may pass.
///
/// Every request may be repeated; what [`run_once`](crate::Pipeline::run_once) was given is not, and
/// its retry tells [`NotRepeatable`](crate::event::GaveUp::NotRepeatable).
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

    // It cannot panic, and is on the way of every call.
    #[inline]
    fn classify_contained(&self, result: &Result<T, E>, replay: Replay) -> Class {
        self.classify(result, replay)
    }
}

impl<Req> Inspect<Req> for Standard {
    #[inline]
    fn inspect(&self, _: &Req) -> Replay {
        Replay::Always
    }
}

/// A closure as a dialect, made by [`classify_with`](crate::pipeline::Builder::classify_with).
///
/// Every request may be repeated. A panic of the closure is contained: [`Class::Ignored`].
#[derive(Clone, Copy, Debug)]
pub struct By<F>(pub(crate) F);

impl<T, E, F: Fn(&Result<T, E>) -> Class> Classify<T, E> for By<F> {
    #[inline]
    fn classify(&self, result: &Result<T, E>, _: Replay) -> Class {
        (self.0)(result)
    }
}

impl<Req, F> Inspect<Req> for By<F> {
    #[inline]
    fn inspect(&self, _: &Req) -> Replay {
        Replay::Always
    }
}
