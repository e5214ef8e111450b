//! Undoing: each compensation in turn, retried under the crate's own policies, none forgotten.
use super::journal::{Compensation, Entry, InnerUndo, Try};
use super::{Scope, StepOutcome, StepReport};
use crate::event::{UndoOutcome, contain};
use crate::{Error, Name};
use parking_lot::Mutex;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// The steps of a failed run, the latest last, and what has become of those that are dealt with.
///
/// Dropped before its end, by a runtime that shuts down say, it tells which steps are left.
pub(super) struct Undoing {
    scope: Scope,
    /// What runs already and comes first.
    inner: Vec<InnerUndo>,
    steps: Vec<Entry>,
    done: Vec<StepReport>,
    tries: Tries,
    /// Raised when no caller waits for the reports any more.
    unheard: Arc<AtomicBool>,
}

/// The tries of the compensation under way, and what the last one that failed said.
type Tries = Mutex<(u32, String)>;

impl Undoing {
    pub(super) fn new(
        scope: Scope,
        inner: Vec<InnerUndo>,
        steps: Vec<Entry>,
        unheard: Arc<AtomicBool>,
    ) -> Self {
        Undoing {
            scope,
            inner,
            steps,
            done: Vec::new(),
            tries: Tries::default(),
            unheard,
        }
    }

    /// Deals with every step, the latest first. Gives the reports in the order of the steps.
    pub(super) async fn run(mut self) -> Vec<StepReport> {
        while let Some(inner) = self.inner.last_mut() {
            // They report by themselves, also when their runtime ends.
            let _ = inner.await;
            self.inner.pop();
        }
        while let Some(Entry { name, undo }) = self.steps.last_mut() {
            let name = *name;
            let outcome = match undo {
                Some(undo) => {
                    *self.tries.lock() = Default::default();
                    undo_one(&self.scope, name, undo, &self.tries).await
                }
                None => StepOutcome::Ran,
            };
            self.note(name, outcome);
            drop(self.steps.pop());
        }
        let mut done = std::mem::take(&mut self.done);
        done.reverse();
        if self.unheard.load(Ordering::Acquire) {
            cry_all(&self.scope, &done);
        }
        done
    }

    fn note(&mut self, name: Name, outcome: StepOutcome) {
        match &outcome {
            StepOutcome::Ran => {}
            StepOutcome::Undone { attempts } => {
                let attempts = *attempts;
                self.scope.tell(name, UndoOutcome::Undone { attempts });
            }
            StepOutcome::Left { attempts, error } => {
                let attempts = *attempts;
                self.scope.tell(name, UndoOutcome::Left { attempts, error });
            }
        }
        self.done.push(StepReport::new(name, outcome));
    }
}

impl Drop for Undoing {
    fn drop(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        // The first is the one under way.
        let mut attempts = self.tries.lock().0;
        while let Some(entry) = self.steps.pop() {
            if entry.undo.is_some() {
                let error = String::from("nobody is left to undo it: no runtime, or it has ended");
                self.note(entry.name, StepOutcome::Left { attempts, error });
            }
            attempts = 0;
        }
        cry_all(&self.scope, &self.done);
    }
}

fn cry_all(scope: &Scope, done: &[StepReport]) {
    for step in done {
        if let StepOutcome::Left { error, .. } = &step.outcome {
            scope.cry(step.name, error);
        }
    }
}

/// Tries one compensation until it works or its tries are used.
async fn undo_one(
    scope: &Scope,
    name: Name,
    undo: &mut Compensation,
    tries: &Tries,
) -> StepOutcome {
    let (retry, limit) = match scope.0.policies() {
        Ok(policies) => policies,
        Err(error) => {
            let (attempts, error) = (0, error.to_string());
            return StepOutcome::Left { attempts, error };
        }
    };
    let most = scope.0.undo_attempts;
    let answer = retry
        .run(|| {
            let begun = catch_unwind(AssertUnwindSafe(&mut *undo)).map_err(panic_text);
            let attempt = {
                let mut tries = tries.lock();
                tries.0 = tries.0.saturating_add(1);
                tries.0
            };
            let limit = &limit;
            async move {
                let tried = match begun {
                    Ok(attempt) => limit.run(|| Contained(Some(attempt))).await,
                    Err(panic) => Err(Error::Inner(panic)),
                };
                tried.map_err(|error| {
                    let error = error.to_string();
                    if attempt < most {
                        let error = &error;
                        scope.tell(name, UndoOutcome::Retrying { attempt, error });
                    }
                    tries.lock().1.clone_from(&error);
                    error
                })
            }
        })
        .await;
    let (attempts, last) = std::mem::take(&mut *tries.lock());
    match answer {
        Ok(()) => StepOutcome::Undone { attempts },
        Err(Error::Inner(error)) => StepOutcome::Left { attempts, error },
        Err(Error::Rejected(refusal)) => {
            let error = format!("{last}; not tried again: {refusal}");
            StepOutcome::Left { attempts, error }
        }
    }
}

/// A try whose panic, also when it is dropped, is a failure.
struct Contained(Option<Try>);

impl Future for Contained {
    type Output = Result<(), String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(attempt) = &mut self.0 else {
            return Poll::Pending;
        };
        catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panic_text(panic))))
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let attempt = self.0.take();
        contain((), || drop(attempt));
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("panicked: {text}"),
        None => String::from("panicked"),
    }
}
