//! What a running scope remembers: its steps, and how to undo them.
use super::{Scope, StepReport};
use crate::Name;
use crate::event::{UndoOutcome, contain};
use parking_lot::Mutex;
use std::{cell::RefCell, fmt, pin::Pin, sync::Arc};
use tokio::task::JoinHandle;

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
    /// Undos of scopes that were dropped within this one: their steps came after ours.
    inner: Mutex<Vec<InnerUndo>>,
}

/// The undo of a dropped scope, in a task of its own.
pub(super) type InnerUndo = JoinHandle<Vec<StepReport>>;

thread_local! {
    /// The run whose operation is being polled or dropped on this thread, the innermost.
    static CURRENT: RefCell<Option<Arc<Journal>>> = const { RefCell::new(None) };
}

/// The run within whose operation this is.
pub(super) fn current() -> Option<Arc<Journal>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok()?
}

fn swap_current(to: Option<Arc<Journal>>) -> Option<Arc<Journal>> {
    CURRENT.try_with(|current| current.replace(to)).ok()?
}

/// Where this thread was before it came to a run's operation, and will be after.
pub(super) struct Within(Option<Arc<Journal>>);

impl Drop for Within {
    fn drop(&mut self) {
        drop(swap_current(self.0.take()));
    }
}

impl Journal {
    pub(super) fn new(scope: Scope) -> Self {
        Journal {
            scope,
            steps: Mutex::new(Some(Vec::new())),
            inner: Mutex::new(Vec::new()),
        }
    }

    /// This run's operation is polled or dropped, until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Within {
        Within(swap_current(Some(self.clone())))
    }

    /// A scope within this one was dropped; what it undoes comes before what this one does.
    pub(super) fn wait_for(&self, undos: impl IntoIterator<Item = InnerUndo>) {
        let mut inner = self.inner.lock();
        inner.retain(|undo| !undo.is_finished());
        inner.extend(undos);
    }

    /// What has to be waited for before this run's steps are undone.
    pub(super) fn take_inner(&self) -> Vec<InnerUndo> {
        std::mem::take(&mut self.inner.lock())
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
pub struct ScopeSaga {
    journal: Arc<Journal>,
}

impl ScopeSaga {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        ScopeSaga { journal }
    }

    /// The same run, for a step that is a service.
    pub(super) fn share(&self) -> Self {
        ScopeSaga::new(self.journal.clone())
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

impl fmt::Debug for ScopeSaga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeSaga({:?})", self.journal.scope.name())
    }
}
