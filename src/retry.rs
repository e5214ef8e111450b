//! Another attempt after a failure: bounded in number, spaced by backoff.
use crate::error::Check;
use crate::event::GaveUp;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use crate::{BuildError, Class, Event, Name, Observer};
use std::{sync::Arc, time::Duration};

/// The wait before each further attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    jitter: bool,
}
impl Backoff {
    /// None.
    pub const fn none() -> Self {
        Backoff {
            base: Duration::ZERO,
            max: Duration::ZERO,
            jitter: false,
        }
    }
    /// Doubles.
    pub const fn exponential(base: Duration) -> Self {
        Backoff {
            base,
            max: Duration::from_secs(30),
            jitter: false,
        }
    }
    /// Cap.
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }
    /// Full jitter.
    pub const fn jitter(mut self) -> Self {
        self.jitter = true;
        self
    }
}

/// Repeats.
#[derive(Clone)]
pub struct Retry {
    name: Name,
    attempts: u32,
    backoff: Backoff,
    observer: Option<Arc<dyn Observer>>,
}
/// Settings.
#[derive(Clone)]
pub struct RetryConfig {
    name: Name,
    attempts: u32,
    backoff: Backoff,
    observer: Option<Arc<dyn Observer>>,
}
impl Retry {
    /// Counts the first.
    pub const fn attempts(attempts: u32) -> RetryConfig {
        RetryConfig {
            name: Name::from_static("retry"),
            attempts,
            backoff: Backoff::exponential(Duration::from_millis(50)),
            observer: None,
        }
    }
    pub(crate) fn is_bounded_in_time(&self) -> bool {
        false
    }
}
impl RetryConfig {
    /// Label.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }
    /// Wait.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
    /// Build.
    pub fn build(self) -> Result<Retry, BuildError> {
        let RetryConfig {
            name,
            attempts,
            backoff,
            observer,
        } = self;
        Check::new(name)
            .that(attempts > 0, "attempts", attempts, "at least 1")
            .done()?;
        Ok(Retry {
            name,
            attempts,
            backoff,
            observer,
        })
    }
}
impl Policy for Retry {
    fn name(&self) -> Name {
        self.name
    }
    fn role(&self) -> Role {
        Role::Repeat
    }
    #[inline]
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Proceed(Ticket(1))
    }
    #[inline]
    fn exit(&self, Ticket(attempt): Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        if let Outcome::Answered(Class::Success) = outcome {
            return Exit::Pass;
        }
        let floor = match *outcome {
            Outcome::Answered(Class::Transient) | Outcome::TimedOut => Duration::ZERO,
            Outcome::Answered(Class::Throttled(after)) => after.unwrap_or_default(),
            _ => return Exit::Pass,
        };
        if !call.may_repeat() {
            return Exit::Pass;
        }
        if attempt >= u64::from(self.attempts) {
            call.emit(Event::GaveUp {
                policy: self.name,
                why: GaveUp::Attempts,
            });
            return Exit::Pass;
        }
        let delay = self
            .backoff
            .base
            .saturating_mul(1 << (attempt - 1).min(30))
            .min(self.backoff.max);
        let delay = if self.backoff.jitter {
            delay.mul_f64(fastrand::f64())
        } else {
            delay
        };
        Exit::Again {
            ticket: Ticket(attempt + 1),
            after: delay.max(floor),
        }
    }
    fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }
}
crate::pipeline::single!(Retry, repeats);
