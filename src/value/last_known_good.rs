//! The last good answer, kept for when there is none.
mod shelf;

use crate::error::Check;
use crate::value::Rescue;
use crate::{BuildError, Event, Name, Observer, clock, event};
use parking_lot::Mutex;
use shelf::Shelf;
use std::{
    fmt,
    future::{Ready, ready},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

/// An answer, and whether it is the dependency's of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<T> {
    /// The call's own answer.
    Fresh(T),
    /// The call failed; this is an earlier answer.
    Stale {
        /// The answer.
        value: T,
        /// How long ago the call that gave it began.
        age: Duration,
    },
}

impl<T> Kept<T> {
    /// The answer.
    pub fn value(&self) -> &T {
        match self {
            Kept::Fresh(value) | Kept::Stale { value, .. } => value,
        }
    }

    /// The answer, without its mark.
    pub fn into_value(self) -> T {
        match self {
            Kept::Fresh(value) | Kept::Stale { value, .. } => value,
        }
    }

    /// Whether it is an earlier answer.
    pub fn is_stale(&self) -> bool {
        self.age().is_some()
    }

    /// How old an earlier answer is; `None` if it is fresh.
    pub fn age(&self) -> Option<Duration> {
        match self {
            Kept::Fresh(_) => None,
            Kept::Stale { age, .. } => Some(*age),
        }
    }

    /// The same mark on another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Kept<U> {
        match self {
            Kept::Fresh(value) => Kept::Fresh(f(value)),
            Kept::Stale { value, age } => Kept::Stale {
                value: f(value),
                age,
            },
        }
    }
}

/// The last good answer of a call, kept for when it fails. Clones share it.
///
/// | a call | what is kept | what comes out |
/// |---|---|---|
/// | succeeds | its answer, unless a call that began later has answered already | `Fresh` |
/// | fails, an answer is kept and young enough | – | `Stale` with its age |
/// | fails, and `only_if` does not want the error | – | the error |
/// | fails, nothing is kept, or it is too old | an answer that is too old is forgotten | the error |
/// | is dropped | – | – |
///
/// **Races.** Calls are numbered as they begin. An answer replaces only that of a call that began
/// before its own, so a slow call cannot bring back what a later one has overwritten.
///
/// **Age** is counted from the beginning of the call, as RFC 9111 (section 4.2.3) counts a stored
/// response's: from then on the value may have changed. So an answer is never older than its age.
///
/// One value a handle: it suits a table of rates, a set of flags, a configuration. For values by
/// key, keep a handle per key.
///
/// A good answer costs a clone and one allocation to keep. Values are cloned and dropped outside
/// the lock.
///
/// ```
/// use seawall::value::{Kept, LastKnownGood, ValueExt};
/// use std::time::Duration;
///
/// # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// # rt.block_on(async {
/// let flags = LastKnownGood::new("flags").max_age(Duration::from_secs(60)).build()?;
/// async { Ok::<_, &str>("dark mode") }.or_last_good(&flags).await?;
///
/// tokio::time::advance(Duration::from_secs(60)).await;
/// let kept = async { Err("down") }.or_last_good(&flags).await?;
/// assert_eq!(kept, Kept::Stale { value: "dark mode", age: Duration::from_secs(60) });
///
/// tokio::time::advance(Duration::from_nanos(1)).await;
/// assert_eq!(async { Err("down") }.or_last_good(&flags).await, Err("down"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct LastKnownGood<T>(Arc<Core<T>>);

struct Core<T> {
    name: Name,
    max_age: Duration,
    observer: Option<Arc<dyn Observer>>,
    shelf: Mutex<Shelf<Arc<T>>>,
}

impl<T> LastKnownGood<T> {
    /// Begins one. The name is its label in events.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: impl Into<Name>) -> LastKnownGoodConfig<T> {
        LastKnownGoodConfig {
            name: name.into(),
            max_age: DEFAULT_MAX_AGE,
            observer: None,
            value: PhantomData,
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// The age up to which an answer is given.
    pub fn max_age(&self) -> Duration {
        self.0.max_age
    }

    /// Keeps this value as if a call had just given it: a default known at the start, say.
    pub fn set(&self, value: T) {
        let (value, now) = (Arc::new(value), clock::now());
        let displaced = {
            let mut shelf = self.0.shelf.lock();
            let ticket = shelf.begin(now);
            shelf.offer(ticket, value)
        };
        drop(displaced);
    }

    /// Forgets what is kept, and what calls that are under way will answer: the data was withdrawn.
    pub fn clear(&self) {
        let forgotten = self.0.shelf.lock().clear();
        drop(forgotten);
    }
}

impl<T: Clone> LastKnownGood<T> {
    /// What a call that fails now would be answered with, and its age.
    pub fn peek(&self) -> Option<(T, Duration)> {
        let (max_age, now) = (self.0.max_age, clock::now());
        let (served, expired) = self.0.shelf.lock().serve(max_age, now);
        drop(expired);
        served.map(|(value, age)| (T::clone(&value), age))
    }
}

impl<T> Clone for LastKnownGood<T> {
    fn clone(&self) -> Self {
        LastKnownGood(self.0.clone())
    }
}

impl<T> fmt::Debug for LastKnownGood<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastKnownGood({:?})", self.0.name)
    }
}

/// The settings of a [`LastKnownGood`].
///
/// # Defaults
/// - [`max_age`](LastKnownGoodConfig::max_age): 5 minutes
/// - [`name`](LastKnownGoodConfig::name): the one given to [`LastKnownGood::new`]
/// - [`observer`](LastKnownGoodConfig::observer): nobody
#[must_use = "a configuration does nothing until it is built"]
pub struct LastKnownGoodConfig<T> {
    name: Name,
    max_age: Duration,
    observer: Option<Arc<dyn Observer>>,
    value: PhantomData<fn() -> T>,
}

impl<T> LastKnownGoodConfig<T> {
    /// The label in events. Default: the one given to [`LastKnownGood::new`].
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// The age up to which an answer is given, inclusive.
    ///
    /// [`Duration::MAX`] is no limit; zero is refused at build. Default: 5 minutes.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Who hears of it when a stale answer is given ([`Event::ServedStale`]).
    ///
    /// Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The handle.
    ///
    /// # Errors
    /// `max_age` is zero.
    pub fn build(self) -> Result<LastKnownGood<T>, BuildError> {
        let LastKnownGoodConfig {
            name,
            max_age,
            observer,
            ..
        } = self;
        Check::new(name).positive("max_age", max_age).done()?;
        Ok(LastKnownGood(Arc::new(Core {
            name,
            max_age,
            observer,
            shelf: Mutex::new(Shelf::new()),
        })))
    }
}

impl<T> Clone for LastKnownGoodConfig<T> {
    fn clone(&self) -> Self {
        LastKnownGoodConfig {
            observer: self.observer.clone(),
            ..*self
        }
    }
}

impl<T> fmt::Debug for LastKnownGoodConfig<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastKnownGoodConfig")
            .field("name", &self.name)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

impl<T> PartialEq for LastKnownGoodConfig<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.max_age) == (other.name, other.max_age)
    }
}

/// The last good answer in place of an error.
///
/// See [`ValueExt::or_last_good`](crate::value::ValueExt::or_last_good).
pub struct OrLastGood<T> {
    good: LastKnownGood<T>,
    ticket: Option<shelf::Begun>,
}

impl<T> OrLastGood<T> {
    pub(super) fn new(good: &LastKnownGood<T>) -> Self {
        OrLastGood {
            good: good.clone(),
            ticket: None,
        }
    }
}

impl<T> Clone for OrLastGood<T> {
    /// For a call of its own, which has not begun.
    fn clone(&self) -> Self {
        OrLastGood::new(&self.good)
    }
}

impl<T> fmt::Debug for OrLastGood<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrLastGood({:?})", self.good.0.name)
    }
}

impl<T: Clone, E> Rescue<T, E> for OrLastGood<T> {
    type Ok = Kept<T>;
    type Err = E;
    type Future = Ready<Result<Kept<T>, E>>;

    fn begin(&mut self) {
        let now = clock::now();
        self.ticket = Some(self.good.0.shelf.lock().begin(now));
    }

    fn keep(&mut self, value: T) -> Kept<T> {
        if let Some(ticket) = self.ticket.take() {
            let copy = Arc::new(value.clone());
            let displaced = self.good.0.shelf.lock().offer(ticket, copy);
            drop(displaced);
        }
        Kept::Fresh(value)
    }

    fn pass(&mut self, error: E) -> E {
        error
    }

    fn rescue(&mut self, error: E) -> Self::Future {
        let Some((value, age)) = self.good.peek() else {
            return ready(Err(error));
        };
        let core = &self.good.0;
        if let Some(observer) = &core.observer {
            let policy = core.name;
            event::notify(&**observer, policy, &Event::ServedStale { policy, age });
        }
        ready(Ok(Kept::Stale { value, age }))
    }
}

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_docs() {
        let good = LastKnownGood::<u8>::new("rates").build().unwrap();
        assert_eq!(good.name().as_str(), "rates");
        assert_eq!(good.max_age(), Duration::from_secs(5 * 60));
        assert!(good.0.observer.is_none());
    }

    #[test]
    fn an_age_limit_of_zero_is_refused_and_the_longest_is_none() {
        let config = LastKnownGood::<u8>::new("rates");
        let error = config.clone().max_age(Duration::ZERO).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`rates`: max_age is 0ns, but has to be longer than zero"
        );
        assert!(config.max_age(Duration::MAX).build().is_ok());
    }

    #[test]
    fn the_mark_survives_a_map() {
        let age = Duration::from_secs(2);
        let stale = Kept::Stale { value: 2, age }.map(|n| n * 2);
        assert_eq!(stale, Kept::Stale { value: 4, age });
        assert_eq!((stale.age(), *stale.value()), (Some(age), 4));
        assert_eq!(Kept::Fresh(2).map(|n| n + 1).age(), None);
    }
}
