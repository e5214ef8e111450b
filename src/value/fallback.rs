//! Fallbacks: a value, a function, another operation, another service.
use crate::service::ReadyCall;
use crate::value::{FallbackError, Rescue};
use pin_project::pin_project;
use std::{
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// A value in place of an error. See [`ValueExt::or_value`](crate::value::ValueExt::or_value).
#[derive(Clone, Debug)]
pub struct OrValue<T>(Option<T>);

impl<T> OrValue<T> {
    pub(super) fn new(value: T) -> Self {
        OrValue(Some(value))
    }
}

impl<T, E> Rescue<T, E> for OrValue<T> {
    type Ok = T;
    type Err = E;
    type Future = Ready<Result<T, E>>;

    fn keep(&mut self, value: T) -> T {
        value
    }

    fn pass(&mut self, error: E) -> E {
        error
    }

    fn rescue(&mut self, error: E) -> Self::Future {
        ready(self.0.take().ok_or(error))
    }
}

/// A function of the error. See [`ValueExt::or_with`](crate::value::ValueExt::or_with).
#[derive(Clone, Debug)]
pub struct OrWith<F>(Option<F>);

impl<F> OrWith<F> {
    pub(super) fn new(f: F) -> Self {
        OrWith(Some(f))
    }
}

impl<T, E, F: FnOnce(E) -> Result<T, E>> Rescue<T, E> for OrWith<F> {
    type Ok = T;
    type Err = E;
    type Future = Ready<Result<T, E>>;

    fn keep(&mut self, value: T) -> T {
        value
    }

    fn pass(&mut self, error: E) -> E {
        error
    }

    fn rescue(&mut self, error: E) -> Self::Future {
        ready(match self.0.take() {
            Some(f) => f(error),
            None => Err(error),
        })
    }
}

/// Another operation. See [`ValueExt::or_run`](crate::value::ValueExt::or_run).
#[derive(Clone, Debug)]
pub struct OrRun<F>(Option<F>);

impl<F> OrRun<F> {
    pub(super) fn new(f: F) -> Self {
        OrRun(Some(f))
    }
}

impl<T, E, F, Fut, B> Rescue<T, E> for OrRun<F>
where
    F: FnOnce(&E) -> Fut,
    Fut: Future<Output = Result<T, B>>,
{
    type Ok = T;
    type Err = FallbackError<E, B>;
    type Future = Fallen<Fut, E>;

    fn keep(&mut self, value: T) -> T {
        value
    }

    fn pass(&mut self, error: E) -> Self::Err {
        FallbackError::Passed(error)
    }

    fn rescue(&mut self, error: E) -> Self::Future {
        Fallen {
            fallback: self.0.take().map(|f| f(&error)),
            first: Some(error),
        }
    }
}

/// Another service, asked the same request. See [`or_service`](crate::value::or_service).
pub struct OrService<S, Req> {
    asked: Option<(S, Req)>,
}

impl<S, Req> OrService<S, Req> {
    pub(super) fn new(asked: Option<(S, Req)>) -> Self {
        OrService { asked }
    }
}

impl<E, S: Service<Req>, Req> Rescue<S::Response, E> for OrService<S, Req> {
    type Ok = S::Response;
    type Err = FallbackError<E, S::Error>;
    type Future = Fallen<ReadyCall<S, Req>, E>;

    fn wants(&self, _: &E) -> bool {
        self.asked.is_some()
    }

    fn keep(&mut self, value: S::Response) -> S::Response {
        value
    }

    fn pass(&mut self, error: E) -> Self::Err {
        FallbackError::Passed(error)
    }

    fn rescue(&mut self, error: E) -> Self::Future {
        let asked = self.asked.take();
        Fallen {
            fallback: asked.map(|(service, request)| ReadyCall::new(service, request)),
            first: Some(error),
        }
    }
}

/// A fallback under way, and the error that it is to make good.
///
/// # Cancel safety
/// Dropping it drops the fallback and the error.
#[pin_project]
#[must_use = "futures do nothing unless awaited"]
pub struct Fallen<Fut, E> {
    #[pin]
    fallback: Option<Fut>,
    first: Option<E>,
}

impl<Fut: Future<Output = Result<T, B>>, T, E, B> Future for Fallen<Fut, E> {
    type Output = Result<T, FallbackError<E, B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = match this.fallback.as_mut().as_pin_mut() {
            Some(fallback) => Some(ready!(fallback.poll(cx))),
            None => None,
        };
        this.fallback.set(None);
        match (result, this.first.take()) {
            (Some(Ok(value)), _) => Poll::Ready(Ok(value)),
            (Some(Err(fallback)), Some(first)) => {
                Poll::Ready(Err(FallbackError::Both { first, fallback }))
            }
            (None, Some(first)) => Poll::Ready(Err(FallbackError::Passed(first))),
            // Polled again after its end.
            (_, None) => Poll::Pending,
        }
    }
}
