//! Waiting for the end of a saga.
use super::{
    core::Core,
    operate::{Command, Refused},
};
use crate::saga::{
    journal::{Event, Phase, Raw, Reading, StuckKind, View},
    step::undecodable,
    store::{SagaId, StoreError},
};
use serde::de::DeserializeOwned;
use std::{fmt, marker::PhantomData, sync::Arc};
use tokio::sync::oneshot;

/// A saga that was started. Dropping it cancels nothing.
pub struct Handle<Out> {
    core: Arc<Core>,
    id: SagaId,
    end: Option<oneshot::Receiver<End>>,
    out: PhantomData<fn() -> Out>,
}

/// How a saga ended other than [completed](Handle::outcome), or why that is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SagaError {
    /// It was given up, and everything it had attempted is undone.
    #[error("the saga was undone: {reason}")]
    #[non_exhaustive]
    Compensated {
        /// Why it was given up.
        reason: String,
    },
    /// It was given up, and what it had attempted is undone but for what an operator has skipped.
    #[error("the saga was undone except for {}: {reason}", exceptions.join(", "))]
    #[non_exhaustive]
    CompensatedWithExceptions {
        /// Why it was given up.
        reason: String,
        /// The steps that stand.
        exceptions: Vec<String>,
    },
    /// It is parked and waits for an operator; it has not ended. Ask again later.
    #[error("the saga is stuck ({}) and waits for an operator: {why}", kind.as_str())]
    #[non_exhaustive]
    Stuck {
        /// What kind of trouble.
        kind: StuckKind,
        /// Why.
        why: String,
    },
    /// An operator has ended it as it stood.
    #[error("the saga was ended by force: {note}")]
    #[non_exhaustive]
    Forced {
        /// The operator's note.
        note: String,
    },
    /// It completed, and its output is not of this type.
    #[error("the saga completed, but its output cannot be decoded {0}")]
    Decode(String),
    /// It is not known: the saga goes on when the store is opened anew.
    #[error("the saga's end is not known yet: {0}")]
    Store(#[source] StoreError),
    /// The engine has ended; the saga goes on with the next one.
    #[error("the engine has ended before the saga; it goes on when an engine is started again")]
    EngineEnded,
    /// The start failed.
    #[error(transparent)]
    Start(#[from] super::StartError),
}

/// How a saga ended, or parked.
#[derive(Clone, Debug)]
pub(super) enum End {
    Finished(Raw),
    Compensated {
        reason: String,
    },
    Exceptions {
        reason: String,
        exceptions: Vec<String>,
    },
    Forced {
        note: String,
    },
    Stuck {
        kind: StuckKind,
        why: String,
    },
    /// The engine has lost it.
    Lost(StoreError),
}

impl End {
    /// Of a saga that has ended or is parked.
    pub(super) fn of(view: &View) -> End {
        match (view.phase, &view.out) {
            (Phase::Finished, Some(out)) => End::Finished(out.clone()),
            (Phase::Forced, _) => End::Forced {
                note: view.forced.clone().unwrap_or_default(),
            },
            _ if view.exceptions.is_empty() => End::Compensated {
                reason: view.reason.clone(),
            },
            _ => {
                let name = |op| {
                    view.ops
                        .get(op)
                        .map_or_else(String::new, |op| op.name.clone())
                };
                let exceptions = view.exceptions.iter().map(name).collect();
                End::Exceptions {
                    reason: view.reason.clone(),
                    exceptions,
                }
            }
        }
    }

    pub(super) fn is_final(&self) -> bool {
        !matches!(self, End::Stuck { .. } | End::Lost(_))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Finished(_) => f.write_str("completed"),
            End::Compensated { reason } => write!(f, "undone: {reason}"),
            End::Exceptions { reason, exceptions } => {
                write!(f, "undone except for {}: {reason}", exceptions.join(", "))
            }
            End::Forced { note } => write!(f, "ended by force: {note}"),
            End::Stuck { why, .. } => write!(f, "stuck: {why}"),
            End::Lost(error) => error.fmt(f),
        }
    }
}

impl<Out> Handle<Out> {
    pub(super) fn new(core: Arc<Core>, id: SagaId, end: Option<oneshot::Receiver<End>>) -> Self {
        Handle {
            core,
            id,
            end,
            out: PhantomData,
        }
    }

    /// The saga's number in its store.
    pub fn id(&self) -> SagaId {
        self.id
    }

    /// Has the saga given up and undone.
    ///
    /// `Ok` means that it is written down and will be: while its pivot is under way, this waits for
    /// that. The saga's end is told by [`outcome`](Handle::outcome), as ever.
    ///
    /// # Errors
    /// [`Refused`]: it is past its pivot, has ended, or is stuck.
    ///
    /// # Cancel safety
    /// Dropped, the saga is either cancelled or not.
    pub async fn cancel(&self, note: impl Into<String>) -> Result<(), Refused> {
        let (by, note) = ("caller".to_owned(), note.into());
        self.core.command(self.id, Command::cancel(by, note)).await
    }

    async fn end(&mut self) -> Result<End, SagaError> {
        let end = match &mut self.end {
            Some(end) => end,
            none => match self
                .core
                .subscribe(self.id)
                .await
                .map_err(SagaError::Store)?
            {
                Ok(end) => return Ok(end),
                Err(end) => none.insert(end),
            },
        };
        let told = end.await;
        self.end = None;
        told.map_err(|_| match self.core.is_closed() {
            Some(error) => SagaError::Store(error),
            None => SagaError::EngineEnded,
        })
    }
}

impl<Out: DeserializeOwned> Handle<Out> {
    /// Waits for the end. `Ok` is a saga that completed; one that was undone never is.
    ///
    /// May be called again, also after [`Stuck`](SagaError::Stuck): then it waits on, or says the
    /// same again while it is stuck.
    ///
    /// # Errors
    /// [`SagaError`]: how it ended instead.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn outcome(&mut self) -> Result<Out, SagaError> {
        match self.end().await? {
            End::Finished(out) => serde_json::from_str(out.get())
                .map_err(|e| SagaError::Decode(undecodable::<Out>(&e))),
            End::Compensated { reason } => Err(SagaError::Compensated { reason }),
            End::Exceptions { reason, exceptions } => {
                Err(SagaError::CompensatedWithExceptions { reason, exceptions })
            }
            End::Forced { note } => Err(SagaError::Forced { note }),
            End::Stuck { kind, why } => Err(SagaError::Stuck { kind, why }),
            End::Lost(error) => Err(SagaError::Store(error)),
        }
    }
}

/// Where nobody waits, nothing of a saga that has left memory stays there.
impl<Out> Drop for Handle<Out> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            drop(end);
            self.core.forget_gone(self.id);
        }
    }
}

impl<Out> fmt::Debug for Handle<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// The end of a saga, or what will tell it.
    pub(super) async fn subscribe(
        &self,
        id: SagaId,
    ) -> Result<Result<End, oneshot::Receiver<End>>, StoreError> {
        let (tell, end) = oneshot::channel();
        // Before looking, so that an end in between is not missed.
        self.wait_for(id, tell);
        let found = match self.look(id).await {
            Ok(None) => return Ok(Err(end)),
            Ok(Some(found)) => Ok(Ok(found)),
            Err(error) => Err(error),
        };
        drop(end);
        self.forget_gone(id);
        found
    }

    /// How a saga ended or parked, if it has.
    pub(super) async fn look(&self, id: SagaId) -> Result<Option<End>, StoreError> {
        let kept = self.store.load(id, false).await?;
        let reading = Reading::of(&kept.uid, &kept.rows);
        if let Some(damage) = reading.damage.first() {
            // What is damaged ends by force alone, in a row that is whole.
            let ended = reading
                .read
                .iter()
                .rev()
                .find_map(|read| match &read.event {
                    Event::Forced { note, .. } => Some(End::Forced { note: note.clone() }),
                    _ => None,
                });
            let (kind, why) = (StuckKind::Damage, damage.to_string());
            return Ok(Some(ended.unwrap_or(End::Stuck { kind, why })));
        }
        let view = reading.view;
        Ok(match view.stuck {
            _ if view.phase.is_final() => Some(End::of(&view)),
            Some((kind, why)) => Some(End::Stuck { kind, why }),
            None => None,
        })
    }

    pub(super) async fn end_of(&self, name: &str, key: &str) -> Result<Option<End>, StoreError> {
        match self.store.find(name, key).await? {
            Some(id) => self.look(id).await,
            None => Ok(None),
        }
    }

    /// Waits for the end of a saga that exists, through parkings.
    pub(super) async fn ended(&self, name: &str, key: &str) -> Result<End, StoreError> {
        let Some(id) = self.store.find(name, key).await? else {
            return Err(StoreError::NotFound(SagaId(0)));
        };
        loop {
            let (tell, end) = oneshot::channel();
            self.wait_for(id, tell);
            if let Some(found) = self.look(id).await?.filter(End::is_final) {
                drop(end);
                self.forget_gone(id);
                return Ok(found);
            }
            match end.await {
                Ok(end) if end.is_final() => return Ok(end),
                Ok(_) => {}
                Err(_) => std::future::pending().await,
            }
        }
    }
}
