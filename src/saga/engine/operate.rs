//! What people do to sagas: each is a row of the journal, with who and why.
mod decide;

use super::{
    core::Core,
    drive::{Drive, Stop, Task},
    timer,
};
use crate::saga::{
    journal::{Event, Reading, Settlement, StuckKind},
    store::{SagaId, Status, StoreError},
};
use decide::{Decision, decide};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// What is done to a saga. Each has an author and a note.
#[derive(Clone, Debug)]
pub(in crate::saga) enum Command {
    Cancel {
        by: String,
        note: String,
        /// It is a child, whose parent is given up: a parked one is told as well, and stays parked.
        parent: bool,
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

/// Why a command was not carried out.
///
/// Nothing was written, but for a cancel that came during a pivot: it stands in the journal, and the
/// pivot decides.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is past its pivot, and only goes forward.
    #[error("the saga is past its pivot and only goes forward; it cannot be undone any more")]
    PastPivot,
    /// It is not parked, or somebody else's command is setting it going.
    #[error("the saga is not stuck; only cancel and force_end apply to a saga that runs")]
    NotStuck,
    /// It is parked: cancel needs a saga that runs.
    #[error("the saga is stuck: abort it, retry it, or end it by force")]
    Stuck,
    /// Its journal cannot be read, so nobody knows what would have to be done.
    #[error(
        "{why}; a damaged saga can only be ended by force (force_end), after a look at what its steps have done"
    )]
    #[non_exhaustive]
    Damaged {
        /// What is wrong with it, and where.
        why: String,
    },
    /// It has ended.
    #[error("the saga has ended")]
    Ended,
    /// There is no such saga, or no longer.
    #[error("there is no saga {0}; one that has ended is deleted after its retention")]
    NotFound(SagaId),
    /// The operation cannot be treated so.
    #[error("operation {op} cannot be {what}: {why}")]
    #[non_exhaustive]
    Operation {
        /// Its number.
        op: u32,
        /// What was asked.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The note or the author is empty.
    #[error("the {field} is empty; every command is kept with who gave it and why")]
    #[non_exhaustive]
    Unsigned {
        /// Which.
        field: &'static str,
    },
    /// The note or the author is too long to keep.
    #[error("the {field} is {bytes} bytes, at most {most} are kept")]
    #[non_exhaustive]
    TooLong {
        /// Which.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// A page of no sagas, or of too many.
    #[error("a page has 1 to {most} sagas; {limit} were asked for")]
    #[non_exhaustive]
    Limit {
        /// How many sagas were asked for.
        limit: usize,
        /// How many sagas there are at most.
        most: usize,
    },
    /// The engine is being stopped; the next one takes the command.
    #[error("the engine is draining; give the command to the engine that comes after it")]
    Draining,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[source] StoreError),
}

/// Bytes of an author's name, and of a note.
const MAX_AUTHOR: usize = 255;
const MAX_NOTE: usize = 4096;

/// Before a child is cancelled again that the store could not find or write.
const AGAIN: Duration = Duration::from_secs(1);

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(id) => Refused::NotFound(id),
            StoreError::Ended(_) => Refused::Ended,
            other => Refused::Store(other),
        }
    }
}

impl Command {
    /// By somebody who wants the saga given up.
    pub(in crate::saga) fn cancel(by: String, note: String) -> Command {
        let parent = false;
        Command::Cancel { by, note, parent }
    }

    fn signature(&self) -> (&str, &str) {
        match self {
            Command::Cancel { by, note, .. }
            | Command::Retry { by, note }
            | Command::Skip { by, note, .. }
            | Command::Settle { by, note, .. }
            | Command::Abort { by, note }
            | Command::Force { by, note } => (by, note),
        }
    }

    /// Whether it says who and why.
    pub(in crate::saga) fn check(&self) -> Result<(), Refused> {
        let (by, note) = self.signature();
        for (field, value, most) in [("author", by, MAX_AUTHOR), ("note", note, MAX_NOTE)] {
            if value.trim().is_empty() {
                return Err(Refused::Unsigned { field });
            }
            let bytes = value.len();
            if bytes > most {
                return Err(Refused::TooLong { field, bytes, most });
            }
        }
        Ok(())
    }
}

impl Core {
    /// Gives a saga a command, wherever it is, and waits until that is durable.
    pub(in crate::saga) async fn command(
        self: &Arc<Self>,
        id: SagaId,
        command: Command,
    ) -> Result<(), Refused> {
        command.check()?;
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
        // Look before taking it: a command that does not apply leaves no trace.
        if let Decision::Granted = self.decision(id, &command).await? {
            // One that is gone needs no answer.
            let _ = reply.send(Ok(()));
            return Ok(());
        }
        let Some(_taking) = self.take() else {
            return Err(Refused::Draining);
        };
        let claimed = self.heard(self.store.seize(self.owner, id).await)?;
        let place = self.extra_place(&claimed.name);
        self.spawn(Task::Old(Box::new(claimed), vec![(command, reply)]), place);
        Ok(())
    }

    /// Whether a command would be carried out, as the saga stands in the store.
    pub(in crate::saga) async fn would(
        &self,
        id: SagaId,
        command: &Command,
    ) -> Result<(), Refused> {
        command.check()?;
        self.decision(id, command).await.map(drop)
    }

    async fn decision(&self, id: SagaId, command: &Command) -> Result<Decision, Refused> {
        let kept = self.store.load(id, false).await?;
        if kept.status.is_final() {
            return Err(Refused::Ended);
        }
        let reading = Reading::of(&kept.uid, &kept.rows);
        let view = &reading.view;
        let forced = matches!(command, Command::Force { .. });
        if let Some(damage) = reading.damage.first().filter(|_| !forced) {
            let why = damage.to_string();
            return Err(Refused::Damaged { why });
        }
        if view.stuck.is_some() && kept.status != Status::Stuck && !forced {
            // Somebody else is at it.
            return Err(Refused::NotStuck);
        }
        let steps = self.steps_for(&kept.name, kept.version);
        decide(view, &steps, command.clone())
    }

    /// The parent of a child is given up: ends when that is written down in the child, or cannot be.
    pub(super) fn cancel_child(
        self: &Arc<Self>,
        name: String,
        key: String,
    ) -> impl Future<Output = ()> + Send + 'static {
        let core = self.clone();
        async move {
            while !core.is_draining() && core.is_closed().is_none() {
                let answer = match core.store.find(&name, &key).await {
                    Ok(Some(id)) => {
                        let cancel = Command::Cancel {
                            by: "engine".to_owned(),
                            note: "its parent is given up".to_owned(),
                            parent: true,
                        };
                        core.command(id, cancel).await
                    }
                    Ok(None) => return,
                    Err(error) => Err(error.into()),
                };
                // Past its pivot, or ended: its end tells. Just being taken up: it hears it then.
                let Err(Refused::Store(_) | Refused::NotStuck) = answer else {
                    return;
                };
                timer::pause(AGAIN).await;
            }
        }
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
            let steps = self.core.steps_for(&self.name, self.version);
            // Once somebody or fitting code sets it going, it goes back.
            let stays = matches!(command, Command::Cancel { .. });
            let decision = match (&self.view.stuck, &command) {
                // An earlier command has set it going: for what comes then.
                (None, Command::Cancel { .. } | Command::Force { .. }) => {
                    self.link.command(command, reply);
                    break;
                }
                (Some((StuckKind::Damage, why)), _)
                    if !matches!(command, Command::Force { .. }) =>
                {
                    Err(Refused::Damaged { why: why.clone() })
                }
                _ => decide(&self.view, &steps, command),
            };
            match decision {
                Err(refused) => {
                    let _ = reply.send(Err(refused));
                    continue;
                }
                Ok(Decision::Write(event)) => self.push(event),
                Ok(Decision::GoOn | Decision::Granted) => {}
            }
            self.replies.push((Ok(()), reply));
            if self.view.phase.is_final() {
                return Err(self.end().await);
            }
            if !stays {
                self.push(resumed);
                goes_on = true;
            }
        }
        Ok(goes_on)
    }
}
