//! The tower surface: the same driver in front of a [`Service`].
//!
//! `poll_ready` is always ready: gates are asked first, in the future; then, for each attempt, a
//! clone of the inner service is readied and that very instance called. So an open circuit never
//! waits for a busy service, and waiting for readiness counts against the timeouts.
//!
//! Three forms say how a request is kept for another attempt: [`layer`](Pipeline::layer) clones it,
//! [`layer_with`](Pipeline::layer_with) copies it by a function that may say no (reqwest's
//! `Request::try_clone`), [`layer_once`](Pipeline::layer_once) sends it once.
//!
//! ```
//! use seawall::{Pipeline, Retry, Timeout};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio_test::block_on(async {
//! let guard = Pipeline::builder("echo")
//!     .with(Timeout::after(Duration::from_secs(1)))
//!     .with(Retry::attempts(2))
//!     .build()?;
//! let service = ServiceBuilder::new()
//!     .layer(guard.layer())
//!     .service(service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n + 1) }));
//! assert_eq!(service.oneshot(1).await?, 2);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod exchange;
mod respond;

pub use exchange::{CloneRequest, CopyWith, Exchange, KeepRequest, ReadyCall, SendOnce};
pub use respond::{Respond, RespondFuture, RespondLayer, respond_with};

use crate::dialect::Standard;
use crate::error::Check;
use crate::pipeline::List;
use crate::policy::{Policy, Role};
use crate::run::plan::{Shared, Stack};
use crate::{BuildError, Classify, Flat, Inspect, Pipeline, Run, Target};
use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a pipeline, or one policy, in front of a service.
///
/// `D` is the dialect, `M` what errors are folded into, `K` how a request is kept for another
/// attempt, `S` a pipeline's list or one policy.
pub struct GuardLayer<D = Standard, M = Flat, K = CloneRequest, S = List> {
    shared: Arc<Shared<S, D>>,
    keep: K,
    target: PhantomData<fn() -> M>,
}

impl<D, M> Pipeline<D, M> {
    fn layer_keeping<K>(&self, keep: K) -> GuardLayer<D, M, K> {
        GuardLayer {
            shared: self.shared.clone(),
            keep,
            target: PhantomData,
        }
    }

    /// Each further attempt sends a clone of the request.
    ///
    /// Service and request have to be `Clone`; else the compiler says that `Guard` is no `Service`. A
    /// request that is not, reqwest's say, goes with [`layer_with`](Pipeline::layer_with), a service that
    /// is not with `tower::buffer`.
    pub fn layer(&self) -> GuardLayer<D, M, CloneRequest> {
        self.layer_keeping(CloneRequest)
    }

    /// Each further attempt sends what `copy` makes of the request; `None` sends that one once.
    pub fn layer_with<Req, F: Fn(&Req) -> Option<Req> + Clone>(
        &self,
        copy: F,
    ) -> GuardLayer<D, M, CopyWith<F>> {
        self.layer_keeping(CopyWith(copy))
    }

    /// Each request is sent once.
    ///
    /// # Errors
    /// The pipeline holds a retry or a hedge, which could never do anything.
    pub fn layer_once(&self) -> Result<GuardLayer<D, M, SendOnce>, BuildError> {
        let mut check = Check::new(self.name());
        let idle = self
            .shared
            .stack
            .iter()
            .find(|policy| policy.role() != Role::Gate);
        if let Some(policy) = idle {
            check.that(
                false,
                "layer_once",
                policy.name(),
                "no retry and no hedge, which could never repeat a request",
            );
        }
        check.done().map(|()| self.layer_keeping(SendOnce))
    }
}

impl<P: Policy, K> GuardLayer<Standard, Flat, K, P> {
    pub(crate) fn single(policy: P, keep: K) -> Self {
        let (name, repeats) = (policy.name(), policy.role() != Role::Gate);
        let shared = Shared {
            name,
            stack: policy,
            dialect: Standard,
            observer: None,
            repeats,
        };
        GuardLayer {
            shared: Arc::new(shared),
            keep,
            target: PhantomData,
        }
    }
}

#[cfg(feature = "grpc")]
impl<D, M, K, S> GuardLayer<D, M, K, S> {
    /// The same with errors folded into something else.
    pub(crate) fn folding<M2>(self) -> GuardLayer<D, M2, K, S> {
        GuardLayer {
            shared: self.shared,
            keep: self.keep,
            target: PhantomData,
        }
    }
}

impl<D, M, K: Clone, S> Clone for GuardLayer<D, M, K, S> {
    fn clone(&self) -> Self {
        GuardLayer {
            shared: self.shared.clone(),
            keep: self.keep.clone(),
            target: PhantomData,
        }
    }
}

impl<D, M, K, S> fmt::Debug for GuardLayer<D, M, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardLayer({:?})", self.shared.name)
    }
}

impl<I, D, M, K: Clone, S> Layer<I> for GuardLayer<D, M, K, S> {
    type Service = Guard<I, D, M, K, S>;

    fn layer(&self, inner: I) -> Self::Service {
        Guard {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind a pipeline or a policy. Clones share the policies' state.
pub struct Guard<I, D = Standard, M = Flat, K = CloneRequest, S = List> {
    inner: I,
    layer: GuardLayer<D, M, K, S>,
}

impl<I, D, M, K, S> Guard<I, D, M, K, S> {
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

impl<I: Clone, D, M, K: Clone, S> Clone for Guard<I, D, M, K, S> {
    fn clone(&self) -> Self {
        Guard {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<I: fmt::Debug, D, M, K, S> fmt::Debug for Guard<I, D, M, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

/// What a [`Guard`] answers with.
pub type GuardFuture<I, Req, D = Standard, M = Flat, K = CloneRequest, S = List> =
    Run<Arc<Shared<S, D>>, Exchange<I, Req, K>, M>;

impl<I, Req, D, M, K, S> Service<Req> for Guard<I, D, M, K, S>
where
    I: Service<Req> + Clone,
    D: Classify<I::Response, I::Error> + Inspect<Req>,
    M: Target<I::Error>,
    K: KeepRequest<Req> + Clone,
    S: Stack,
{
    type Response = I::Response;
    type Error = M::Error;
    type Future = GuardFuture<I, Req, D, M, K, S>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let shared = self.layer.shared.clone();
        let replay = shared.dialect.inspect(&request);
        Run::new(
            shared,
            Exchange::new(self.inner.clone(), request, self.layer.keep.clone(), replay),
        )
    }
}
