use crate::clients::{Call, Participant, StepError};
use crate::service::ids::Ids;
use crate::service::log::{millis, now};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering::Relaxed},
};

/// A step at a participant, and its undo.
#[derive(Clone)]
pub struct Step {
    at: Participant,
    path: &'static str,
    call: Call,
    trail: Trail,
    /// It was certainly not applied: there is nothing to undo.
    clean: Arc<AtomicBool>,
}

impl Step {
    pub fn new(
        order: &str,
        name: &'static str,
        at: &Participant,
        path: &'static str,
        ids: &Ids,
        trail: &Trail,
    ) -> Step {
        Step {
            at: at.clone(),
            path,
            call: Call {
                ids: ids.clone(),
                key: format!("{order}/{name}"),
            },
            trail: trail.clone(),
            clean: Arc::default(),
        }
    }

    /// Does it. What is known of it afterwards decides whether its compensation has anything to do.
    pub async fn run<T: DeserializeOwned>(&self, body: &impl Serialize) -> Result<T, StepError> {
        let begun = now();
        let answer = self.at.step(self.path, &self.call, body).await;
        if let Err(error) = &answer {
            self.clean.store(!error.maybe_applied, Relaxed);
            let took = millis(begun.elapsed());
            let doubt = if error.maybe_applied {
                ", outcome unknown"
            } else {
                ""
            };
            self.trail
                .add(format!("{}: {error} [{took}{doubt}]", self.name()));
        }
        answer
    }

    /// The compensation, in the form that a scope and a retry take: called anew for each try.
    pub fn undone_by(
        &self,
        done: &'static str,
    ) -> impl FnMut() -> Undoing<StepError> + Send + use<> {
        let step = self.clone();
        move || {
            let step = step.clone();
            Box::pin(async move {
                if step.clean.load(Relaxed) {
                    return Ok(());
                }
                let undone = step.at.undo(step.path, &step.call).await;
                step.trail.add(match &undone {
                    Ok(()) => done.to_owned(),
                    Err(error) => format!("undo of {}: {error}", step.name()),
                });
                undone
            })
        }
    }

    fn name(&self) -> &str {
        self.call.key.rsplit('/').next().unwrap_or_default()
    }
}

/// One try of an undo.
pub type Undoing<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

/// What an order has been through, in a few words each.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Vec<String>>>);

impl Trail {
    pub fn add(&self, what: impl Into<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
