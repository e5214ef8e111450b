use crate::{Error, Rejected};
use pin_project::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Server side: a refusal becomes an answer.
///
/// So the error type is the inner service's own again. Goes outside a [`Guard`](crate::Guard).
///
/// ```
/// use seawall::{Bulkhead, service::respond_with};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio_test::block_on(async {
/// let full = Bulkhead::new(0).build()?;
/// let service = ServiceBuilder::new()
///     .layer(respond_with(|r: seawall::Rejected| format!("503: {r}")))
///     .layer(full.layer())
///     .service(service_fn(|_: ()| async { Ok::<_, std::io::Error>(String::from("200")) }));
/// assert_eq!(service.oneshot(()).await?, "503: bulkhead `bulkhead` is full");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn respond_with<T>(with: fn(Rejected) -> T) -> RespondLayer<T> {
    RespondLayer { with }
}

/// See [`respond_with`].
pub struct RespondLayer<T> {
    with: fn(Rejected) -> T,
}

impl<T> Clone for RespondLayer<T> {
    fn clone(&self) -> Self {
        RespondLayer { with: self.with }
    }
}

impl<I, T> Layer<I> for RespondLayer<T> {
    type Service = Respond<I, T>;

    fn layer(&self, inner: I) -> Respond<I, T> {
        Respond {
            inner,
            refused: None,
            with: self.with,
        }
    }
}

/// A guarded service whose refusals are answers. See [`respond_with`].
pub struct Respond<I, T> {
    inner: I,
    /// What the service inside said in place of getting ready.
    refused: Option<Rejected>,
    with: fn(Rejected) -> T,
}

impl<I: Clone, T> Clone for Respond<I, T> {
    fn clone(&self) -> Self {
        Respond {
            inner: self.inner.clone(),
            refused: None,
            with: self.with,
        }
    }
}

impl<I, Req, T, E> Service<Req> for Respond<I, T>
where
    I: Service<Req, Response = T, Error = Error<E>>,
{
    type Response = T;
    type Error = E;
    type Future = RespondFuture<I::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        // A refusal is answered in `call`; here it could only stall.
        self.refused = match ready!(self.inner.poll_ready(cx)) {
            Ok(()) => None,
            Err(Error::Inner(e)) => return Poll::Ready(Err(e)),
            Err(Error::Rejected(r)) => Some(r),
        };
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (refused, with) = (self.refused.take(), self.with);
        // What is not ready must not be called.
        let inner = match refused {
            None => Some(self.inner.call(request)),
            Some(_) => None,
        };
        RespondFuture {
            inner,
            refused,
            with,
        }
    }
}

/// The future of [`Respond`].
///
/// # Cancel safety
/// Dropping it drops the inner service's future.
#[pin_project]
pub struct RespondFuture<F, T> {
    #[pin]
    inner: Option<F>,
    refused: Option<Rejected>,
    with: fn(Rejected) -> T,
}

impl<F: Future<Output = Result<T, Error<E>>>, T, E> Future for RespondFuture<F, T> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let refused = match this.inner.as_pin_mut() {
            Some(inner) => match ready!(inner.poll(cx)) {
                Ok(answer) => return Poll::Ready(Ok(answer)),
                Err(Error::Inner(e)) => return Poll::Ready(Err(e)),
                Err(Error::Rejected(r)) => Some(r),
            },
            None => this.refused.take(),
        };
        // Nothing: polled again after its end.
        refused.map_or(Poll::Pending, |r| Poll::Ready(Ok((this.with)(r))))
    }
}
