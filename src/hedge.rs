//! A further attempt beside a slow one: the first good answer wins, the losers are dropped.
//!
//! For reads that are safe to repeat and whose slowest hundredth hurts. Not for a dependency that
//! is slow because it has too much to do: a hedge adds load just then.
//!
//! - Policies outside the hedge are entered once per call, those inside once per attempt: put
//!   breaker, limits and attempt timeout inside.
//! - A failure that may be repeated starts the next attempt at once. A refusal or
//!   [`Throttled`](crate::Class::Throttled) does not.
//! - Losers are dropped, and settled as cancelled, before the winner is returned. If all fail, the
//!   last answer stands, and an answer says more than a refusal.
//! - A request that must not be repeated is not hedged.
//!
//! | outcome of an attempt | |
//! |---|---|
//! | `Success`, `Permanent`, `Failed`, `Ignored`, `Pushback` that names no time | wins |
//! | `Transient`, timed out by a timeout inside | the next starts now; the others are waited for |
//! | `Throttled`, `Pushback`, refused by a policy inside | the others are waited for |
//! | cut off by a deadline outside, dropped, panicked | all attempts end |
//!
//! # Sources
//! Dean and Barroso, *The Tail at Scale* (CACM 56(2), 2013), "hedged requests".
//!
//! # Example
//! ```
//! use seawall::Hedge;
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let hedge = Hedge::after(Duration::from_millis(50)).build()?;
//! let mut attempt = 0;
//! let answer = hedge
//!     .run(|| {
//!         attempt += 1;
//!         let slow = attempt == 1;
//!         async move {
//!             if slow {
//!                 std::future::pending::<()>().await;
//!             }
//!             Ok::<_, ()>("from the second")
//!         }
//!     })
//!     .await;
//! assert_eq!(answer, Ok("from the second"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
use crate::error::Check;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use crate::{BuildError, Name, Observer};
use std::{fmt, sync::Arc, time::Duration};

/// Starts further attempts beside a slow one. Stateless. A pipeline holds one at most.
#[derive(Clone)]
pub struct Hedge {
    name: Name,
    after: Duration,
    attempts: u32,
    observer: Option<Arc<dyn Observer>>,
}

impl Hedge {
    /// One more attempt each time this long has passed without a good answer.
    ///
    /// Zero starts all attempts as soon as the first has to wait.
    #[allow(clippy::new_ret_no_self)]
    pub const fn after(after: Duration) -> HedgeConfig {
        HedgeConfig {
            name: Name::from_static("hedge"),
            after,
            attempts: 2,
            observer: None,
        }
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Hedge({:?}, {:?}, {} attempts)",
            self.name, self.after, self.attempts
        )
    }
}

/// The ticket counts the attempts under way or over.
impl Policy for Hedge {
    fn name(&self) -> Name {
        self.name
    }

    #[inline]
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Hedge {
            ticket: Ticket(1),
            after: Some(self.after),
        }
    }

    fn resume(&self, Ticket(attempts): Ticket, _: &Call<'_>) -> Enter {
        let limit = u64::from(self.attempts);
        if attempts >= limit {
            return Enter::Proceed(Ticket(attempts));
        }
        let more = attempts.saturating_add(1);
        Enter::Hedge {
            ticket: Ticket(more),
            after: (more < limit).then_some(self.after),
        }
    }

    #[inline]
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }

    fn role(&self) -> Role {
        Role::Hedge
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }
}

crate::pipeline::single!(Hedge, repeats);

/// The settings of a [`Hedge`].
///
/// # Defaults
/// - [`name`](HedgeConfig::name): `"hedge"`
/// - [`attempts`](HedgeConfig::attempts): 2
/// - [`observer`](HedgeConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct HedgeConfig {
    name: Name,
    after: Duration,
    attempts: u32,
    observer: Option<Arc<dyn Observer>>,
}

impl HedgeConfig {
    /// The label in events and metrics. Default: `"hedge"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// The most attempts of a call, the first included: 2 to 16. Default: 2.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Who hears of calls made with this hedge alone. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// The attempts are out of range.
    pub fn build(self) -> Result<Hedge, BuildError> {
        let HedgeConfig {
            name,
            after,
            attempts,
            observer,
        } = self;
        Check::new(name)
            .that(
                (2..=16).contains(&attempts),
                "attempts",
                attempts,
                "2 to 16",
            )
            .done()?;
        Ok(Hedge {
            name,
            after,
            attempts,
            observer,
        })
    }
}

impl fmt::Debug for HedgeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("HedgeConfig");
        s.field("name", &self.name)
            .field("after", &self.after)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl PartialEq for HedgeConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.after, self.attempts) == (other.name, other.after, other.attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Instant;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn after_its_last_attempt_it_asks_for_no_more_time() {
        let hedge = Hedge::after(MS).attempts(3).build().unwrap();
        let call = Call::at(Instant::now());
        let begun = |n, after| Enter::Hedge {
            ticket: Ticket(n),
            after,
        };
        assert_eq!(hedge.enter(&call), begun(1, Some(MS)));
        assert_eq!(hedge.resume(Ticket(1), &call), begun(2, Some(MS)));
        assert_eq!(hedge.resume(Ticket(2), &call), begun(3, None));
        let over = Enter::Proceed(Ticket(3));
        assert_eq!(hedge.resume(Ticket(3), &call), over);
    }

    #[test]
    fn configurations_are_equal_if_they_build_the_same() {
        let one = || Hedge::after(MS);
        assert_eq!(one(), one().name("hedge").attempts(2));
        assert_ne!(one(), one().name("other"));
        assert_ne!(one(), one().attempts(3));
        assert_ne!(one(), Hedge::after(2 * MS));
    }

    #[test]
    fn it_has_an_observer_if_it_was_given_one() {
        let one = || Hedge::after(MS);
        assert!(one().build().unwrap().observer().is_none());
        let heard = one()
            .observer(|_: Name, _: &crate::Event<'_>| {})
            .build()
            .unwrap();
        assert!(heard.observer().is_some());
    }
}
