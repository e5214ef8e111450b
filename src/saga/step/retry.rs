use crate::{error::Check, retry::Backoff};
use std::time::Duration;

/// How a step is tried again.
///
/// Unlike a [`Retry`](crate::Retry) around a call, its counts and long waits are in the journal: a
/// restart neither forgets an attempt nor shortens a wait.
///
/// Each attempt has the same key. A policy's refusal before anything was sent is no attempt
/// ([`Failure::only_call`](super::Failure::only_call)). Waits of five seconds and more are written
/// down, and the saga may leave memory for them; each restart in the middle of an attempt counts as
/// one attempt.
///
/// # Defaults
/// - [`attempts`](StepRetry::attempts): 5
/// - [`backoff`](StepRetry::backoff): exponential from 100 ms to 60 s, with jitter
/// - [`timeout`](StepRetry::timeout): 30 s for each attempt
/// - [`undo_attempts`](StepRetry::undo_attempts): 10
/// - [`on_unknown`](StepRetry::on_unknown): retry
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it does nothing until a step has it"]
pub struct StepRetry {
    pub(crate) attempts: u32,
    pub(crate) undo_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) timeout: Duration,
    pub(crate) on_unknown: OnUnknown,
}

/// What to do when an attempt may have been applied, and there is nobody to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUnknown {
    /// Try again with the same key, as often as attempts are left; then the saga hears of it, and
    /// going backward it undoes the step with [`Outcome::Unknown`](super::Outcome::Unknown).
    #[default]
    Retry,
    /// No further attempt: the saga hears of it at once.
    Undo,
    /// Park the saga for an operator.
    Park,
}

impl Default for StepRetry {
    fn default() -> Self {
        StepRetry {
            attempts: 5,
            undo_attempts: 10,
            backoff: Backoff::exponential(Duration::from_millis(100))
                .max(Duration::from_secs(60))
                .jitter(),
            timeout: Duration::from_secs(30),
            on_unknown: OnUnknown::default(),
        }
    }
}

impl StepRetry {
    /// Attempts of the action, the first included; at least 1.
    pub fn attempts(attempts: u32) -> Self {
        StepRetry {
            attempts,
            ..StepRetry::default()
        }
    }

    /// Attempts of the compensation, the first included; at least 1.
    ///
    /// Whatever it fails with, it is tried so often; then the saga is parked. Default: 10.
    pub fn undo_attempts(mut self, attempts: u32) -> Self {
        self.undo_attempts = attempts;
        self
    }

    /// The wait before each further attempt, of the action and of the compensation.
    ///
    /// Where a list of waits ends before the attempts do, one second. Default: exponential from 100 ms
    /// to 60 s, with jitter.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// For one attempt; above zero. Default: 30 s.
    ///
    /// An attempt that is cut off may have been applied.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What to do when an attempt may have been applied and the step has no `verify`.
    ///
    /// Default: [`OnUnknown::Retry`].
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.on_unknown = on_unknown;
        self
    }

    pub(crate) fn check(&self, check: &mut Check) {
        check
            .that(self.attempts > 0, "attempts", self.attempts, "at least 1")
            .that(
                self.undo_attempts > 0,
                "undo_attempts",
                self.undo_attempts,
                "at least 1",
            )
            .positive("timeout", self.timeout);
        self.backoff.check(check);
    }

    /// The wait after so many attempts of the step with this seed.
    pub(crate) fn wait(&self, attempts: u32, seed: u64) -> Duration {
        let wait = |attempts| crate::event::contain(None, || self.backoff.delay(attempts, seed));
        wait(attempts).unwrap_or(Duration::from_secs(1))
    }
}
