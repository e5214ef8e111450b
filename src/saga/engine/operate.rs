//! What people do to sagas: each is a row of the journal, with who and why.
use super::{
    core::Core,
    drive::{Drive, Job, Stop},
};
use crate::saga::{
    journal::{Event, OpState, Phase, Settlement},
    store::{SagaId, Status, StoreError},
};
use std::sync::{Arc, atomic::AtomicU64};
use tokio::sync::oneshot;

/// What is done to a saga. Each has an author and a note.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Cancel {
        by: String,
        note: String,
    },
    Retry {
        by: String,
        note: String,
    },
    Skip {
        op: u32,
        by: String,
        note: String,
    },
    Settle {
        op: u32,
        verdict: Settlement,
        by: String,
        note: String,
    },
    Abort {
        by: String,
        note: String,
    },
    Force {
        by: String,
        note: String,
    },
}

pub(super) type Reply = oneshot::Sender<Result<(), Refused>>;

/// Why a command was not carried out. Nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is past its pivot, and only goes forward.
    #[error("the saga is past its pivot and only goes forward; it cannot be undone any more")]
    PastPivot,
    /// It is not parked: only cancel and force apply to a saga that runs.
    #[error("the saga is not stuck; only cancel and force apply to a saga that runs")]
    NotStuck,
    /// It is parked: cancel needs a saga that runs.
    #[error("the saga is stuck; abort it, retry it, or end it by force")]
    Stuck,
    /// It has ended.
    #[error("the saga has ended")]
    Ended,
    /// There is no such saga, or no longer.
    #[error("there is no saga {0}")]
    NotFound(SagaId),
    /// The operation cannot be treated so.
    #[error("operation {op} cannot be {what}: {why}")]
    Operation {
        /// Its number.
        op: u32,
        /// What was asked.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The note or the author is empty.
    #[error("{field} is empty; every command is kept with who gave it and why")]
    Unsigned {
        /// Which.
        field: &'static str,
    },
    /// The engine is being stopped.
    #[error("the engine is draining")]
    Draining,
    /// The store failed.
    #[error("the command could not be written down: {0}")]
    Store(#[source] StoreError),
}

/// How many sagas went back, of how many that ended.
#[derive(Default)]
pub(super) struct Undoing {
    pub(super) ended: AtomicU64,
    pub(super) undone: AtomicU64,
}

impl Command {
    fn signature(&self) -> (&str, &str) {
        match self {
            Command::Cancel { by, note }
            | Command::Retry { by, note }
            | Command::Skip { by, note, .. }
            | Command::Settle { by, note, .. }
            | Command::Abort { by, note }
            | Command::Force { by, note } => (by, note),
        }
    }
}

impl Core {
    /// Gives a saga a command, wherever it is, and waits until that is durable.
    pub(super) async fn command(
        self: &Arc<Self>,
        id: SagaId,
        command: Command,
    ) -> Result<(), Refused> {
        let (by, note) = command.signature();
        for (field, value) in [("author", by), ("note", note)] {
            if value.trim().is_empty() {
                return Err(Refused::Unsigned { field });
            }
        }
        loop {
            if self.is_draining() {
                return Err(Refused::Draining);
            }
            if let Some(error) = self.is_closed() {
                return Err(Refused::Store(error));
            }
            let (reply, answer) = oneshot::channel();
            match self.link(id) {
                Some(link) => link.command(command.clone(), reply),
                None => self.command_stored(id, command.clone(), reply).await?,
            }
            // No answer: the saga left memory in between.
            if let Ok(answer) = answer.await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes a saga over that is not in memory.
    async fn command_stored(
        self: &Arc<Self>,
        id: SagaId,
        command: Command,
        reply: Reply,
    ) -> Result<(), Refused> {
        let refused = |error| match error {
            StoreError::NotFound(id) => Refused::NotFound(id),
            StoreError::Ended(_) => Refused::Ended,
            other => Refused::Store(other),
        };
        // Look before taking it: a command that does not apply leaves no trace.
        let kept = self.store.load(id, false).await.map_err(refused)?;
        match (&command, kept.status) {
            (_, status) if status.is_final() => return Err(Refused::Ended),
            (Command::Cancel { .. }, Status::Stuck) => return Err(Refused::Stuck),
            (Command::Cancel { .. } | Command::Force { .. }, _) | (_, Status::Stuck) => {}
            _ => return Err(Refused::NotStuck),
        }
        let claimed = self.store.seize(self.owner, id).await.map_err(refused)?;
        let place = self.extra_place(&claimed.name);
        self.spawn(Job::Old(Box::new(claimed), vec![(command, reply)]), place);
        Ok(())
    }

    /// The parent of a child is given up.
    pub(super) fn cancel_child(self: &Arc<Self>, name: String, key: String) {
        let core = self.clone();
        self.spawn_other(async move {
            let Ok(Some(id)) = core.store.find(&name, &key).await else {
                return;
            };
            let (by, note) = ("engine".to_owned(), "its parent is given up".to_owned());
            // Past its pivot, or ended: its end tells. Stuck: an operator settles it.
            let _ = core.command(id, Command::Cancel { by, note }).await;
        });
    }
}

impl Drive {
    /// Carries out what was asked of a parked saga. `true`: it goes on.
    pub(super) async fn operate_stuck(&mut self) -> Result<bool, Stop> {
        let mut goes_on = false;
        while let Some((command, reply)) = self.link.take_command() {
            let (by, note) = command.signature();
            let resumed = Event::Resumed {
                by: by.to_owned(),
                note: note.to_owned(),
            };
            let event = match self.view.stuck.is_some() {
                true => self.event_of(command),
                // An earlier command has set it going.
                false => Err(Refused::NotStuck),
            };
            match event {
                Err(refused) => {
                    // One that is gone needs no answer.
                    let _ = reply.send(Err(refused));
                }
                Ok(event) => {
                    let forced = matches!(event, Some(Event::Forced { .. }));
                    if let Some(event) = event {
                        self.push(event);
                    }
                    self.replies.push((Ok(()), reply));
                    if forced {
                        return Err(self.end().await);
                    }
                    self.push(resumed);
                    goes_on = true;
                }
            }
        }
        Ok(goes_on)
    }

    /// The event of a command to a parked saga; `None` for one that only sets it going.
    fn event_of(&self, command: Command) -> Result<Option<Event>, Refused> {
        let backward = self.view.phase == Phase::Backward;
        Ok(match command {
            Command::Cancel { .. } => return Err(Refused::Stuck),
            Command::Retry { .. } => None,
            Command::Force { by, note } => Some(Event::Forced { by, note }),
            Command::Abort { .. } if self.view.pivoted => return Err(Refused::PastPivot),
            Command::Abort { .. } if self.pivot_in_doubt() => {
                return Err(Refused::Operation {
                    op: self.view.stuck_op.unwrap_or_default(),
                    what: "undone",
                    why: "it is a pivot whose outcome is unknown; settle it first".to_owned(),
                });
            }
            Command::Abort { .. } if backward => None,
            Command::Abort { by, note } => Some(Event::Abort {
                reason: format!("aborted by {by}: {note}"),
                by: Some(by),
                note: Some(note),
            }),
            Command::Skip { op, by, note } => {
                let undoing = backward || self.view.undo_asked.contains_key(&op);
                if !undoing || !self.view.to_undo().contains(&op) {
                    let why = "it is not a step whose compensation is due".to_owned();
                    return Err(Refused::Operation {
                        op,
                        what: "skipped",
                        why,
                    });
                }
                Some(Event::Skipped { op, by, note })
            }
            Command::Settle {
                op,
                verdict,
                by,
                note,
            } => {
                let state = self.view.ops.get(&op).map(|op| &op.state);
                let open = match state {
                    Some(OpState::Intent) => true,
                    Some(OpState::Unknown | OpState::Done(_)) => backward,
                    _ => false,
                };
                if !open {
                    let why = "it is not a step without a settled outcome".to_owned();
                    return Err(Refused::Operation {
                        op,
                        what: "settled",
                        why,
                    });
                }
                if backward
                    && matches!(verdict, Settlement::Done(_))
                    && matches!(state, Some(OpState::Done(_)))
                {
                    let why = "it is known to be done".to_owned();
                    return Err(Refused::Operation {
                        op,
                        what: "settled",
                        why,
                    });
                }
                Some(Event::Settled {
                    op,
                    verdict,
                    by,
                    note,
                })
            }
        })
    }

    fn pivot_in_doubt(&self) -> bool {
        self.view
            .ops
            .values()
            .any(|op| op.pivot && matches!(op.state, OpState::Intent))
    }
}
