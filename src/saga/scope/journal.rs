//! What a running scope remembers: its steps, and how to undo them.
use super::Scope;
use crate::Name;
use crate::event::{UndoOutcome, contain};
use parking_lot::Mutex;
use std::{fmt, pin::Pin, sync::Arc};

/// One try of a compensation, its error as text.
pub(super) type Try = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A compensation that can be tried again.
pub(super) type Compensation = Box<dyn FnMut() -> Try + Send>;

/// A step that ran.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) undo: Option<Compensation>,
}

impl Drop for Entry {
    /// A compensation's captures are foreign, and are dropped where a panic must not escape.
    fn drop(&mut self) {
        let undo = self.undo.take();
        contain((), || drop(undo));
    }
}

/// The steps of one run; `None` once it has ended.
pub(super) struct Journal {
    pub(super) scope: Scope,
    steps: Mutex<Option<Vec<Entry>>>,
}

impl Journal {
    pub(super) fn new(scope: Scope) -> Self {
        Journal {
            scope,
            steps: Mutex::new(Some(Vec::new())),
        }
    }

    fn note(&self, entry: Entry) {
        let late = match &mut *self.steps.lock() {
            Some(steps) => {
                steps.push(entry);
                None
            }
            None => Some(entry),
        };
        let Some(Entry {
            name,
            undo: Some(_),
        }) = &late
        else {
            return;
        };
        let (attempts, error) = (0, "registered after its scope had ended");
        self.scope.cry(*name, error);
        self.scope
            .tell(*name, UndoOutcome::Left { attempts, error });
    }

    /// The run ends; what it remembers is given out, once.
    pub(super) fn close(&self) -> Vec<Entry> {
        self.steps.lock().take().unwrap_or_default()
    }
}

/// Given to the operation of a [`Scope`]: takes down the steps that ran, and how to undo them.
///
/// It is for that operation alone. A compensation that is registered through a handle moved to
/// another task, after the scope has ended, is not run: it is reported as left.
pub struct Saga {
    journal: Arc<Journal>,
}

impl Saga {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Saga { journal }
    }

    /// The step `step` ran, and `undo` takes it back, should the scope fail.
    ///
    /// Compensations run in the reverse order of these calls. Each is called anew for every try, so
    /// it has to bear being repeated, and clones what it gives away. Its error is kept as text.
    ///
    /// Register it *before* the step where the step's error does not mean that nothing was done (a
    /// timeout, a lost connection); the compensation then has to bear that there is nothing to
    /// undo. Otherwise, after.
    ///
    /// Name steps after what they do, not after whom for: names are kept for ever.
    ///
    /// A panic of `undo` is a failed try.
    pub fn on_abort<F, Fut, T, X>(&self, step: impl Into<Name>, mut undo: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, X>> + Send + 'static,
        X: fmt::Display,
    {
        let compensation = move || {
            let attempt = undo();
            let attempt = async move {
                match attempt.await {
                    Ok(_) => Ok(()),
                    // `#`: an `anyhow::Error` tells its causes.
                    Err(error) => Err(format!("{error:#}")),
                }
            };
            Box::pin(attempt) as Try
        };
        self.journal.note(Entry {
            name: step.into(),
            undo: Some(Box::new(compensation)),
        });
    }

    /// The step `step` ran, and nothing takes it back. The error will tell.
    pub fn ran(&self, step: impl Into<Name>) {
        self.journal.note(Entry {
            name: step.into(),
            undo: None,
        });
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Saga({:?})", self.journal.scope.name())
    }
}
