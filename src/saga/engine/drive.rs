//! One saga in memory, from its start or its journal to where it ends, parks or leaves.
use super::{
    backward,
    book::Park,
    core::{Core, Place},
    forward,
    handle::End,
    link::Link,
    operate::{Command, Refused, Reply},
    start::{self, NewTask, StartError},
    turns::text,
};
use crate::event::SagaEventKind;
use crate::saga::{
    journal::{Event, Phase, Row, StuckKind, View},
    store::{Append, Claimed, Letter, Next, SagaId, Status, StoreError},
};
use futures_util::FutureExt as _;
use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};
use tokio::sync::OwnedMutexGuard;

/// What brings a saga into memory.
pub(super) enum Task {
    New(Box<NewTask>),
    /// Claimed, with what an operator wants of it.
    Old(Box<Claimed>, Vec<(Command, Reply)>),
    /// It was parked for its code, which may fit now.
    Fits(Box<Claimed>),
}

/// Why a saga is no longer in memory.
pub(super) enum Stop {
    /// It has ended, or is parked.
    End(End),
    /// It waits in the store.
    Left,
    /// The engine stops.
    Drained,
    /// Somebody else owns it.
    Fenced,
    /// It is another saga that has the key.
    NotNew,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Stop::Fenced,
            other => Stop::Store(other),
        }
    }
}

/// A saga, as its task holds it.
pub(super) struct Drive {
    pub(super) core: Arc<Core>,
    pub(super) link: Arc<Link>,
    pub(super) id: SagaId,
    pub(super) uid: [u8; 16],
    pub(super) name: Arc<str>,
    pub(super) version: u32,
    pub(super) key: Arc<str>,
    pub(super) epoch: u32,
    pub(super) seq: u32,
    pub(super) view: View,
    pub(super) batch: Vec<Event>,
    /// Bytes of payloads in it.
    pub(super) weight: usize,
    /// Mail that goes with the next row.
    pub(super) consumed: BTreeSet<i64>,
    /// Set while the saga is not in the store yet.
    pub(super) new: Option<Box<NewTask>>,
    pub(super) replies: Vec<(Result<(), Refused>, Reply)>,
    pub(super) new_run: bool,
    pub(super) clear_crashes: bool,
    /// Held until there is progress.
    pub(super) alone: Option<OwnedMutexGuard<()>>,
    /// The last to go.
    pub(super) place: Place,
}

/// Runs a saga for as long as it is in memory.
pub(super) async fn drive(core: Arc<Core>, task: Task, place: Place) {
    let mut d = Drive::new(core.clone(), place);
    // A panic of the engine itself must not take the others' tasks with it, nor hang the waiters.
    let ran = AssertUnwindSafe(d.run(task)).catch_unwind().await;
    let mut stop = ran.unwrap_or_else(|panic| {
        let why = format!("the engine panicked: {}", text(&*panic));
        Stop::Store(StoreError::Read(why.into()))
    });
    if let Stop::Store(error @ StoreError::TooLarge { .. }) = &stop
        && d.id != SagaId(0)
    {
        // What could not be written down has not happened.
        (d.batch, d.consumed) = Default::default();
        for (answer, _) in &mut d.replies {
            *answer = Err(Refused::Stuck);
        }
        stop = d.park(Park::new(StuckKind::Saga, error.to_string())).await;
    }
    core.discharge(d.id, &d.link);
    match stop {
        Stop::End(end) => {
            core.ends.count(&end);
            core.tell(d.id, &end);
        }
        Stop::Store(error) => {
            match error {
                StoreError::Closed(_) => core.close(&error),
                // The next look may be luckier.
                _ => core.release_later(d.id),
            }
            // Not given again: what failed now would fail then.
            for (_, reply) in d.replies.drain(..) {
                let _ = reply.send(Err(Refused::Store(error.clone())));
            }
            core.tell(d.id, &End::Lost(error));
        }
        // A signal or a command may have come while it left.
        Stop::Left => {
            core.forget_gone(d.id);
            core.wake.notify_one();
        }
        Stop::Fenced => {
            // Whoever has it now may have told its end before somebody waited for it here.
            if let Ok(Some(end)) = core.look(d.id).await {
                core.tell(d.id, &end);
            }
        }
        Stop::Drained | Stop::NotNew => {}
    }
    drop(d);
}

impl Drive {
    fn new(core: Arc<Core>, place: Place) -> Self {
        Drive {
            core,
            link: Arc::default(),
            id: SagaId(0),
            uid: [0; 16],
            name: Arc::default(),
            version: 0,
            key: Arc::default(),
            epoch: 1,
            seq: 0,
            view: View::default(),
            batch: Vec::new(),
            weight: 0,
            consumed: BTreeSet::new(),
            new: None,
            replies: Vec::new(),
            new_run: false,
            clear_crashes: false,
            alone: None,
            place,
        }
    }

    async fn run(&mut self, task: Task) -> Stop {
        let done = match task {
            Task::New(new) => self.begin(new).await,
            Task::Old(claimed, commands) => {
                // One that is due and yet parked was taken up by somebody who died over it.
                let may_fit = commands.is_empty();
                Box::pin(self.resume(*claimed, commands, may_fit)).await
            }
            Task::Fits(claimed) => Box::pin(self.resume(*claimed, Vec::new(), true)).await,
        };
        match done {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn begin(&mut self, new: Box<NewTask>) -> Result<Never, Stop> {
        (self.name, self.key) = (new.name.into(), new.key.clone());
        (self.version, self.uid) = (new.version, new.uid);
        let started = new.started();
        self.new = Some(new);
        self.push(started.clone());
        forward::run(self, vec![started], false).await
    }

    async fn resume(
        &mut self,
        claimed: Claimed,
        commands: Vec<(Command, Reply)>,
        may_fit: bool,
    ) -> Result<Never, Stop> {
        (self.id, self.uid, self.epoch) = (claimed.id, claimed.uid, claimed.epoch);
        (self.name, self.key) = (claimed.name.into(), claimed.key.into());
        self.version = claimed.version;
        self.clear_crashes = claimed.crashes > 0;
        for (command, reply) in commands {
            self.link.command(command, reply);
        }
        if let Some(before) = self.core.enlist(self.id, self.epoch, &self.link)? {
            before.fence();
            before.left().await;
        }
        self.check_closed()?;
        let (mut events, mut first_row) = (Vec::new(), 0);
        self.seq = claimed
            .rows
            .last()
            .map_or(0, |row| row.seq.saturating_add(1));
        let mut due = claimed.rows.first().map_or(0, |row| row.seq);
        // Not kept while the saga is in memory, which may be long.
        for row in claimed.rows {
            let decoded = row.decode(&self.uid).map_err(|damage| damage.to_string());
            let decoded = decoded.and_then(|events| match row.seq == due {
                true => Ok(events),
                false => Err(format!("journal row {due} is missing")),
            });
            match decoded {
                Ok(row_events) => {
                    self.view.apply_row(row.epoch, &row_events);
                    if events.is_empty() {
                        first_row = row_events.len();
                    }
                    events.extend(row_events);
                }
                Err(why) => return self.damaged(why).await,
            }
            due = due.saturating_add(1);
        }
        // What stands before it in its row belongs to the run before.
        let begins = events
            .iter()
            .rposition(|event| matches!(event, Event::Started { .. }));
        match begins {
            Some(place) if place < first_row => drop(events.drain(..place)),
            _ => {
                return self
                    .damaged("the journal does not begin with its start".to_owned())
                    .await;
            }
        }
        if let Some(Event::Started { version, .. }) = events.first()
            && *version != self.version
        {
            let why = format!(
                "the journal is of version {version}, its line of {}",
                self.version
            );
            return self.damaged(why).await;
        }
        if self.view.phase.is_final() {
            // The line beside the journal was behind it.
            return Err(self.end().await);
        }
        if let Some((kind, why)) = self.view.stuck.clone() {
            let operated = self.operate_stuck().await?;
            let fits = may_fit && kind == StuckKind::Code;
            if !(operated || fits) {
                return Err(self.repark(kind, why).await);
            }
            // What was settled by hand is an outcome like any other, for the code as well.
            events.extend(self.batch.iter().cloned());
        }
        if claimed.crashes >= 2 && self.is_suspect(&events).await? {
            self.run_alone(claimed.crashed_alone, claimed.crashes, &mut events)
                .await?;
        }
        self.tell(|| SagaEventKind::Resumed);
        match self.view.phase {
            Phase::Backward => {
                if self.view.stuck.is_some() {
                    self.resumed_by_engine();
                }
                backward::run(self).await
            }
            _ => forward::run(self, events, self.view.stuck.is_some()).await,
        }
    }

    pub(super) fn resumed_by_engine(&mut self) {
        self.push(Event::Resumed {
            by: "engine".to_owned(),
            note: "the code that is registered now fits".to_owned(),
        });
    }

    async fn damaged(&mut self, why: String) -> Result<Never, Stop> {
        self.view.stuck = Some((StuckKind::Damage, why.clone()));
        // An operator may end it by force, and nothing else.
        self.operate_stuck().await?;
        Err(self.park(Park::new(StuckKind::Damage, why)).await)
    }

    /// Takes an event in; the next [`flush`](Drive::flush) makes it durable.
    pub(super) fn push(&mut self, event: Event) {
        self.view
            .apply_row(self.epoch, std::slice::from_ref(&event));
        self.weight = self.weight.saturating_add(event.weight());
        self.batch.push(event);
    }

    /// Makes what was taken in durable, and with it what comes after. Nothing may depend on it
    /// before this has come back.
    pub(super) async fn flush(&mut self, next: Next) -> Result<(), Stop> {
        if self.batch.is_empty() && self.consumed.is_empty() && next == Next::Keep {
            self.answer();
            return Ok(());
        }
        let mut events = std::mem::take(&mut self.batch);
        self.weight = 0;
        if let Next::Leave { .. } = next {
            for event in &mut events {
                if let Event::Retry { left, .. } = event {
                    *left = true;
                }
            }
        }
        let now = self.core.now();
        let row = Row::encode(&self.uid, self.seq, self.epoch, now, &events)
            .map_err(|e| Stop::Store(StoreError::Read(e.to_string().into())))?;
        let letters = self.letter_to_parent(&events, now);
        // For the next row.
        events.clear();
        self.batch = events;
        match self.new.take() {
            Some(new) => {
                start::create(self, new, row, next).await?;
                self.tell(|| SagaEventKind::Started);
            }
            None => {
                let parent = letters
                    .first()
                    .map(|letter| (letter.saga.clone(), letter.key.clone()));
                let append = Append {
                    id: self.id,
                    row,
                    next,
                    consumed: std::mem::take(&mut self.consumed).into_iter().collect(),
                    letters,
                    new_run: std::mem::take(&mut self.new_run),
                    clear_crashes: std::mem::take(&mut self.clear_crashes),
                };
                self.core.store.append(append).await?;
                self.seq = self.seq.saturating_add(1);
                if let Some((saga, key)) = parent {
                    self.core.notify(&saga, &key).await;
                }
            }
        }
        self.alone = None;
        self.answer();
        Ok(())
    }

    fn answer(&mut self) {
        for (answer, reply) in self.replies.drain(..) {
            // One that is gone needs no answer.
            let _ = reply.send(answer);
        }
    }

    /// A child's end goes to its parent in the same commit.
    fn letter_to_parent(&self, events: &[Event], at: i64) -> Vec<Letter> {
        let ended = events.iter().any(|event| {
            matches!(
                event,
                Event::Finished { .. } | Event::Compensated { .. } | Event::Forced { .. }
            )
        });
        let parent = self.view.parent.clone().filter(|_| ended);
        parent
            .map(|parent| start::child_ended(parent, &self.key, &End::of(&self.view), at))
            .into_iter()
            .collect()
    }

    /// Parks the saga.
    pub(super) async fn park(&mut self, park: Park) -> Stop {
        let Park { kind, why, op } = park;
        if kind == StuckKind::Code
            && let Some(new) = self.new.take()
        {
            // Nothing of it is written yet.
            new.refuse(StartError::Misuse(why));
            return Stop::NotNew;
        }
        self.push(Event::Stuck {
            why: why.clone(),
            kind,
            op,
        });
        let stop = self.repark(kind, why).await;
        if let Stop::End(End::Stuck { kind, why }) = &stop {
            self.tell(|| SagaEventKind::Stuck { kind: *kind, why });
        }
        stop
    }

    /// Parks it with what its journal has already.
    async fn repark(&mut self, kind: StuckKind, why: String) -> Stop {
        let reason = format!("{}: {why}", kind.as_str());
        match self.flush(Next::Park { reason }).await {
            Ok(()) => Stop::End(End::Stuck { kind, why }),
            Err(stop) => stop,
        }
    }

    /// Writes the end that the journal has come to.
    pub(super) async fn end(&mut self) -> Stop {
        let status = match self.view.phase {
            Phase::Finished => Status::Finished,
            Phase::Forced => Status::Forced,
            _ if !self.view.exceptions.is_empty() => Status::CompensatedWithExceptions,
            _ => Status::Compensated,
        };
        match self.flush(Next::End { status }).await {
            Ok(()) => {
                self.tell(|| SagaEventKind::Ended { status });
                Stop::End(End::of(&self.view))
            }
            Err(stop) => stop,
        }
    }

    /// `<uid>`, which with an operation's number is a step's key.
    pub(super) fn step_keys(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.uid))
    }

    /// Whether anything may be done yet: the store has not failed, and no other task has the saga.
    pub(super) fn check_closed(&self) -> Result<(), Stop> {
        if self.link.is_fenced() {
            return Err(Stop::Fenced);
        }
        self.core
            .is_closed()
            .map_or(Ok(()), |error| Err(Stop::Store(error)))
    }
}

/// Has no value: what runs until it stops.
pub(super) enum Never {}
