//! How sagas begin.
mod child;

pub(super) use child::{child, child_ended, is_end_of};

use super::{
    builder::payload,
    core::Core,
    drive::{Drive, Stop, Task},
    handle::{End, Handle},
};
use crate::event::SagaEventKind;
use crate::saga::{
    flow::SagaRef,
    journal::{Event, FORMAT, Parent, Raw, Row},
    store::{Created, NewSaga, Next, SagaId, Status, StoreError},
};
use serde::Serialize;
use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;

/// The bytes that a key or a name may have.
pub(super) const MAX_KEY: usize = 255;

/// Why a saga was not started.
///
/// Nothing of it was written, but for [`Store`](StartError::Store) where the store failed while
/// writing: then the same start tells.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The key belongs to a saga of the same name with another input.
    #[error(
        "saga `{name}` with key `{key}` exists with another input; use another key, or the same input"
    )]
    #[non_exhaustive]
    Conflict {
        /// The saga's name.
        name: String,
        /// The key.
        key: String,
        /// The one that has it.
        id: SagaId,
    },
    /// The engine has no code for it.
    #[error(
        "saga `{name}` version {version} is not registered with this engine; register it with the builder"
    )]
    #[non_exhaustive]
    Unregistered {
        /// The saga's name.
        name: String,
        /// The version.
        version: u32,
    },
    /// The key is empty or too long.
    #[error("a saga's key has 1 to 255 bytes; this one has {bytes}")]
    #[non_exhaustive]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// The input is too large.
    #[error(
        "the input of saga `{name}` is {bytes} bytes, at most {most} are allowed (max_payload)"
    )]
    #[non_exhaustive]
    TooLarge {
        /// The saga's name.
        name: String,
        /// Its size.
        bytes: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// The input cannot be written as JSON.
    #[error("the input of saga `{name}` cannot be encoded: {why}")]
    #[non_exhaustive]
    Input {
        /// The saga's name.
        name: String,
        /// What serde says.
        why: String,
    },
    /// Its code cannot run on this engine.
    #[error("{0}")]
    Misuse(String),
    /// The engine is being stopped; start it elsewhere, or after the restart.
    #[error(
        "the engine is draining and starts nothing new; start it with the engine that comes after it"
    )]
    Draining,
    /// The store failed.
    #[error("the saga could not be written down: {0}")]
    Store(#[source] StoreError),
    /// The engine is gone.
    #[error("the engine has ended; start it again with the next one, under the same key")]
    Ended,
}

/// A saga that is not in the store yet.
pub(super) struct NewTask {
    pub(super) name: &'static str,
    pub(super) key: Arc<str>,
    pub(super) version: u32,
    pub(super) uid: [u8; 16],
    input: Raw,
    deadline: Option<i64>,
    parent: Option<Parent>,
    reply: oneshot::Sender<Result<Started, StartError>>,
}

/// A saga that has been written down.
pub(super) struct Started {
    id: SagaId,
    /// Tells its end, where this start has brought it into memory.
    end: Option<oneshot::Receiver<End>>,
}

impl NewTask {
    pub(super) fn started(&self) -> Event {
        Event::Started {
            v: FORMAT,
            version: self.version,
            input: self.input.clone(),
            deadline: self.deadline,
            parent: self.parent.clone(),
            first_op: 0,
        }
    }

    pub(super) fn refuse(self, error: StartError) {
        // One that is gone needs no answer.
        let _ = self.reply.send(Err(error));
    }
}

/// The first row: the saga with what its code has asked for at once.
pub(super) async fn create(
    d: &mut Drive,
    new: Box<NewTask>,
    row: Row,
    next: Next,
) -> Result<(), Stop> {
    let unheard = d.core.unheard();
    let created = d.core.store.create(NewSaga {
        name: new.name.to_owned(),
        key: new.key.to_string(),
        version: new.version,
        uid: new.uid,
        row,
        next,
        owner: d.core.owner,
    });
    match created.await {
        Ok(Created::New { id, mail }) => {
            d.id = id;
            d.seq = 1;
            if let Err(fenced) = d.core.enlist(id, d.epoch, &d.link) {
                // It is written down, and an operator has taken it over already.
                let _ = new.reply.send(Ok(Started { id, end: None }));
                return Err(fenced.into());
            }
            // What has come since it was written down may have found nobody to tell.
            if mail || d.core.unheard() != unheard {
                d.link.mail();
            }
            let (tell, end) = oneshot::channel();
            d.core.wait_for(id, tell);
            // One that is gone needs no answer; the saga goes on.
            let _ = new.reply.send(Ok(Started { id, end: Some(end) }));
            Ok(())
        }
        Ok(Created::Exists { id }) => {
            let same = is_same(&d.core, id, &new).await;
            new.answer(id, same);
            Err(Stop::NotNew)
        }
        Err(error) => {
            new.refuse(StartError::Store(error.clone()));
            Err(error.into())
        }
    }
}

impl NewTask {
    fn answer(self, id: SagaId, same: Result<bool, StoreError>) {
        let answer = match same {
            Ok(true) => Ok(Started { id, end: None }),
            Ok(false) => {
                let (name, key) = (self.name.to_owned(), self.key.to_string());
                Err(StartError::Conflict { name, key, id })
            }
            Err(error) => Err(StartError::Store(error)),
        };
        let _ = self.reply.send(answer);
    }
}

/// By bytes, else by decoding both; no hash decides.
async fn is_same(core: &Core, id: SagaId, new: &NewTask) -> Result<bool, StoreError> {
    let kept = core.store.load(id, true).await?;
    let first = kept.rows.first().and_then(|row| row.decode(&kept.uid).ok());
    let Some(Event::Started { input, .. }) = first.as_ref().and_then(|events| events.first())
    else {
        return Ok(false);
    };
    let decoded = || {
        let registered = core.registered(new.name, new.version);
        registered.is_some_and(|registered| (registered.same_input)(input, &new.input))
    };
    Ok(input.get() == new.input.get() || decoded())
}

impl Core {
    pub(super) async fn start(
        self: &Arc<Self>,
        name: &'static str,
        version: u32,
        key: String,
        input: Raw,
        deadline: Option<Duration>,
        parent: Option<Parent>,
    ) -> Result<Started, StartError> {
        if self.is_draining() {
            return Err(StartError::Draining);
        }
        if let Some(error) = self.is_closed() {
            return Err(StartError::Store(error));
        }
        if self.registered(name, version).is_none() {
            let name = name.to_owned();
            return Err(StartError::Unregistered { name, version });
        }
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(StartError::Key { bytes: key.len() });
        }
        let (bytes, most) = (input.get().len(), self.max_payload);
        if bytes > most {
            let name = name.to_owned();
            return Err(StartError::TooLarge { name, bytes, most });
        }
        let mut uid = [0; 16];
        getrandom::fill(&mut uid).map_err(|e| {
            StartError::Store(StoreError::Read(format!("no random bits: {e}").into()))
        })?;
        let (reply, started) = oneshot::channel();
        let deadline = deadline.map(|deadline| self.later(deadline));
        let key: Arc<str> = key.into();
        let new = NewTask {
            name,
            key,
            version,
            uid,
            input,
            deadline,
            parent,
            reply,
        };
        // A drain that begins now waits for it.
        let Some(taking) = self.take() else {
            return Err(StartError::Draining);
        };
        let room = !self.backlog.load(std::sync::atomic::Ordering::SeqCst);
        match room.then(|| self.place(name)).flatten() {
            Some(place) => self.spawn(Task::New(Box::new(new)), place),
            None => {
                // Whether or not anyone waits for it, somebody has to look for it afterwards.
                let core = self.clone();
                self.spawn_other(async move { core.enqueue(new).await });
            }
        }
        drop(taking);
        started.await.unwrap_or(Err(StartError::Ended))
    }

    /// No place in memory: it is written down and waits in the store.
    async fn enqueue(self: &Arc<Self>, new: NewTask) {
        let row = match Row::encode(&new.uid, 0, 1, self.now(), &[new.started()]) {
            Ok(row) => row,
            Err(e) => return new.refuse(StartError::Misuse(e.to_string())),
        };
        let created = self.store.create(NewSaga {
            name: new.name.to_owned(),
            key: new.key.to_string(),
            version: new.version,
            uid: new.uid,
            row,
            next: Next::Leave {
                status: Status::Running,
                due: Some(0),
            },
            owner: self.owner,
        });
        match created.await {
            Ok(Created::New { id, .. }) => {
                self.tell_of((id, new.name, &new.key), || SagaEventKind::Started);
                // It may have been taken up and have ended by now, so its end is looked for.
                let _ = new.reply.send(Ok(Started { id, end: None }));
                self.wake.notify_one();
            }
            Ok(Created::Exists { id }) => {
                let same = is_same(self, id, &new).await;
                new.answer(id, same);
            }
            Err(error) => {
                if let StoreError::Closed(_) = error {
                    self.close(&error);
                }
                new.refuse(StartError::Store(error));
            }
        }
    }
}

/// A saga to start: `.await` it, or give it a [deadline](Starting::deadline) first.
///
/// # Cancel safety
/// Dropped, the saga is either started or not; repeating the start tells.
#[must_use = "nothing is started until it is awaited"]
pub struct Starting<Out> {
    pub(super) core: Arc<Core>,
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) origin: u64,
    pub(super) key: String,
    pub(super) input: Result<Raw, String>,
    pub(super) deadline: Option<Duration>,
    pub(super) out: PhantomData<fn() -> Out>,
}

impl<Out> Starting<Out> {
    pub(super) fn of<In: Serialize>(
        core: &Arc<Core>,
        saga: SagaRef<In, Out>,
        key: String,
        input: &In,
    ) -> Self {
        Starting {
            core: core.clone(),
            name: saga.name,
            version: saga.version,
            origin: saga.origin,
            key,
            input: payload(input),
            deadline: None,
            out: PhantomData,
        }
    }

    /// Gives the saga up when so much time has passed since its start, unless it is past its pivot.
    ///
    /// Default: never.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }
}

impl<Out: 'static> IntoFuture for Starting<Out> {
    type Output = Result<Handle<Out>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Starting {
                core,
                name,
                version,
                origin,
                key,
                input,
                deadline,
                ..
            } = self;
            if origin != core.origin {
                let why = format!(
                    "saga `{name}` was registered with another engine's builder; start it \
                     with that engine, or with what this one's builder has given"
                );
                return Err(StartError::Misuse(why));
            }
            let input = input.map_err(|why| {
                let name = name.to_owned();
                StartError::Input { name, why }
            })?;
            let started = core
                .start(name, version, key, input, deadline, None)
                .await?;
            Ok(Handle::new(core, started.id, started.end))
        })
    }
}
