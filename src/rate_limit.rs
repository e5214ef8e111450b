//! So many calls per time.
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{BuildError, Name, Observer};
use std::{sync::Arc, time::Duration};

/// Handle.
#[derive(Clone)]
pub struct RateLimit(Arc<Core>);
struct Core {
    name: Name,
    observer: Option<Arc<dyn Observer>>,
}
/// Settings.
#[derive(Clone)]
pub struct RateLimitConfig {
    name: Name,
    observer: Option<Arc<dyn Observer>>,
}
impl RateLimit {
    /// Config.
    pub const fn per(_permits: u32, _per: Duration) -> RateLimitConfig {
        RateLimitConfig {
            name: Name::from_static("rate_limit"),
            observer: None,
        }
    }
    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}
impl RateLimitConfig {
    /// Build.
    pub fn build(self) -> Result<RateLimit, BuildError> {
        Ok(RateLimit(Arc::new(Core {
            name: self.name,
            observer: self.observer,
        })))
    }
}
impl Policy for RateLimit {
    fn name(&self) -> Name {
        self.0.name
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        Enter::Proceed(Ticket(0))
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
    }
}
crate::pipeline::single!(RateLimit, gate);
