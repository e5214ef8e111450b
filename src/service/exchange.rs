use crate::{Operation, Replay};
use pin_project::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// How a request is kept for another attempt.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep a copy of `{Req}` for another attempt",
    note = "`.layer()` needs `Req: Clone`; `.layer_once()` sends each request once; \
            `.layer_with(f)` takes `Fn(&Req) -> Option<Req>`"
)]
pub trait KeepRequest<Req> {
    /// A copy, or `None` to send this one once.
    fn keep(&self, request: &Req) -> Option<Req>;
}

/// By `Clone`. The form of `layer()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest;

impl<Req: Clone> KeepRequest<Req> for CloneRequest {
    #[inline]
    fn keep(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

/// Not at all. The form of `layer_once()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOnce;

impl<Req> KeepRequest<Req> for SendOnce {
    #[inline]
    fn keep(&self, _: &Req) -> Option<Req> {
        None
    }
}

/// By a function. The form of `layer_with(f)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyWith<F>(pub(crate) F);

impl<Req, F: Fn(&Req) -> Option<Req>> KeepRequest<Req> for CopyWith<F> {
    #[inline]
    fn keep(&self, request: &Req) -> Option<Req> {
        (self.0)(request)
    }
}

/// A service and the request it is to answer.
pub struct Exchange<I, Req, K> {
    service: I,
    request: Option<Req>,
    keep: K,
    replay: Replay,
}

impl<I, Req, K> Exchange<I, Req, K> {
    #[inline]
    pub(super) fn new(service: I, request: Req, keep: K, replay: Replay) -> Self {
        Exchange {
            service,
            request: Some(request),
            keep,
            replay,
        }
    }
}

impl<I: Service<Req> + Clone, Req, K: KeepRequest<Req>> Operation for Exchange<I, Req, K> {
    type Ok = I::Response;
    type Err = I::Error;
    type Future = ReadyCall<I, Req>;

    #[inline]
    fn start(&mut self, keep: bool) -> Option<Self::Future> {
        let request = self.request.take()?;
        if keep && self.replay != Replay::Never {
            self.request = self.keep.keep(&request);
        }
        Some(ReadyCall::new(self.service.clone(), request))
    }

    #[inline]
    fn can_repeat(&self) -> bool {
        self.request.is_some()
    }

    #[inline]
    fn replay(&self) -> Replay {
        self.replay
    }

    #[inline]
    fn sent(attempt: &Self::Future) -> bool {
        attempt.waiting.is_none()
    }
}

/// One attempt: readies a clone of the service, then calls that clone.
///
/// # Cancel safety
/// Dropping it drops the clone, or the service's own future.
#[pin_project]
pub struct ReadyCall<I: Service<Req>, Req> {
    waiting: Option<(I, Req)>,
    #[pin]
    answer: Option<I::Future>,
}

impl<I: Service<Req>, Req> ReadyCall<I, Req> {
    #[inline]
    pub(crate) fn new(service: I, request: Req) -> Self {
        ReadyCall {
            waiting: Some((service, request)),
            answer: None,
        }
    }

    /// Whether the service was called, and not only readied.
    pub(crate) fn was_called(&self) -> bool {
        self.waiting.is_none()
    }
}

impl<I: Service<Req>, Req> Future for ReadyCall<I, Req> {
    type Output = Result<I::Response, I::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some((service, _)) = this.waiting {
            ready!(service.poll_ready(cx))?;
            if let Some((mut service, request)) = this.waiting.take() {
                this.answer.set(Some(service.call(request)));
            }
        }
        this.answer
            .as_pin_mut()
            .map_or(Poll::Pending, |answer| answer.poll(cx))
    }
}
