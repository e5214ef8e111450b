//! The engine as a [`Service`]: a request starts a saga, the answer is how it ended.
//!
//! For what is made of services already: a saga behind a server's timeout and concurrency limit, or
//! under a policy of this crate. The start is a promise all the same: once a saga is written down it
//! ends, whatever the layers around it do to the caller.
//!
//! ```
//! use seawall::{Timeout, saga::{Abort, Engine, Flow, MemoryStore, Start}};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # tokio_test::block_on(async {
//! let mut b = Engine::builder((), MemoryStore::new());
//! let double = b.saga("double", async |_: Flow, n: u32| Ok::<_, Abort>(2 * n));
//! let engine = b.build().await?;
//!
//! let limit = Timeout::after(Duration::from_secs(30)).name("double").build()?;
//! let service = ServiceBuilder::new().layer(limit.layer()).service(engine.service(double));
//! assert_eq!(service.oneshot(Start::new("key-1", 21)).await?, 42);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
use super::{Alive, Engine, SagaError, core::Core, start::Starting};
use crate::saga::flow::{Saga, SagaRef};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt,
    future::{Future, IntoFuture as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;

/// A saga to start, as a request: what [`Engine::start`] and [`Engine::start_saga`] take.
///
/// A clone is the same saga, since it has the same key: a retry around the service waits for the
/// saga that the first attempt has started.
#[derive(Clone, Debug, PartialEq)]
pub struct Start<In> {
    key: String,
    input: In,
    deadline: Option<Duration>,
}

impl<In> Start<In> {
    /// With your key, of 1 to 255 bytes; see [`Engine::start`].
    pub fn new(key: impl Into<String>, input: In) -> Self {
        Start {
            key: key.into(),
            input,
            deadline: None,
        }
    }

    /// As [`Starting::deadline`]. Default: never.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// Your key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A saga as a service, made by [`Engine::service`]. Clones share the engine, and keep it running.
pub struct SagaService<In, Out> {
    core: Arc<Core>,
    alive: Arc<Alive>,
    saga: SagaRef<In, Out>,
}

impl<App> Engine<App> {
    /// The saga as a [`Service`].
    ///
    /// A [`Start`] is answered with its output, or with how it ended otherwise. A saga that is a
    /// type needs none: for it the engine itself is the service.
    ///
    /// It is always ready, but for a store that has failed, which it tells as its readiness's error.
    /// What the engine refuses, it refuses in the answer.
    pub fn service<In, Out>(&self, saga: SagaRef<In, Out>) -> SagaService<In, Out> {
        SagaService {
            core: self.core.clone(),
            alive: self._alive.clone(),
            saga,
        }
    }
}

impl<In, Out> Service<Start<In>> for SagaService<In, Out>
where
    In: Serialize,
    Out: DeserializeOwned + 'static,
{
    type Response = Out;
    type Error = SagaError;
    type Future = SagaRun<Out>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SagaError>> {
        ready(&self.core)
    }

    fn call(&mut self, start: Start<In>) -> SagaRun<Out> {
        let starting = Starting::of(&self.core, self.saga, start.key, &start.input);
        SagaRun::new(self.alive.clone(), starting, start.deadline)
    }
}

/// For sagas that are types.
impl<App, S> Service<Start<S>> for Engine<App>
where
    App: Send + Sync + 'static,
    S: Saga<App>,
{
    type Response = S::Output;
    type Error = SagaError;
    type Future = SagaRun<S::Output>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SagaError>> {
        ready(&self.core)
    }

    fn call(&mut self, start: Start<S>) -> SagaRun<S::Output> {
        let starting = self.start_saga(start.key, start.input);
        SagaRun::new(self._alive.clone(), starting, start.deadline)
    }
}

/// A store that has failed is gone for good.
fn ready(core: &Core) -> Poll<Result<(), SagaError>> {
    Poll::Ready(match core.is_closed() {
        Some(error) => Err(SagaError::Store(error)),
        None => Ok(()),
    })
}

/// Starts a saga and waits for its end.
///
/// The future of [`SagaService`], and of [`Engine`] as a service. It keeps the engine running. One
/// allocation holds it.
///
/// # Errors
/// [`SagaError`]: how the saga ended other than completed, [`SagaError::Start`] where it was not
/// started.
///
/// # Cancel safety
/// Dropping it cancels nothing. Before its first poll nothing is started; later the saga is either
/// started or not, and the same [`Start`] tells.
#[must_use = "nothing is started until it is awaited"]
pub struct SagaRun<Out>(Pin<Box<dyn Future<Output = Result<Out, SagaError>> + Send>>);

impl<Out: DeserializeOwned + 'static> SagaRun<Out> {
    fn new(alive: Arc<Alive>, starting: Starting<Out>, deadline: Option<Duration>) -> Self {
        SagaRun(Box::pin(async move {
            let _alive = alive;
            let starting = match deadline {
                Some(after) => starting.deadline(after),
                None => starting,
            };
            starting.into_future().await?.outcome().await
        }))
    }
}

impl<Out> Future for SagaRun<Out> {
    type Output = Result<Out, SagaError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<Out> fmt::Debug for SagaRun<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaRun").finish_non_exhaustive()
    }
}

impl<In, Out> Clone for SagaService<In, Out> {
    fn clone(&self) -> Self {
        SagaService {
            core: self.core.clone(),
            alive: self.alive.clone(),
            saga: self.saga,
        }
    }
}

impl<In, Out> fmt::Debug for SagaService<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SagaService({:?})", self.saga)
    }
}
