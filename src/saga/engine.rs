//! The engine: takes sagas from their start to their end, through crashes of its process.
//!
//! ```
//! use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, Outcome, StepContext};
//! use std::sync::Arc;
//!
//! struct Shop; // your clients and pools
//!
//! async fn reserve(_: Arc<Shop>, cx: StepContext, sku: String) -> Result<String, Failure> {
//!     Ok(format!("hold {sku} under {}", cx.idempotency_key().len()))
//! }
//! async fn release(_: Arc<Shop>, _: StepContext, _: String, _: Outcome<String>) -> Result<(), Failure> {
//!     Ok(())
//! }
//! async fn charge(_: Arc<Shop>, _: StepContext, cents: u64) -> Result<u64, Failure> {
//!     if cents > 1000 { Err(Failure::refused("card declined")) } else { Ok(cents) }
//! }
//! async fn refund(_: Arc<Shop>, _: StepContext, _: u64, _: Outcome<u64>) -> Result<(), Failure> {
//!     Ok(())
//! }
//!
//! # tokio_test::block_on(async {
//! let mut b = Engine::builder(Shop, MemoryStore::new());
//! let reserve = b.step("reserve_stock", reserve, release).register();
//! let charge = b.step("charge_payment", charge, refund).register();
//! let place_order = b.saga("place_order", move |saga: Flow, (sku, cents): (String, u64)| async move {
//!     saga.call(reserve, sku).await?;
//!     let paid = saga.pivot(charge, cents).await?;
//!     Ok::<_, Abort>(paid)
//! });
//! let engine = b.build().await?;
//!
//! let paid = engine.start(place_order, "order-42", ("A1".to_owned(), 990)).await?.outcome().await?;
//! assert_eq!(paid, 990);
//! let undone = engine.start(place_order, "order-43", ("A1".to_owned(), 9900)).await?.outcome().await;
//! assert_eq!(
//!     undone.unwrap_err().to_string(),
//!     "the saga was undone: step `charge_payment` was refused: card declined",
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod action;
mod backward;
mod book;
mod builder;
mod contained;
pub(super) mod core;
mod drive;
mod forward;
mod handle;
pub(super) mod link;
pub(super) mod operate;
mod schedule;
mod service;
mod start;
mod stats;
mod suspects;
mod timer;
mod told;
mod turns;

pub use builder::{Builder, EngineError, StepBuilder};
pub use handle::{Handle, SagaError};
pub use service::{SagaRun, SagaService, Start};
pub use start::{StartError, Starting};
pub use stats::Stats;

use self::core::Core;
use crate::saga::{
    flow::{Saga, SagaRef, Signal},
    operator::Operator,
    status::SagaStatus,
    store::{Counts, Letter, Posted, SagaId, Store, StoreError},
};
use serde::Serialize;
use std::{fmt, marker::PhantomData, sync::Arc};

/// Runs sagas.
///
/// Clones share it; when the last one is dropped its tasks end, as they do when its process dies: the
/// next engine goes on where they stood once the store is opened anew. For one on the same open store
/// [`drain`](Engine::drain) it first, which lets go of its sagas.
///
/// Spawns tasks that outlive the calls that began them: that is what it is for.
pub struct Engine<App> {
    core: Arc<Core>,
    _alive: Arc<Alive>,
    app: PhantomData<fn() -> App>,
}

/// Ends the tasks with the last handle.
struct Alive(Arc<Core>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}

impl<App> Clone for Engine<App> {
    fn clone(&self) -> Self {
        let (core, _alive) = (self.core.clone(), self._alive.clone());
        Engine {
            core,
            _alive,
            app: PhantomData,
        }
    }
}

impl<App: Send + Sync + 'static> Engine<App> {
    /// Begins one. `app` is what the steps work with: clients, pools, settings.
    pub fn builder(app: App, store: impl Store) -> Builder<App> {
        Builder::new(app, Arc::new(store))
    }
}

impl<App> Engine<App> {
    fn new(core: Arc<Core>) -> Self {
        let _alive = Arc::new(Alive(core.clone()));
        Engine {
            core,
            _alive,
            app: PhantomData,
        }
    }

    /// Starts a saga.
    ///
    /// `Ok` means that it is written down and will end, whatever happens to this process.
    ///
    /// The key is yours, up to 255 bytes: the same key with the same input is the same saga, also
    /// after it has ended, for as long as it is [kept](Builder::retention). So a start may be
    /// repeated.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// Dropped, the saga is either started or not; repeating the start tells.
    pub fn start<In: Serialize, Out>(
        &self,
        saga: SagaRef<In, Out>,
        key: impl Into<String>,
        input: In,
    ) -> Starting<Out> {
        Starting::of(&self.core, saga, key.into(), &input)
    }

    /// Starts a saga that is a type, see [`start`](Engine::start).
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// As [`start`](Engine::start).
    pub fn start_saga<S: Saga<App>>(&self, key: impl Into<String>, saga: S) -> Starting<S::Output>
    where
        App: Send + Sync + 'static,
    {
        Starting {
            core: self.core.clone(),
            name: S::NAME,
            version: S::VERSION,
            origin: self.core.origin,
            key: key.into(),
            input: builder::payload(&saga),
            deadline: None,
            out: PhantomData,
        }
    }

    /// A handle to a saga by its number, to wait for its end.
    pub fn handle<Out>(&self, id: SagaId) -> Handle<Out> {
        Handle::new(self.core.clone(), id, None)
    }

    /// A handle to the saga that was started under this key, to wait for its end.
    ///
    /// `None` where there is none, or not any more.
    ///
    /// ```
    /// # use seawall::saga::{Abort, Engine, Flow, MemoryStore};
    /// # tokio_test::block_on(async {
    /// # let mut b = Engine::builder((), MemoryStore::new());
    /// # let double = b.saga("double", |_: Flow, n: u32| async move { Ok::<_, Abort>(2 * n) });
    /// # let engine = b.build().await?;
    /// engine.start(double, "order-42", 21).await?;
    /// let mut order = engine.handle_of(double, "order-42").await?.expect("it was started");
    /// assert_eq!(order.outcome().await?, 42);
    /// assert!(engine.handle_of(double, "order-43").await?.is_none());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn handle_of<In, Out>(
        &self,
        saga: SagaRef<In, Out>,
        key: &str,
    ) -> Result<Option<Handle<Out>>, StoreError> {
        let id = self.find(saga.name, key).await?;
        Ok(id.map(|id| self.handle(id)))
    }

    /// The number of the saga with this name and key.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn find(&self, name: &str, key: &str) -> Result<Option<SagaId>, StoreError> {
        self.core.store.find(name, key).await
    }

    /// Sends a signal to the saga with this name and key.
    ///
    /// `Ok` means that it will be delivered, once, in the order of arrival. The same `id` is taken
    /// once by a run of the saga; by a later run, after [`continue_as`](super::Flow::continue_as),
    /// it may be taken again once the [retention time](Builder::retention) has passed since it was
    /// sent.
    ///
    /// It may come before the saga is started, and is kept for the retention time if no saga with that
    /// key is started; then it is deleted, and with it goes the promise. What has come to a saga that has
    /// been started is kept until it is read.
    ///
    /// To a saga that has ended it is not delivered ([`Posted::Ended`]). Once that saga is
    /// [deleted](Builder::retention), a late signal is one to a saga to come: one that is started under
    /// this name and key within the retention time has it. So do not use a key again where late signals
    /// could mean the saga before.
    ///
    /// # Errors
    /// [`SignalError`]; nothing was sent.
    ///
    /// # Cancel safety
    /// Dropped, it is either sent or not; repeating it with the same `id` is safe.
    pub async fn signal<M: Signal>(
        &self,
        saga: &str,
        key: &str,
        id: &str,
        message: &M,
    ) -> Result<Posted, SignalError> {
        if let Some(error) = self.core.is_closed() {
            return Err(SignalError::Store(error));
        }
        for (field, value) in [
            ("the saga's name", saga),
            ("the key", key),
            ("the signal's id", id),
        ] {
            if value.is_empty() || value.len() > start::MAX_KEY {
                return Err(SignalError::Key {
                    field,
                    bytes: value.len(),
                });
            }
        }
        let body =
            serde_json::to_string(message).map_err(|e| SignalError::Encode(e.to_string()))?;
        let (bytes, most) = (body.len(), self.core.max_payload);
        if bytes > most {
            return Err(SignalError::TooLarge {
                name: M::NAME,
                bytes,
                most,
            });
        }
        let letter = Letter {
            saga: saga.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
            name: M::NAME.to_owned(),
            body,
            at: self.core.now(),
        };
        let posted = self.core.store.inbox_put(letter).await;
        let posted = self.core.heard(posted).map_err(SignalError::Store)?;
        if let Posted::New(Some(id)) = posted {
            self.core.nudge_mail(id);
        }
        Ok(posted)
    }

    /// How many sagas there are of each status, and since when the oldest is unfinished.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.core.store.counts().await
    }

    /// The hands of a person on the sagas: to list, to look, and to act on those that are stuck.
    ///
    /// `by` is who it is, kept with every command: not empty, up to 255 bytes.
    pub fn operator(&self, by: &str) -> Operator {
        Operator::new(self.core.clone(), by)
    }

    /// How a saga stands, and what it waits for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; or the store failed.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn status(&self, id: SagaId) -> Result<SagaStatus, StoreError> {
        SagaStatus::load(&self.core, id).await
    }

    /// How many sagas are in memory.
    pub fn in_memory(&self) -> usize {
        self.core.in_memory()
    }

    /// Stops gently, so that the next engine goes on at once.
    ///
    /// Nothing is started any more, actions that run are waited for and written down, and all sagas
    /// are released. Bounded by the longest attempt.
    ///
    /// # Errors
    /// [`StoreError`]: the release failed; nothing is lost.
    ///
    /// # Cancel safety
    /// Dropped, the engine keeps on draining; call it again to wait for its end.
    pub async fn drain(&self) -> Result<(), StoreError> {
        self.core.drain().await
    }

    /// Waits until the store has failed, and tells why.
    ///
    /// Nothing can be written then; a new engine on a store that was opened anew recovers all that
    /// was acknowledged.
    ///
    /// # Cancel safety
    /// It only waits.
    pub async fn closed(&self) -> StoreError {
        let mut closed = self.core.closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(StoreError::Fenced),
            // The core, and so the sender, is there as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<App> fmt::Debug for Engine<App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("in_memory", &self.in_memory())
            .finish_non_exhaustive()
    }
}

/// Why a signal was not sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// A name or key is empty or too long.
    #[error("{field} has 1 to 255 bytes; this one has {bytes}")]
    #[non_exhaustive]
    Key {
        /// Which.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// It is too large.
    #[error("signal `{name}` is {bytes} bytes, at most {most} are allowed (max_payload)")]
    #[non_exhaustive]
    TooLarge {
        /// The signal.
        name: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// It cannot be written as JSON.
    #[error("the signal cannot be encoded: {0}")]
    Encode(String),
    /// The store failed.
    #[error("the signal could not be written down: {0}")]
    Store(#[source] StoreError),
}
