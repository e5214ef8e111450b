//! The in-process form of a saga: compensations in memory, run in reverse.
mod journal;
mod layer;
mod report;
mod run;
mod undo;

pub use journal::ScopeSaga;
pub use layer::{StepLayer, StepRun, StepService};
pub use report::{ScopeError, StepOutcome, StepReport};
pub use run::ScopeRun;

use crate::error::Check;
use crate::event::UndoOutcome;
use crate::retry::Backoff;
use crate::{BuildError, Event, Name, Observer, Retry, Timeout, event};
use std::{fmt, io::Write as _, sync::Arc, time::Duration};

/// Runs `f` as a saga with the default settings, and nobody who hears of it. See [`Scope::run`].
///
/// Where it is dropped before its end, the compensations run in a task spawned for them. What they
/// have to leave applied then, or after a panic, reaches no caller: it is written to standard error.
/// Give a [`Scope`] an [observer](ScopeConfig::observer) to hear of it.
///
/// # Errors
/// [`ScopeError`]: the error of `f`, and what became of each step.
///
/// # Cancel safety
/// See [`ScopeRun`].
pub fn scope<F, Fut, T, E>(f: F) -> ScopeRun<F, Fut, E>
where
    F: FnOnce(ScopeSaga) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    Scope::default().run(f)
}

/// How sagas of one kind run and are undone.
///
/// Clones share the settings; a scope keeps no state between its runs.
///
/// A run that is dropped before its end is undone by a task that outlives it; see [`ScopeRun`].
///
/// ```
/// use seawall::{Event, Name, retry::Backoff, saga::{Scope, StepOutcome}};
/// use std::time::Duration;
///
/// # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// # rt.block_on(async {
/// let place_order = Scope::new("place_order")
///     .undo_attempts(3)
///     .undo_backoff(Backoff::exponential(Duration::from_millis(200)).max(Duration::from_secs(2)))
///     .observer(|source: Name, event: &Event<'_>| eprintln!("{source}: {event:?}"))
///     .build()?;
/// let error = place_order
///     .run(async |saga| {
///         saga.on_abort("charge_card", || async { Err::<(), _>("503") });
///         saga.ran("send_mail");
///         Err::<(), _>("out of stock")
///     })
///     .await
///     .unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "out of stock (`place_order`: left applied: `charge_card` after 3 tries: 503; ran: `send_mail`)",
/// );
/// assert!(matches!(error.steps()[0].outcome, StepOutcome::Left { attempts: 3, .. }));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scope(Arc<ScopeConfig>);

impl Scope {
    /// Begins one. The name is its label in errors, events and metrics.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: impl Into<Name>) -> ScopeConfig {
        ScopeConfig {
            name: name.into(),
            undo_attempts: 5,
            undo_backoff: Backoff::exponential(Duration::from_millis(100))
                .max(Duration::from_secs(5))
                .jitter(),
            undo_timeout: Duration::from_secs(10),
            observer: None,
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// Runs `f`, which tells the [`ScopeSaga`] it is given what to do should it fail.
    ///
    /// ```
    /// use seawall::saga::Scope;
    ///
    /// # tokio_test::block_on(async {
    /// # async fn reserve() -> Result<u32, std::io::Error> { Ok(7) }
    /// # async fn release(_: u32) -> Result<(), std::io::Error> { Ok(()) }
    /// let order = Scope::new("place_order").build()?;
    /// let reserved = order
    ///     .run(async |saga| {
    ///         let reservation = reserve().await?;
    ///         saga.on_abort("reserve", move || release(reservation));
    ///         Ok::<_, std::io::Error>(reservation)
    ///     })
    ///     .await?;
    /// assert_eq!(reserved, 7);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ScopeError`]: the error of `f`, and what became of each step.
    ///
    /// # Panics
    /// As `f` does; its steps are undone first.
    ///
    /// # Cancel safety
    /// See [`ScopeRun`].
    pub fn run<F, Fut, T, E>(&self, f: F) -> ScopeRun<F, Fut, E>
    where
        F: FnOnce(ScopeSaga) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        ScopeRun::new(self.clone(), f)
    }

    /// Tells the observer, if there is one.
    fn tell(&self, step: Name, outcome: UndoOutcome<'_>) {
        let Some(observer) = &self.0.observer else {
            return;
        };
        let scope = self.0.name;
        let event = Event::Undo {
            scope,
            step,
            outcome,
        };
        event::notify(&**observer, scope, &event);
    }

    /// A step stays applied and no caller will hear of it. Where no observer does either, standard
    /// error is the last place left: money may hang on it.
    fn cry(&self, step: Name, error: &str) {
        if self.0.observer.is_none() {
            // Not `eprintln!`: it panics when nobody reads the other end, and this runs in
            // destructors.
            let _ = writeln!(
                std::io::stderr(),
                "seawall: saga `{}` left step `{step}` applied: {error}",
                self.0.name
            );
        }
    }
}

impl Default for Scope {
    /// Named `"saga"`, with the defaults of [`ScopeConfig`].
    fn default() -> Self {
        Scope(Arc::new(Scope::new("saga")))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.0.name)
    }
}

/// The settings of a [`Scope`].
///
/// # Defaults
/// - [`undo_attempts`](ScopeConfig::undo_attempts): 5
/// - [`undo_backoff`](ScopeConfig::undo_backoff): exponential from 100 ms, at most 5 s, with full jitter
/// - [`undo_timeout`](ScopeConfig::undo_timeout): 10 s
/// - [`name`](ScopeConfig::name): the one given to [`Scope::new`]
/// - [`observer`](ScopeConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built"]
pub struct ScopeConfig {
    name: Name,
    undo_attempts: u32,
    undo_backoff: Backoff,
    undo_timeout: Duration,
    observer: Option<Arc<dyn Observer>>,
}

impl ScopeConfig {
    /// The label in errors, events and metrics. Default: the one given to [`Scope::new`].
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// How often each compensation is tried, the first try included.
    ///
    /// Zero is refused at build. Default: 5.
    pub fn undo_attempts(mut self, attempts: u32) -> Self {
        self.undo_attempts = attempts;
        self
    }

    /// The wait before each further try.
    ///
    /// Default: exponential from 100 ms, at most 5 s, with full jitter.
    pub fn undo_backoff(mut self, backoff: Backoff) -> Self {
        self.undo_backoff = backoff;
        self
    }

    /// The longest that one try may take; then it has failed.
    ///
    /// [`Duration::MAX`] is no limit; zero is refused at build. Default: 10 s.
    ///
    /// This limit and the [backoff](ScopeConfig::undo_backoff) need a tokio runtime with its time
    /// driver: without one, a compensation that has to wait is left, and told so.
    pub fn undo_timeout(mut self, timeout: Duration) -> Self {
        self.undo_timeout = timeout;
        self
    }

    /// Who hears what becomes of each compensation, as [`Event::Undo`]. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The scope.
    ///
    /// # Errors
    /// No attempts, a backoff that cannot be, or a timeout of zero.
    pub fn build(self) -> Result<Scope, BuildError> {
        let mut check = Check::new(self.name);
        check
            .that(
                self.undo_attempts > 0,
                "undo_attempts",
                self.undo_attempts,
                "at least 1",
            )
            .positive("undo_timeout", self.undo_timeout);
        let backoff = Retry::attempts(1).name(self.name);
        check.absorb(backoff.backoff(self.undo_backoff.clone()).build());
        check.done()?;
        Ok(Scope(Arc::new(self)))
    }

    /// What each compensation runs under.
    fn policies(&self) -> Result<(Retry, Timeout), BuildError> {
        let retry = Retry::attempts(self.undo_attempts)
            .name(self.name)
            .backoff(self.undo_backoff.clone())
            .build()?;
        let limit = Timeout::after(self.undo_timeout).name(self.name).build()?;
        Ok((retry, limit))
    }
}

impl fmt::Debug for ScopeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeConfig")
            .field("name", &self.name)
            .field("undo_attempts", &self.undo_attempts)
            .field("undo_backoff", &self.undo_backoff)
            .field("undo_timeout", &self.undo_timeout)
            .finish_non_exhaustive()
    }
}

impl PartialEq for ScopeConfig {
    fn eq(&self, other: &Self) -> bool {
        let parts = |c: &Self| (c.name, c.undo_attempts, c.undo_timeout);
        parts(self) == parts(other) && self.undo_backoff == other.undo_backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_docs() {
        let documented = Scope::new("saga")
            .undo_attempts(5)
            .undo_backoff(
                Backoff::exponential(Duration::from_millis(100))
                    .max(Duration::from_secs(5))
                    .jitter(),
            )
            .undo_timeout(Duration::from_secs(10));
        assert_eq!(*Scope::default().0, documented);
        assert!(Scope::default().0.observer.is_none());
        assert!(documented.policies().is_ok());
    }

    #[test]
    fn every_wrong_setting_is_told_at_once() {
        let error = Scope::new("order")
            .undo_attempts(0)
            .undo_timeout(Duration::ZERO)
            .build()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`order`: undo_attempts is 0, but has to be at least 1; \
             `order`: undo_timeout is 0ns, but has to be longer than zero"
        );
    }
}
