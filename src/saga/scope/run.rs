//! The future of a scope: acts, and undoes if that ends badly.
use super::journal::{Entry, Journal, current};
use super::undo::Undoing;
use super::{Scope, ScopeError, ScopeSaga, StepReport};
use crate::event::contain;
use pin_project::{pin_project, pinned_drop};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::runtime::Handle;

type Undo = Pin<Box<dyn Future<Output = Vec<StepReport>> + Send>>;

/// A saga under way, made by [`Scope::run`] and [`scope`](super::scope()).
///
/// Dropped before its end, it spawns a task that undoes its steps and outlives it.
///
/// Nothing happens before it is polled.
///
/// Scopes nest. An inner one that is dropped with the outer one, or while that one goes on, is
/// undone before the outer one's steps are, if those have to be: its steps came after them.
///
/// # Cancel safety
/// Dropping it drops the operation and hands the compensations, or those that remain, to a task on
/// the current tokio runtime, without waiting for it: whoever starts the same saga again at once
/// may meet the undo of the first. A compensation under way is not begun anew. The task reports to
/// the scope's [observer](super::ScopeConfig::observer). Outside a runtime, or when the runtime ends
/// first, what remains is reported there as left, and on standard error if nobody observes.
#[pin_project(PinnedDrop)]
#[must_use = "futures do nothing unless awaited"]
pub struct ScopeRun<F, Fut, E> {
    begin: Option<F>,
    #[pin]
    acting: Option<Fut>,
    undoing: Option<Undo>,
    end: Option<End<E>>,
    journal: Arc<Journal>,
    unheard: Arc<AtomicBool>,
}

/// How the operation failed.
enum End<E> {
    Failed(E),
    Panicked(Box<dyn Any + Send>),
}

impl<F, Fut, E> ScopeRun<F, Fut, E> {
    pub(super) fn new(scope: Scope, begin: F) -> Self {
        ScopeRun {
            begin: Some(begin),
            acting: None,
            undoing: None,
            end: None,
            journal: Arc::new(Journal::new(scope)),
            unheard: Arc::default(),
        }
    }
}

impl<F, Fut, T, E> Future for ScopeRun<F, Fut, E>
where
    F: FnOnce(ScopeSaga) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, ScopeError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(begin) = this.begin.take() {
            let saga = ScopeSaga::new(this.journal.clone());
            let _inside = this.journal.enter();
            match catch_unwind(AssertUnwindSafe(|| begin(saga))) {
                Ok(acting) => this.acting.set(Some(acting)),
                Err(panic) => *this.end = Some(End::Panicked(panic)),
            }
        }
        if let Some(acting) = this.acting.as_mut().as_pin_mut() {
            let inside = this.journal.enter();
            let answer = catch_unwind(AssertUnwindSafe(|| acting.poll(cx)));
            let ended = match answer {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(value))) => Ok(value),
                Ok(Poll::Ready(Err(error))) => Err(End::Failed(error)),
                Err(panic) => Err(End::Panicked(panic)),
            };
            this.acting.set(None);
            drop(inside);
            match ended {
                Ok(value) => {
                    drop(this.journal.close());
                    return Poll::Ready(Ok(value));
                }
                Err(end) => *this.end = Some(end),
            }
        }
        let Some(end) = &this.end else {
            return Poll::Pending;
        };
        // After a panic nobody is given the reports.
        let unheard = matches!(end, End::Panicked(_));
        this.unheard.fetch_or(unheard, Ordering::Release);
        let undoing = this.undoing.get_or_insert_with(|| {
            let steps = this.journal.close();
            undo(this.journal, steps, this.unheard)
        });
        let steps = ready!(undoing.as_mut().poll(cx));
        *this.undoing = None;
        match this.end.take() {
            Some(End::Failed(error)) => {
                let scope = this.journal.scope.name();
                Poll::Ready(Err(ScopeError::new(scope, error, steps)))
            }
            Some(End::Panicked(panic)) => resume_unwind(panic),
            None => Poll::Pending,
        }
    }
}

#[pinned_drop]
impl<F, Fut, E> PinnedDrop for ScopeRun<F, Fut, E> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let inside = this.journal.enter();
        contain((), || this.acting.set(None));
        drop(inside);
        this.unheard.store(true, Ordering::Release);
        let undoing = match this.undoing.take() {
            Some(undoing) => undoing,
            None => {
                let steps = this.journal.close();
                if steps.iter().all(|step| step.undo.is_none()) {
                    return hand_out(this.journal);
                }
                undo(this.journal, steps, this.unheard)
            }
        };
        match Handle::try_current() {
            Ok(runtime) => {
                let task = runtime.spawn(undoing);
                if let Some(outer) = current() {
                    outer.wait_for([task]);
                }
            }
            Err(_) => drop(undoing),
        }
    }
}

/// Nothing to undo here: what has to be waited for, the run around this one has to wait for.
fn hand_out(journal: &Journal) {
    let inner = journal.take_inner();
    if let Some(outer) = current() {
        outer.wait_for(inner);
    }
}

fn undo(journal: &Journal, steps: Vec<Entry>, unheard: &Arc<AtomicBool>) -> Undo {
    let inner = journal.take_inner();
    Box::pin(Undoing::new(journal.scope.clone(), inner, steps, unheard.clone()).run())
}
