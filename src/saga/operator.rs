//! What people do with sagas: find them, read what happened, and act where an engine may not.
//!
//! Most sagas end by themselves. One is parked (*stuck*) where going on would be guessing: a
//! compensation that stays refused, a failure past the pivot, a step whose outcome nobody can tell,
//! a journal that does not fit the code. Then a person decides, and the journal keeps who, when and
//! why. For programs that only want to know how a saga stands there is
//! [`Engine::status`](super::Engine::status).
//!
//! | command | for | then |
//! |---|---|---|
//! | [`retry`](Operator::retry) | the cause is mended | attempts count from 1 again, under the same step key |
//! | [`skip`](Operator::skip) | a compensation that will never succeed | the saga goes on undoing and ends `CompensatedWithExceptions` |
//! | [`settle`](Operator::settle) | you know what became of a step | as if its participant had said so |
//! | [`abort`](Operator::abort) | a saga that is parked on its way forward, before its pivot | it is undone |
//! | [`cancel`](Operator::cancel) | a saga that runs or waits, before its pivot | it is undone |
//! | [`force_end`](Operator::force_end) | nothing else helps | it ends as it stands, nothing is undone |
//!
//! A command is one row of the journal. It takes the saga over from whoever runs it, so of two
//! operators at once one is served and the other gets a [`Refused`]; what is refused writes nothing,
//! but for a cancel that came during a pivot.
//!
//! ```
//! use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, Outcome, StepContext, StepRetry};
//! use seawall::saga::operator::Find;
//! use std::sync::Arc;
//!
//! async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
//!     Ok(cents)
//! }
//! async fn refund(_: Arc<()>, _: StepContext, _: u64, _: Outcome<u64>) -> Result<(), Failure> {
//!     Err(Failure::refused("the account is closed"))
//! }
//!
//! # tokio_test::block_on(async {
//! let mut b = Engine::builder((), MemoryStore::new());
//! let charge = b.step("charge", charge, refund).retry(StepRetry::attempts(1).undo_attempts(1)).register();
//! let order = b.saga("place_order", move |saga: Flow, cents: u64| async move {
//!     saga.call(charge, cents).await?;
//!     Err::<(), _>(Abort::new("out of stock"))
//! });
//! let engine = b.build().await?;
//! let mut handle = engine.start(order, "order-42", 990).await?;
//! assert!(handle.outcome().await.is_err(), "it is stuck");
//!
//! let operator = engine.operator("alice");
//! let page = operator.list(Find::stuck().reason_contains("closed")).await?;
//! let stuck = &page.sagas[0];
//! println!("{}", operator.show(stuck.id).await?);
//! operator.skip(stuck.id, 0, "paid out in cash, ticket 771").await?;
//! let end = handle.outcome().await.unwrap_err();
//! assert_eq!(end.to_string(), "the saga was undone except for charge: out of stock");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod bulk;
mod entry;
mod find;
mod timeline;

pub use super::engine::operate::Refused;
pub use bulk::{Bulk, BulkPage, BulkResult};
pub use entry::Entry;
pub use find::{Find, Page};
pub use timeline::{ChildSaga, Show, Timeline};

use super::{
    engine::{core::Core, operate::Command},
    journal::Settlement,
    store::SagaId,
};
use std::{fmt, sync::Arc};

/// A person at the engine.
///
/// Everything it does is kept under its name. From [`Engine::operator`](super::Engine::operator);
/// clones are the same person.
#[derive(Clone)]
pub struct Operator {
    core: Arc<Core>,
    by: Arc<str>,
}

impl Operator {
    pub(in crate::saga) fn new(core: Arc<Core>, by: &str) -> Self {
        Operator {
            core,
            by: by.into(),
        }
    }

    /// A page of the sagas that fit.
    ///
    /// # Errors
    /// [`Refused::Limit`], [`Refused::Store`].
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn list(&self, find: Find) -> Result<Page, Refused> {
        find::page(&self.core, find).await
    }

    /// Everything that happened to a saga.
    ///
    /// `.await` it, or ask for the [payloads](Show::with_payloads) as well.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Store`]. A damaged journal is shown as far as it can be
    /// read.
    ///
    /// # Cancel safety
    /// It only reads.
    pub fn show(&self, id: SagaId) -> Show {
        Show::new(self.core.clone(), id)
    }

    /// Sets a parked saga going again where it stands, its attempts counted from 1.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written.
    ///
    /// # Cancel safety
    /// Dropped, it is either done or not; [`show`](Operator::show) tells.
    pub async fn retry(&self, id: SagaId, note: &str) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        self.core.command(id, Command::Retry { by, note }).await
    }

    /// Leaves the compensation of operation number `op` undone and counts it as settled.
    ///
    /// The saga is set going again. It ends as `CompensatedWithExceptions`, which names the step.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written.
    ///
    /// # Cancel safety
    /// As [`retry`](Operator::retry).
    pub async fn skip(&self, id: SagaId, op: u32, note: &str) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        self.core.command(id, Command::Skip { op, by, note }).await
    }

    /// Says what became of operation number `op` of a parked saga, and sets it going again.
    ///
    /// An output ([`Settlement::done`]) must be what the step would have answered.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written.
    ///
    /// # Cancel safety
    /// As [`retry`](Operator::retry).
    pub async fn settle(
        &self,
        id: SagaId,
        op: u32,
        verdict: Settlement,
        note: &str,
    ) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        let command = Command::Settle {
            op,
            verdict,
            by,
            note,
        };
        self.core.command(id, command).await
    }

    /// Gives a parked saga up: it is undone. One that is being undone already is tried again.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written. [`PastPivot`](Refused::PastPivot): it only goes forward.
    ///
    /// # Cancel safety
    /// As [`retry`](Operator::retry).
    pub async fn abort(&self, id: SagaId, note: &str) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        self.core.command(id, Command::Abort { by, note }).await
    }

    /// Gives a saga up that runs or waits: it is undone.
    ///
    /// A pivot under way is waited for, with this written down; if it succeeds, the saga goes forward
    /// in spite of this. Where nobody knows it is stuck, and is undone should the pivot be settled as
    /// not applied. One that is being undone already stays so, and nothing is written.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written, unless it came during a pivot.
    /// [`PastPivot`](Refused::PastPivot): it only goes forward.
    ///
    /// # Cancel safety
    /// As [`retry`](Operator::retry).
    pub async fn cancel(&self, id: SagaId, note: &str) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        self.core.command(id, Command::cancel(by, note)).await
    }

    /// Ends a saga as it stands, whatever its state.
    ///
    /// Nothing is undone, an action under way is dropped: what it has applied is left to you.
    /// [`show`](Operator::show) tells what that is.
    ///
    /// # Errors
    /// [`Refused`]; nothing was written.
    ///
    /// # Cancel safety
    /// As [`retry`](Operator::retry).
    pub async fn force_end(&self, id: SagaId, note: &str) -> Result<(), Refused> {
        let (by, note) = self.signed(note);
        self.core.command(id, Command::Force { by, note }).await
    }

    /// [Retries](Operator::retry) each saga of a page.
    pub fn retry_all(&self, find: Find, note: &str) -> Bulk {
        self.bulk(find, note, bulk::What::Retry)
    }

    /// [Skips](Operator::skip), for each saga of a page, the compensation that it is stuck at.
    pub fn skip_all(&self, find: Find, note: &str) -> Bulk {
        self.bulk(find, note, bulk::What::Skip)
    }

    /// [Aborts](Operator::abort) each saga of a page.
    pub fn abort_all(&self, find: Find, note: &str) -> Bulk {
        self.bulk(find, note, bulk::What::Abort)
    }

    /// [Cancels](Operator::cancel) each saga of a page.
    pub fn cancel_all(&self, find: Find, note: &str) -> Bulk {
        self.bulk(find, note, bulk::What::Cancel)
    }

    /// [Ends](Operator::force_end) each saga of a page as it stands.
    pub fn force_end_all(&self, find: Find, note: &str) -> Bulk {
        self.bulk(find, note, bulk::What::ForceEnd)
    }

    fn bulk(&self, find: Find, note: &str, what: bulk::What) -> Bulk {
        let (by, note) = self.signed(note);
        Bulk::new(self.core.clone(), find, what, by, note)
    }

    fn signed(&self, note: &str) -> (String, String) {
        (self.by.to_string(), note.to_owned())
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operator({:?})", self.by)
    }
}
