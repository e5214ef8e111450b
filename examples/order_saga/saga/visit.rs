//! What logs and answers tell of an order under way.
use crate::name::Name;
use crate::service::{
    ids::Ids,
    log::{log, millis, now},
};
use seawall::saga::{Failure, FailureKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What this process knows of orders under way: the ids of the request, and what has happened.
///
/// It is for logs and answers, so it is not worth a place in the journal. A saga that outlives its
/// process goes on with ids made from its key.
#[derive(Clone, Default)]
pub struct Visits(Arc<Mutex<HashMap<String, Visit>>>);

/// One order under way. Clones share it.
#[derive(Clone)]
pub struct Visit {
    pub ids: Ids,
    order: String,
    trail: Arc<Mutex<Vec<String>>>,
}

impl Visits {
    /// Of this order; with these ids, where there is none.
    pub fn begin(&self, order: &str, ids: Ids) -> Visit {
        let mut visits = lock(&self.0);
        let visit = visits.entry(order.to_owned()).or_insert_with(|| Visit {
            ids,
            order: order.to_owned(),
            trail: Arc::default(),
        });
        visit.clone()
    }

    /// Of an order that may have come to an earlier process.
    pub fn of(&self, order: &str) -> Visit {
        self.begin(order, Ids::about(order))
    }

    /// Nothing more will happen.
    pub fn end(&self, order: &str) {
        lock(&self.0).remove(order);
    }
}

impl Visit {
    /// What the order has been through in this process, in a few words each.
    pub fn trail(&self) -> Vec<String> {
        lock(&self.trail).clone()
    }

    pub fn add(&self, what: impl Into<String>) {
        let what = what.into();
        log!(Name::Orders, "order {}: {what}", self.order);
        lock(&self.trail).push(what);
    }

    /// Notes a failure of what is being done.
    pub async fn watch<T>(
        &self,
        what: &str,
        doing: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let begun = now();
        let done = doing.await;
        if let Err(failure) = &done {
            let took = millis(begun.elapsed());
            let doubt = match failure.kind() {
                FailureKind::Unknown => ", outcome unknown",
                FailureKind::Held => ", waits",
                _ => "",
            };
            self.add(format!("{what}: {failure} [{took}{doubt}]"));
        }
        done
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
