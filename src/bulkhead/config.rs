use super::gate::Gate;
use super::policy::{Bulkhead, Core};
use super::state::MAX_PLACES;
use crate::error::Check;
use crate::{BuildError, Name, Observer};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a [`Bulkhead`].
///
/// # Defaults
/// - [`queue`](BulkheadConfig::queue): 0 places, a call without a permit is refused at once
/// - [`max_wait`](BulkheadConfig::max_wait): none, a call in line waits as long as its deadlines let it
/// - [`name`](BulkheadConfig::name): `"bulkhead"`
/// - [`observer`](BulkheadConfig::observer): nobody
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built, or given to a pipeline"]
pub struct BulkheadConfig {
    name: Name,
    limit: u32,
    queue: u32,
    max_wait: Option<Duration>,
    observer: Option<Arc<dyn Observer>>,
}

impl BulkheadConfig {
    pub(super) const fn new(limit: u32) -> Self {
        BulkheadConfig {
            name: Name::from_static("bulkhead"),
            limit,
            queue: 0,
            max_wait: None,
            observer: None,
        }
    }

    /// How many calls may wait for a permit, first come, first served. At most 2³⁰ − 1. Default: 0.
    ///
    /// A place costs nothing until somebody stands in it, and then under 100 bytes.
    pub const fn queue(mut self, places: u32) -> Self {
        self.queue = places;
        self
    }

    /// How long a call may wait in line before it is refused.
    ///
    /// The reason is [`Reason::QueueTimeout`](crate::Reason::QueueTimeout). Longer than zero, and
    /// only together with a [`queue`](BulkheadConfig::queue). Default: none; [`Duration::MAX`] is
    /// the same.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = Some(max_wait);
        self
    }

    /// The label in refusals, events and metrics. Default: `"bulkhead"`.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Who hears of calls made with this bulkhead alone. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// More places than can be counted, a longest wait of zero, or one where nobody can wait.
    pub fn build(self) -> Result<Bulkhead, BuildError> {
        let BulkheadConfig {
            name,
            limit,
            queue,
            max_wait,
            observer,
        } = self;
        let mut check = Check::new(name);
        check.that(
            queue <= MAX_PLACES,
            "queue",
            queue,
            format!("at most {MAX_PLACES}"),
        );
        if let Some(wait) = max_wait {
            check.positive("max_wait", wait).that(
                queue > 0,
                "max_wait",
                wait,
                "left out where the queue has no place",
            );
        }
        check.done()?;
        Ok(Bulkhead::of(Core {
            name,
            max_wait,
            gate: Gate::new(limit, queue),
            observer,
        }))
    }
}

impl fmt::Debug for BulkheadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadConfig")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("queue", &self.queue)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// Equal settings; who listens is not compared.
impl PartialEq for BulkheadConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.limit, self.queue, self.max_wait)
            == (other.name, other.limit, other.queue, other.max_wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_the_docs_list() {
        let listed = Bulkhead::new(8).queue(0).name("bulkhead");
        assert_eq!(Bulkhead::new(8), listed);
        assert_eq!(listed.max_wait, None);
        assert!(listed.observer.is_none());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let error = Bulkhead::new(1)
            .queue(u32::MAX)
            .max_wait(Duration::ZERO)
            .name("b")
            .build()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`b`: queue is 4294967295, but has to be at most 1073741823; \
             `b`: max_wait is 0ns, but has to be longer than zero"
        );
        let error = Bulkhead::new(1)
            .max_wait(Duration::from_secs(1))
            .build()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`bulkhead`: max_wait is 1s, but has to be left out where the queue has no place"
        );
    }

    #[test]
    fn the_extremes_are_settings_like_others() {
        assert!(Bulkhead::new(0).build().is_ok());
        let widest = Bulkhead::new(u32::MAX)
            .queue(MAX_PLACES)
            .max_wait(Duration::MAX);
        assert_eq!(widest.build().unwrap().limit(), u32::MAX);
    }
}
