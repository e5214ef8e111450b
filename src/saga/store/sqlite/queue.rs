//! The way to the writing thread and back, which ends for everybody at once.
use super::ask::{Ask, Work};
use super::{Append, NewSaga, StoreError};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writing thread is asked for. The two of every saga's life need no allocation here.
#[allow(clippy::large_enum_variant)] // most are large ones
pub(super) enum Request {
    Create(Ask<NewSaga>),
    Append(Ask<Append>),
    Other(Box<dyn Work>),
}

/// Requests on their way. Once it is closed none comes in; once it has failed, with a cause.
pub(super) struct Queue {
    state: Mutex<State>,
    more: Condvar,
    end: watch::Sender<End>,
}

/// How far its end has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    No,
    Failed,
    Gone,
}

#[derive(Default)]
struct State {
    pending: Vec<Request>,
    idle: bool,
    closed: Option<Arc<str>>,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            state: Mutex::default(),
            more: Condvar::new(),
            end: watch::Sender::new(End::No),
        }
    }
}

impl Queue {
    pub(super) fn push(&self, request: Request) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if let Some(cause) = &state.closed {
            return Err(StoreError::Closed(cause.clone()));
        }
        state.pending.push(request);
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.more.notify_one();
        }
        Ok(())
    }

    /// Swaps all that is pending for `empty`, waiting for the first; `false` when it is closed and
    /// nothing is left.
    pub(super) fn take(&self, empty: &mut Vec<Request>) -> bool {
        let mut state = self.state.lock();
        while state.pending.is_empty() {
            if state.closed.is_some() {
                return false;
            }
            state.idle = true;
            self.more.wait(&mut state);
        }
        std::mem::swap(&mut state.pending, empty);
        true
    }

    /// Swaps what is pending for `empty`, if anything is.
    pub(super) fn take_now(&self, empty: &mut Vec<Request>) {
        std::mem::swap(&mut self.state.lock().pending, empty);
    }

    /// Lets no more in; what is pending will be done.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.closed = Some("it was told to close, or its last handle was dropped".into());
        }
        drop(state);
        self.more.notify_one();
    }

    /// Lets no more in, and drops what is pending: each of them learns of the cause.
    pub(super) fn fail(&self, cause: Arc<str>) {
        let mut state = self.state.lock();
        state.closed = Some(cause);
        let dropped = std::mem::take(&mut state.pending);
        drop(state); // dropping a request wakes who waits for it
        drop(dropped);
        self.end.send_modify(|end| *end = (*end).max(End::Failed));
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.state.lock().closed {
            None => Ok(()),
            Some(cause) => Err(StoreError::Closed(cause.clone())),
        }
    }

    /// Whether it takes nothing in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed.is_some()
    }

    /// Why a request was dropped unanswered. The cause comes after the drop, if by an instant.
    pub(super) async fn cause(&self) -> StoreError {
        self.wait(End::Failed).await;
        let cause = self.state.lock().closed.clone();
        StoreError::Closed(cause.unwrap_or_else(|| PANICKED.into()))
    }

    /// The file is closed.
    pub(super) fn set_gone(&self) {
        self.end.send_replace(End::Gone);
    }

    pub(super) async fn wait_gone(&self) {
        self.wait(End::Gone).await;
    }

    async fn wait(&self, least: End) {
        // It cannot fail: the sender is in `self`.
        drop(self.end.subscribe().wait_for(|end| *end >= least).await);
    }
}

pub(super) const PANICKED: &str = "its thread panicked, which is a defect of seawall; open it anew";
