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
            with: self.with,
        }
    }
}

/// A guarded service whose refusals are answers. See [`respond_with`].
pub struct Respond<I, T> {
    inner: I,
    with: fn(Rejected) -> T,
}

impl<I: Clone, T> Clone for Respond<I, T> {
    fn clone(&self) -> Self {
        Respond {
            inner: self.inner.clone(),
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
        match self.inner.poll_ready(cx) {
            Poll::Ready(Err(Error::Inner(e))) => Poll::Ready(Err(e)),
            // A refusal is answered in `call`; here it could only stall.
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        RespondFuture {
            inner: self.inner.call(request),
            with: self.with,
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
    inner: F,
    with: fn(Rejected) -> T,
}

impl<F: Future<Output = Result<T, Error<E>>>, T, E> Future for RespondFuture<F, T> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.inner.poll(cx)) {
            Ok(answer) => Ok(answer),
            Err(Error::Inner(e)) => Err(e),
            Err(Error::Rejected(r)) => Ok((this.with)(r)),
        })
    }
}
