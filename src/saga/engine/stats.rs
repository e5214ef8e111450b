//! Numbers for dashboards and alarms.
use super::{Engine, core::Core, handle::End};
use crate::saga::store::{Counts, StoreError};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How an engine's sagas stand.
///
/// Alarms that matter: [`stuck`](Counts::stuck) above 0, [`oldest_age`](Stats::oldest_age) beyond
/// the longest that a saga should take, [`undo_rate`](Stats::undo_rate) out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// How many there are of each status in the store.
    pub counts: Counts,
    /// How long ago the oldest of those that have not ended was created.
    pub oldest_age: Option<Duration>,
    /// How many sagas are in memory.
    pub in_memory: usize,
    /// How many sagas have ended since this engine began.
    pub ended: u64,
    /// How many of these sagas were undone, wholly or with exceptions.
    pub undone: u64,
}

impl Stats {
    /// The share of undone sagas among those that have ended since the engine began.
    ///
    /// 0.0 to 1.0; `None` where none has.
    pub fn undo_rate(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)] // a ratio, exact up to 2^53 sagas
        let ratio = self.undone as f64 / self.ended as f64;
        (self.ended > 0).then_some(ratio)
    }
}

/// How many have ended, and how many of them were undone.
#[derive(Default)]
pub(super) struct Ends {
    ended: AtomicU64,
    undone: AtomicU64,
}

impl Ends {
    pub(super) fn count(&self, end: &End) {
        if end.is_final() {
            self.ended.fetch_add(1, Relaxed);
        }
        if let End::Compensated { .. } | End::Exceptions { .. } = end {
            self.undone.fetch_add(1, Relaxed);
        }
    }
}

impl Core {
    async fn stats(&self) -> Result<Stats, StoreError> {
        let counts = self.store.counts().await?;
        let age = |created: i64| {
            let ms = u64::try_from(self.now().saturating_sub(created)).unwrap_or(0);
            Duration::from_millis(ms)
        };
        // The undone first: a saga that ends in between must not make them more than all.
        let undone = self.ends.undone.load(Relaxed);
        Ok(Stats {
            counts,
            oldest_age: counts.oldest_unfinished_ms.map(age),
            in_memory: self.in_memory(),
            ended: self.ends.ended.load(Relaxed).max(undone),
            undone,
        })
    }
}

impl<App> Engine<App> {
    /// Numbers for dashboards and alarms.
    ///
    /// What there is in the store, and what this engine has seen since it began.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.core.stats().await
    }
}
