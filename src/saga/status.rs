//! How a saga stands, and what it waits for.
//!
//! For programs that show it to their users, and at the head of an operator's
//! [`Timeline`](super::operator::Timeline).
//!
//! ```
//! use seawall::saga::{Abort, Engine, Flow, MemoryStore, Status};
//! use std::time::Duration;
//!
//! # tokio_test::block_on(async {
//! let mut b = Engine::builder((), MemoryStore::new());
//! let nap = b.saga("nap", |saga: Flow, (): ()| async move {
//!     saga.sleep(Duration::from_secs(3600)).await;
//!     Ok::<_, Abort>(())
//! });
//! let engine = b.build().await?;
//! let handle = engine.start(nap, "k", ()).await?;
//! let status = engine.status(handle.id()).await?;
//! assert!(matches!(status.status, Status::Running | Status::Waiting));
//! assert!(status.waits[0].to_string().starts_with("a timer until "));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
mod asked;
mod text;
mod waits;

pub(super) use text::{Plain, Utc};
pub use waits::WaitsFor;

use super::{
    engine::core::Core,
    journal::{Phase, Reading, StuckKind},
    store::{Claimed, SagaId, Status, StoreError},
};
use std::fmt;

/// How a saga stood when it was asked. No payload is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaStatus {
    /// Its number.
    pub id: SagaId,
    /// Its registered name.
    pub name: String,
    /// The caller's key.
    pub key: String,
    /// The version of its code.
    pub version: u32,
    /// How it stands.
    pub status: Status,
    /// The direction; `None` where the journal is damaged.
    pub phase: Option<Phase>,
    /// Why it is being undone, or was.
    pub reason: Option<String>,
    /// The operation and the step's name that it is stuck at.
    pub stuck_at: Option<(u32, String)>,
    /// What it waits for; more than one where it does several things at a time, none where it has
    /// ended.
    pub waits: Vec<WaitsFor>,
    /// When it is given up, UTC ms.
    pub deadline_ms: Option<i64>,
    /// When it was created, UTC ms.
    pub created_ms: i64,
    /// When this was asked, UTC ms.
    pub at_ms: i64,
}

impl SagaStatus {
    pub(super) async fn load(core: &Core, id: SagaId) -> Result<SagaStatus, StoreError> {
        let kept = core.store.load(id, false).await?;
        let reading = Reading::of(&kept.uid, &kept.rows);
        Ok(SagaStatus::of(core, &kept, &reading))
    }

    pub(super) fn of(core: &Core, kept: &Claimed, reading: &Reading) -> SagaStatus {
        let view = &reading.view;
        let link = core.link(kept.id);
        let held = link.as_ref().map(|link| link.held());
        let at = core.now();
        let waits = match reading.damage.first() {
            _ if kept.status.is_final() => Vec::new(),
            Some(damage) => vec![WaitsFor::Operator {
                kind: StuckKind::Damage,
                why: damage.to_string(),
            }],
            None if kept.status == Status::Running && link.is_none() => vec![WaitsFor::Engine],
            None => waits::waits(reading, &held.unwrap_or_default(), at),
        };
        let stuck_at = view.stuck_op.and_then(|op| {
            let known = view.ops.get(&op)?;
            Some((op, known.name.clone()))
        });
        SagaStatus {
            id: kept.id,
            name: kept.name.clone(),
            key: kept.key.clone(),
            version: kept.version,
            status: kept.status,
            phase: reading.damage.is_empty().then_some(view.phase),
            reason: Some(view.reason.clone()).filter(|reason| !reason.is_empty()),
            stuck_at,
            waits,
            deadline_ms: view.deadline,
            created_ms: kept.created,
            at_ms: at,
        }
    }
}

/// The saga, how it stands, and on lines of their own what else there is to say.
impl fmt::Display for SagaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, key) = (Plain(&self.name), Plain(&self.key));
        write!(
            f,
            "saga {} `{name}` version {} key `{key}`: ",
            self.id, self.version
        )?;
        write!(f, "{}", self.status)?;
        match (self.phase, &self.reason) {
            (Some(Phase::Backward), Some(reason)) => {
                write!(f, "\n  being undone: {}", Plain(reason))?;
            }
            (Some(Phase::Compensated), Some(reason)) => {
                write!(f, "\n  undone: {}", Plain(reason))?;
            }
            _ => {}
        }
        if let Some((op, step)) = &self.stuck_at {
            write!(f, "\n  stuck at operation {op}, step `{}`", Plain(step))?;
        }
        for waits in &self.waits {
            write!(f, "\n  waits for {}", waits.at(self.at_ms))?;
        }
        match self.deadline_ms {
            // One that is being undone has been given up already.
            Some(deadline) if self.phase == Some(Phase::Forward) => {
                write!(f, "\n  given up at {} UTC", Utc(deadline))
            }
            _ => Ok(()),
        }
    }
}
