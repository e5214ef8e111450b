//! The tower surface of the value wrappers.
//!
//! Like [`Guard`](crate::Guard), a [`RescueService`] is always ready and readies a clone of the
//! service inside the future, so that a service that will not get ready is rescued like one that
//! fails.
use crate::service::{CloneRequest, CopyWith, KeepRequest, ReadyCall};
use crate::value::{
    LastKnownGood, OnlyIf, OrLastGood, OrRun, OrService, OrValue, OrWith, Rescue, Rescued,
    RescuedBy,
};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Makes the [`Rescue`] for one request.
pub trait Prepare<Req> {
    /// It.
    type Rescue;

    /// Called once per request, before it is sent.
    fn prepare(&self, request: &Req) -> Self::Rescue;
}

/// A clone of the same one for each request.
#[derive(Clone, Debug)]
pub struct Each<R>(pub R);

impl<Req, R: Clone> Prepare<Req> for Each<R> {
    type Rescue = R;

    fn prepare(&self, _: &Req) -> R {
        self.0.clone()
    }
}

impl<Req, R: Prepare<Req>, P: Clone> Prepare<Req> for OnlyIf<R, P> {
    type Rescue = OnlyIf<R::Rescue, P>;

    fn prepare(&self, request: &Req) -> Self::Rescue {
        OnlyIf {
            rescue: self.rescue.prepare(request),
            wanted: self.wanted.clone(),
        }
    }
}

/// Another service and how the request is kept for it. Made by [`or_service`].
#[derive(Clone, Debug)]
pub struct Other<S, K> {
    service: S,
    keep: K,
}

impl<Req, S: Clone, K: KeepRequest<Req>> Prepare<Req> for Other<S, K> {
    type Rescue = OrService<S, Req>;

    fn prepare(&self, request: &Req) -> Self::Rescue {
        let kept = self.keep.keep(request);
        OrService::new(kept.map(|request| (self.service.clone(), request)))
    }
}

/// This value in place of an error, as a layer.
pub fn or_value<T: Clone>(value: T) -> RescueLayer<Each<OrValue<T>>> {
    RescueLayer(Each(OrValue::new(value)))
}

/// What `f` makes of an error, an answer or an error again, as a layer.
///
/// ```
/// use seawall::{Error, Timeout, value::or_with};
/// use std::{io, time::Duration};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio_test::block_on(async {
/// let limit = Timeout::after(Duration::from_secs(1)).build()?;
/// let service = ServiceBuilder::new()
///     .layer(or_with(|e: Error<io::Error>| match e {
///         Error::Inner(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
///         other => Err(other),
///     }))
///     .layer(limit.layer())
///     .service(service_fn(|_: ()| async { Err::<u32, _>(io::ErrorKind::NotFound.into()) }));
/// assert_eq!(service.oneshot(()).await?, 0);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn or_with<T, E, F>(f: F) -> RescueLayer<Each<OrWith<F>>>
where
    F: Fn(E) -> Result<T, E> + Clone,
{
    RescueLayer(Each(OrWith::new(f)))
}

/// The answer of another operation, as a layer.
///
/// It sees the error, not the request; where it needs that, use [`or_service`].
///
/// The service fails with a [`FallbackError`](crate::value::FallbackError).
pub fn or_run<T, E, B, F, Fut>(f: F) -> RescueLayer<Each<OrRun<F>>>
where
    F: Fn(&E) -> Fut + Clone,
    Fut: Future<Output = Result<T, B>>,
{
    RescueLayer(Each(OrRun::new(f)))
}

/// The answer of another service to the same request, as a layer.
///
/// Every request is cloned before it is sent.
///
/// The service fails with a [`FallbackError`](crate::value::FallbackError).
///
/// ```
/// use seawall::value::or_service;
/// use std::io::Error;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio_test::block_on(async {
/// let replica = service_fn(|id: u32| async move { Ok::<_, Error>(format!("{id}, a minute old")) });
/// let service = ServiceBuilder::new()
///     .layer(or_service(replica))
///     .service(service_fn(|_: u32| async { Err::<String, _>(Error::other("primary is down")) }));
/// assert_eq!(service.oneshot(7).await?, "7, a minute old");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn or_service<S>(service: S) -> RescueLayer<Other<S, CloneRequest>> {
    let keep = CloneRequest;
    RescueLayer(Other { service, keep })
}

/// As [`or_service`], with a function that copies the request.
///
/// Such as reqwest's `Request::try_clone`. Where it gives `None`, there is no fallback and the
/// error passes.
pub fn or_service_with<S, Req, F>(service: S, copy: F) -> RescueLayer<Other<S, CopyWith<F>>>
where
    F: Fn(&Req) -> Option<Req> + Clone,
{
    let keep = CopyWith(copy);
    RescueLayer(Other { service, keep })
}

/// The last good answer in place of an error, as a layer.
///
/// The service answers with a [`Kept`](crate::value::Kept).
///
/// One value for all requests: use it where every request asks the same.
pub fn or_last_good<T: Clone>(good: &LastKnownGood<T>) -> RescueLayer<Each<OrLastGood<T>>> {
    RescueLayer(Each(OrLastGood::new(good)))
}

/// Puts a value wrapper around a service. Goes outside of what guards it.
#[derive(Clone, Debug)]
pub struct RescueLayer<P>(pub(super) P);

impl<P> RescueLayer<P> {
    /// A layer for a [`Rescue`] of your own.
    pub fn new(prepare: P) -> Self {
        RescueLayer(prepare)
    }

    /// Rescues only the errors for which `wanted` is true; the others pass as they are.
    ///
    /// A panic of `wanted` counts as false. Default: every error.
    pub fn only_if<E, F: Fn(&E) -> bool + Clone>(self, wanted: F) -> RescueLayer<OnlyIf<P, F>> {
        let rescue = self.0;
        RescueLayer(OnlyIf { rescue, wanted })
    }
}

impl<I, P: Clone> Layer<I> for RescueLayer<P> {
    type Service = RescueService<I, P>;

    fn layer(&self, inner: I) -> Self::Service {
        RescueService {
            inner,
            prepare: self.0.clone(),
        }
    }
}

/// A service whose failures are answered. Clones share what the wrapper shares.
#[derive(Clone, Debug)]
pub struct RescueService<I, P> {
    inner: I,
    prepare: P,
}

impl<I, P> RescueService<I, P> {
    /// The service inside.
    pub fn get_ref(&self) -> &I {
        &self.inner
    }

    /// The service inside.
    pub fn get_mut(&mut self) -> &mut I {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> I {
        self.inner
    }
}

impl<I, Req, P> Service<Req> for RescueService<I, P>
where
    I: Service<Req> + Clone,
    P: Prepare<Req>,
    P::Rescue: Rescue<I::Response, I::Error>,
{
    type Response = <P::Rescue as Rescue<I::Response, I::Error>>::Ok;
    type Error = <P::Rescue as Rescue<I::Response, I::Error>>::Err;
    type Future = RescuedBy<ReadyCall<I, Req>, P::Rescue, I::Response, I::Error>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let rescue = self.prepare.prepare(&request);
        Rescued::new(ReadyCall::new(self.inner.clone(), request), rescue)
    }
}
