//! A chain of operations across services that ends wholly done or wholly undone.
//!
//! A policy guards one call. Where an order is placed by reserving stock at one service and
//! charging a card at another, the second may fail for good when the first has been applied, and no
//! transaction spans both. A *saga* pairs each step with a compensation, and runs the compensations in
//! reverse when a later step fails.
//!
//! Not for one service with one database: that has transactions. There are two forms:
//!
//! * [`scope`] lives in one process and remembers its steps in memory, so a crash of the process
//!   leaves them applied. It suits what is repaired by hand then, or by a lease that the participants
//!   let run out. It needs no feature, and the rest of this page is about it.
//! * `Engine` (feature `saga`; `sqlite` for a store in a file) keeps a journal. What was started ends
//!   wholly done or wholly undone, whatever happens to the process. It begins with `guide`, which is
//!   there with `sqlite` and `http`.
//!
//! # Sources
//! Garcia-Molina and Salem, *Sagas* (SIGMOD 1987). The pivot: Richardson, *Microservices Patterns*
//! (2018), chapter 4. Leases: Gray and Cheriton, *Leases* (SOSP 1989), and fencing tokens for those
//! who outlive theirs: Kleppmann, "How to do distributed locking" (2016).
//!
//! # The scope
//!
//! | the operation of a scope | its compensations | the caller gets |
//! |---|---|---|
//! | answers `Ok` | forgotten | the answer |
//! | answers `Err` | run in reverse, then | a [`ScopeError`] with the fate of every step |
//! | panics | run in reverse, then | the panic, unchanged |
//! | is dropped | run in reverse by a task spawned for them | – |
//! | is dropped while compensating | the rest by a spawned task, from where it stands | – |
//! | is dropped outside a runtime, or the runtime ends | left, and told so | – |
//!
//! Scopes nest: an inner one that has ended well is to the outer one a step like others, and one
//! that is dropped before its end is undone before the steps of the outer one are.
//!
//! | a compensation | then |
//! |---|---|
//! | answers `Ok` | `Undone` |
//! | answers `Err`, panics, or takes too long | tried again after the backoff, told as `Retrying` |
//! | does so at the last try | `Left`; the others still run |
//!
//! ```
//! use seawall::saga;
//! use std::sync::{Arc, atomic::{AtomicI32, Ordering::SeqCst}};
//!
//! # tokio_test::block_on(async {
//! let stock = Arc::new(AtomicI32::new(10));
//! let placed = saga::scope(async |saga| {
//!     stock.fetch_sub(1, SeqCst);
//!     let held = stock.clone();
//!     saga.on_abort("reserve_stock", move || {
//!         let held = held.clone();
//!         async move {
//!             held.fetch_add(1, SeqCst);
//!             Ok::<_, std::io::Error>(())
//!         }
//!     });
//!     Err::<(), _>(std::io::Error::other("card declined"))
//! })
//! .await;
//! let error = placed.unwrap_err();
//! assert_eq!(error.to_string(), "card declined (`saga`: undone: `reserve_stock`)");
//! assert_eq!(stock.load(SeqCst), 10);
//! # });
//! ```
#[cfg(feature = "saga")]
pub mod engine;
#[cfg(feature = "saga")]
pub mod flow;
#[cfg(all(feature = "sqlite", feature = "http"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "sqlite", feature = "http"))))]
pub mod idempotency;
#[cfg(all(feature = "sqlite", feature = "http"))]
#[doc = include_str!("saga/guide.md")]
pub mod guide {}
#[cfg(feature = "saga")]
pub mod journal;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod ledger;
#[cfg(feature = "saga")]
mod mutant;
#[cfg(feature = "saga")]
pub mod operator;
mod outcome;
mod scope;
#[cfg(feature = "saga")]
pub mod status;
#[cfg(feature = "saga")]
pub mod step;
#[cfg(feature = "saga")]
pub mod store;
#[cfg(feature = "sqlite")]
mod wall;

#[cfg(feature = "saga")]
pub use engine::{
    Builder, Engine, EngineError, Handle, SagaError, SagaService, SignalError, Start, StartError,
    Starting, Stats, StepBuilder,
};
#[cfg(feature = "saga")]
pub use flow::{
    Abort, ChildRef, Context, Flow, Op, OpId, Raced, Saga, SagaRef, Signal, StepFailed,
};
#[cfg(feature = "saga")]
pub use journal::{Settlement, StuckKind};
#[cfg(feature = "sqlite")]
pub use ledger::Ledger;
#[cfg(feature = "saga")]
pub use operator::{Find, Operator, Refused, Timeline};
#[cfg(feature = "saga")]
pub use status::{SagaStatus, WaitsFor};
#[cfg(feature = "saga")]
pub use step::{
    Failure, FailureKind, OnUnknown, Step, StepCall, StepContext, StepRef, StepRetry, Verdict,
    nothing_to_undo,
};
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
#[cfg(feature = "saga")]
pub use store::{MemoryStore, SagaId, Status, Store, StoreError};

pub use outcome::Outcome;
pub use scope::{
    Scope, ScopeConfig, ScopeError, ScopeRun, ScopeSaga, StepLayer, StepOutcome, StepReport,
    StepRun, StepService, scope,
};
