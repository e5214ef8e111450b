//! Stops calling a dependency that fails, and asks it again, carefully, later.
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{BuildError, Name, Observer};
use std::sync::Arc;

/// State.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Lets calls through.
    Closed,
    /// Refuses.
    Open,
    /// Lets probes through.
    HalfOpen,
    /// Open by hand.
    Isolated,
    /// Lets everything through, counts nothing.
    Disabled,
    /// Lets everything through and counts.
    MetricsOnly,
}
/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// By hand.
    ByHand,
}
/// Handle.
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Core>);
struct Core {
    name: Name,
    observer: Option<Arc<dyn Observer>>,
}
/// Settings.
#[derive(Clone)]
pub struct CircuitBreakerConfig {
    name: Name,
    observer: Option<Arc<dyn Observer>>,
}
impl CircuitBreaker {
    /// Config.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: impl Into<Name>) -> CircuitBreakerConfig {
        CircuitBreakerConfig {
            name: name.into(),
            observer: None,
        }
    }
    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}
impl CircuitBreakerConfig {
    /// Rule.
    pub fn consecutive_failures(self, _: u32) -> Self {
        self
    }
    /// Build.
    pub fn build(self) -> Result<CircuitBreaker, BuildError> {
        Ok(CircuitBreaker(Arc::new(Core {
            name: self.name,
            observer: self.observer,
        })))
    }
}
impl Policy for CircuitBreaker {
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
crate::pipeline::single!(CircuitBreaker, gate);
