//! Forward: the code of a saga runs, by its journal first and then live.
use super::{
    action::{Action, LONG, Mode, Settled, Wait},
    backward,
    book::{Around, Book, Open, Park, What},
    drive::{Drive, Never, Stop},
    handle::End,
    operate::{Command, Refused},
    start,
    turns::{Turns, text},
};
use crate::saga::{
    flow::{Delivered, Flow, Given, Shared},
    journal::{Event, FORMAT, OpState, Raw, StuckKind},
    step::Steps,
    store::{BoxFuture, Next, Status},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

/// The signal that a child's end comes as. No user's can have the name.
pub(super) const CHILD_ENDED: &str = "\u{1}child ended";

/// A saga going forward.
struct Forward<'a> {
    d: &'a mut Drive,
    steps: Arc<Steps>,
    step_keys: String,
    book: Book,
    turns: Turns,
    running: FuturesUnordered<BoxFuture<'static, (u32, Settled)>>,
    /// Steps that wait before their next attempt.
    waiting: BTreeMap<u32, Wait>,
    /// Steps that the journal had when the saga was loaded: an attempt may be lost.
    loaded: BTreeSet<u32>,
    /// Operations whose action is in `running`.
    started: BTreeSet<u32>,
    /// Children that exist; their end comes by mail.
    born: BTreeSet<u32>,
}

enum Woke {
    Nudged,
    Foreign,
    Due,
    Settled(u32, Settled),
}

pub(super) async fn run(d: &mut Drive, journal: &[Event], stuck: bool) -> Result<Never, Stop> {
    let core = d.core.clone();
    let Some(registered) = core.registered(&d.name, d.version) else {
        let why = format!(
            "saga `{}` version {} is not registered with this engine",
            d.name, d.version
        );
        return Err(d.park(Park::new(StuckKind::Code, why)).await);
    };
    let (input, first_op) = match journal.first() {
        Some(Event::Started {
            v, input, first_op, ..
        }) if *v == FORMAT => (input, *first_op),
        _ => {
            let why = format!("the journal is not of format {FORMAT}");
            return Err(d.park(Park::new(StuckKind::Damage, why)).await);
        }
    };
    let patches = d.view.patches.clone();
    let shared = Arc::new(Shared::new(d.key.clone(), core.origin, first_op, patches));
    let flow = Flow {
        shared: shared.clone(),
    };
    let made = catch_unwind(AssertUnwindSafe(|| (registered.make)(input, flow)));
    let code = match made {
        Ok(Ok(code)) => code,
        Ok(Err(why)) => {
            let why = format!("the input cannot be decoded: {why}");
            return Err(d.park(Park::new(StuckKind::Code, why)).await);
        }
        Err(panic) => {
            let why = format!("the saga's code panicked: {}", text(&*panic));
            return Err(d.park(Park::new(StuckKind::Saga, why)).await);
        }
    };
    let mut forward = Forward {
        steps: registered.steps.clone(),
        step_keys: d.step_keys(),
        book: Book::default(),
        turns: Turns::new(code, shared.clone()),
        running: FuturesUnordered::new(),
        waiting: BTreeMap::new(),
        loaded: BTreeSet::new(),
        started: BTreeSet::new(),
        born: BTreeSet::new(),
        d,
    };
    if let Err(park) = forward.replay(journal, &shared) {
        drop(forward.turns);
        return Err(forward.d.park(park).await);
    }
    if stuck {
        forward.d.resumed_by_engine();
    }
    let stop = forward.live(&shared).await;
    let Forward {
        d,
        steps,
        turns,
        running,
        ..
    } = forward;
    // The code and its actions are gone before anything is undone.
    drop((turns, running));
    match stop {
        Err(Halt::Stop(stop)) => Err(stop),
        Err(Halt::Park(park)) => Err(d.park(park).await),
        Ok(Course::Back) => backward::run_with(d, steps).await,
        Ok(Course::Again) => Err(Stop::Left),
    }
}

/// Where a saga that has ended its run goes.
enum Course {
    Back,
    Again,
}

enum Halt {
    Stop(Stop),
    Park(Park),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Halt::Stop(stop)
    }
}

impl From<Park> for Halt {
    fn from(park: Park) -> Self {
        Halt::Park(park)
    }
}

impl Forward<'_> {
    /// Runs the code by its journal: outcomes in their order, one turn each. It has to ask for what
    /// it asked for before.
    fn replay(&mut self, journal: &[Event], shared: &Shared) -> Result<(), Park> {
        let is_new = self.d.new.is_some();
        let outcomes = self.book.record(journal);
        if is_new {
            return self.turns(None);
        }
        shared.set_replaying(!outcomes.is_empty() || self.book.is_behind());
        self.turns(None)?;
        let last = outcomes.len();
        for (place, outcome) in outcomes.iter().enumerate() {
            if place.saturating_add(1) == last {
                shared.set_replaying(self.book.is_behind());
            }
            self.outcome(outcome)?;
        }
        self.book.caught_up()?;
        shared.set_replaying(false);
        self.loaded = self.book.open.keys().copied().collect();
        Ok(())
    }

    /// Books an outcome and gives it to the code.
    fn outcome(&mut self, event: &Event) -> Result<(), Park> {
        match self.book.outcome(event)? {
            Some(delivered) => self.turns(Some(delivered)),
            None => Ok(()),
        }
    }

    fn turns(&mut self, mut delivered: Option<(u32, Delivered)>) -> Result<(), Park> {
        loop {
            for (op, ask) in self.turns.turn(delivered)? {
                let around = Around {
                    steps: &self.steps,
                    now: self.d.core.now(),
                    most: self.d.core.max_payload,
                    step_keys: &self.step_keys,
                };
                if let Some(new) = self.book.ask(op, ask, &around)? {
                    self.d.push(new);
                }
            }
            match self.book.letter() {
                Some(next) => delivered = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn live(&mut self, shared: &Shared) -> Result<Course, Halt> {
        // Before the first look, mail may have come.
        if self.d.new.is_none() {
            self.d.link.mail();
        }
        loop {
            self.d.check_closed()?;
            self.commands().await?;
            self.consider_giving_up();
            if self.turns.end.is_some() {
                self.settle_what_waits()?;
                if self.book.open.is_empty() {
                    return self.finish(shared).await;
                }
            }
            if self.d.core.is_draining() {
                return Err(self.drain().await.into());
            }
            if self.d.link.take_mail() {
                self.read_mail().await?;
                continue;
            }
            let (starting, born) = self.sort_out();
            let due = self.next_due();
            if self.may_leave(&starting, due) {
                self.d
                    .flush(Next::Leave {
                        status: Status::Waiting,
                        due,
                    })
                    .await?;
                return Err(Stop::Left.into());
            }
            self.d.flush(Next::Keep).await?;
            for op in starting {
                self.start(op)?;
            }
            if self.turns.end.is_some() {
                self.call_children_back(&born);
            }
            if self.book.is_idle() && self.turns.end.is_none() {
                let why = "the saga awaits something that is not one of its own operations";
                return Err(Park::new(StuckKind::Saga, why).into());
            }
            match self.wait(due).await {
                // The top of the loop looks for what has come.
                Woke::Nudged => {}
                Woke::Foreign => {
                    let why = "the saga was woken by something that is not one of its own \
                               operations (a timer, a channel, a socket): it belongs into a step";
                    return Err(Park::new(StuckKind::Saga, why).into());
                }
                Woke::Due => self.come_due()?,
                Woke::Settled(op, settled) => {
                    self.settled(op, settled)?;
                    // What else is there goes into the same row.
                    while let Some(Some((op, settled))) = now_or_never(self.running.next()) {
                        self.settled(op, settled)?;
                    }
                }
            }
        }
    }

    /// The code has ended, and nothing of it runs any more.
    async fn finish(&mut self, shared: &Shared) -> Result<Course, Halt> {
        match self.turns.end.take() {
            Some(Ok(out)) => {
                let (bytes, most) = (out.get().len(), self.d.core.max_payload);
                if bytes > most {
                    let why = format!(
                        "the saga's output is {bytes} bytes, at most {most} are allowed (max_payload)"
                    );
                    return Err(Park::new(StuckKind::Saga, why).into());
                }
                self.d.push(Event::Finished { out });
                Err(self.d.end().await.into())
            }
            Some(Err(Given::Continue(input))) => self.continue_as(input, shared).await,
            Some(Err(Given::Up(reason))) if self.d.view.pivoted => {
                let why = format!("the saga was given up after its pivot: {reason}");
                Err(Park::new(StuckKind::Forward, why).into())
            }
            Some(Err(Given::Up(reason))) => {
                self.d.push(Event::Abort {
                    reason,
                    by: None,
                    note: None,
                });
                Ok(Course::Back)
            }
            None => Err(Park::new(StuckKind::Saga, "the saga has no end").into()),
        }
    }

    /// The end of this run and the start of the next, in one commit.
    async fn continue_as(&mut self, input: Raw, shared: &Shared) -> Result<Course, Halt> {
        if self.d.view.pivoted {
            let why =
                "the saga continues as another run after its pivot; a pivot ends in its own run";
            return Err(Park::new(StuckKind::Saga, why).into());
        }
        if !self.book.is_idle() {
            let why = "the saga continues as another run with operations open";
            return Err(Park::new(StuckKind::Saga, why).into());
        }
        let (deadline, parent) = (self.d.view.deadline, self.d.view.parent.clone());
        self.d.push(Event::Continued {});
        self.d.push(Event::Started {
            v: FORMAT,
            saga: self.d.name.to_string(),
            version: self.d.version,
            input,
            deadline,
            parent,
            first_op: shared.next_op(),
        });
        self.d.new_run = true;
        let (status, due) = (Status::Running, Some(0));
        self.d.flush(Next::Leave { status, due }).await?;
        Ok(Course::Again)
    }

    /// A cancel or the deadline, unless a pivot is done or under way.
    fn consider_giving_up(&mut self) {
        let view = &self.d.view;
        if self.turns.end.is_some() || view.pivoted || self.book.has_open_pivot() {
            return;
        }
        let reason = match (&view.cancel, view.deadline) {
            (Some((by, note)), _) => format!("cancelled by {by}: {note}"),
            (None, Some(deadline)) if deadline <= self.d.core.now() => {
                format!("its deadline has passed ({deadline} ms)")
            }
            _ => return,
        };
        self.turns.give_up(reason);
    }

    /// The saga is being given up: what waits for another attempt has had its last.
    fn settle_what_waits(&mut self) -> Result<(), Park> {
        if !matches!(self.turns.end, Some(Err(Given::Up(_)))) {
            return Ok(());
        }
        self.d.set_mode(Mode::Ending);
        for (op, wait) in std::mem::take(&mut self.waiting) {
            let Wait {
                attempt,
                error,
                tainted,
                ..
            } = wait;
            let failed = Settled::Failed {
                clean: !tainted,
                error,
                attempt: attempt.max(1),
            };
            self.settled(op, failed)?;
        }
        Ok(())
    }

    /// Children are cancelled when their parent is given up.
    fn call_children_back(&self, born: &[u32]) {
        if !matches!(self.turns.end, Some(Err(Given::Up(_)))) {
            return;
        }
        for op in born {
            if let Some(Open {
                what: What::Child { saga, key, .. },
                ..
            }) = self.book.open.get(op)
            {
                self.d.core.cancel_child(saga.clone(), key.clone());
            }
        }
    }

    async fn commands(&mut self) -> Result<(), Halt> {
        while let Some((command, reply)) = self.d.link.take_command() {
            match command {
                Command::Cancel { by, note } if !self.d.view.pivoted => {
                    self.d.push(Event::Cancelled { by, note });
                    self.d.replies.push((Ok(()), reply));
                }
                Command::Cancel { .. } => self.d.replies.push((Err(Refused::PastPivot), reply)),
                Command::Force { by, note } => {
                    self.d.push(Event::Forced { by, note });
                    self.d.replies.push((Ok(()), reply));
                    return Err(self.d.end().await.into());
                }
                _ => self.d.replies.push((Err(Refused::NotStuck), reply)),
            }
        }
        Ok(())
    }

    /// The engine stops: running actions settle and are written down, without a turn.
    async fn drain(&mut self) -> Stop {
        self.d.set_mode(Mode::Drain);
        while let Some((op, settled)) = self.running.next().await {
            match self.outcome_of(op, settled) {
                Ok(Some(event)) => self.d.push(event),
                Ok(None) => {}
                Err(park) => return self.d.park(park).await,
            }
        }
        for event in &mut self.d.batch {
            if let Event::Retry { left, .. } = event {
                *left = true;
            }
        }
        match self.d.flush(Next::Keep).await {
            Ok(()) => Stop::Drained,
            Err(stop) => stop,
        }
    }

    /// What is to be started now, and children that run. What has to wait is put where it waits.
    fn sort_out(&mut self) -> (Vec<u32>, Vec<u32>) {
        let now = self.d.core.now();
        let mut starting = Vec::new();
        for op in std::mem::take(&mut self.book.to_start) {
            if !self.book.open.contains_key(&op) || self.started.contains(&op) {
                continue;
            }
            let undo = match self.book.open.get(&op).map(|open| &open.what) {
                Some(What::Undo { target }) => Some(*target),
                _ => None,
            };
            let known = self.d.view.ops.get(&undo.unwrap_or(op));
            let known = known.filter(|_| self.loaded.contains(&op));
            let written = known.and_then(|known| Some((known, known.waiting.as_ref()?)));
            match written {
                Some((known, waiting))
                    if waiting.not_before > now && waiting.undo == undo.is_some() =>
                {
                    let wait = Wait {
                        attempt: known.tries.used_by(self.d.epoch),
                        not_before: waiting.not_before,
                        error: known.error.clone().unwrap_or_default(),
                        tainted: known.tries.tainted,
                        refused_by: waiting.refused_by.clone(),
                    };
                    self.waiting.insert(op, wait);
                }
                _ => starting.push(op),
            }
        }
        (starting, self.born.iter().copied().collect())
    }

    fn may_leave(&self, starting: &[u32], due: Option<i64>) -> bool {
        let children_only = |op: &u32| self.born.contains(op);
        let soon = self.d.core.later(LONG);
        starting.is_empty()
            && self.running.is_empty()
            && self.d.new.as_ref().is_none_or(|_| self.turns.end.is_none())
            && !self.book.is_idle()
            && (self.turns.end.is_none() || self.book.open.keys().all(children_only))
            && due.is_none_or(|due| due > soon)
            && self.d.replies.is_empty()
    }

    fn next_due(&self) -> Option<i64> {
        let ended = self.turns.end.is_some();
        let timers = self.book.next_due().filter(|_| !ended);
        let waits = self.waiting.values().map(|wait| wait.not_before).min();
        let open = ended || self.d.view.pivoted || self.book.has_open_pivot();
        let deadline = self.d.view.deadline.filter(|_| !open);
        [timers, waits, deadline].into_iter().flatten().min()
    }

    fn start(&mut self, op: u32) -> Result<(), Park> {
        let Some(open) = self.book.open.get(&op).cloned() else {
            return Ok(());
        };
        let loaded = self.loaded.remove(&op);
        self.started.insert(op);
        match open.what {
            What::Step { name, cmd } => {
                let tries = self
                    .d
                    .view
                    .ops
                    .get(&op)
                    .map(|op| op.tries)
                    .unwrap_or_default();
                let (mut used, mut tainted) = (0, false);
                if loaded {
                    used = tries.used_by(self.d.epoch);
                    tainted = tries.tainted || tries.lost_one(self.d.epoch);
                }
                let action = self.action(op, &name, cmd, used, tainted)?;
                self.running.push(Box::pin(action.run()));
            }
            What::Child {
                saga,
                version,
                key,
                cmd,
                ..
            } => {
                let birth = start::child(self.d, op, saga, version, key, cmd);
                self.running
                    .push(Box::pin(async move { (op, birth.await) }));
            }
            What::Undo { target } => {
                let Some(known) = self.d.view.ops.get(&target) else {
                    let why = format!("the saga undoes operation {target}, which is no step");
                    return Err(Park::new(StuckKind::Saga, why).at(op));
                };
                let OpState::Done(was) = &known.state else {
                    let why = format!("the saga undoes step `{}`, which is not done", known.name);
                    return Err(Park::new(StuckKind::Saga, why).at(op));
                };
                let (name, cmd, was) = (known.name.clone(), known.cmd.clone(), was.clone());
                let used = if loaded {
                    known.tries.used_by(self.d.epoch)
                } else {
                    0
                };
                let mut action = self.action(target, &name, cmd, used, false)?;
                action.step_key = format!("{}/{target}", self.step_keys);
                let undo = action.undo(Some(was));
                self.running
                    .push(Box::pin(async move { (op, undo.await.1) }));
            }
        }
        Ok(())
    }

    fn action(
        &self,
        op: u32,
        name: &str,
        cmd: Raw,
        used: u32,
        tainted: bool,
    ) -> Result<Action, Park> {
        backward::action(
            self.d,
            &self.steps,
            &self.step_keys,
            op,
            name,
            cmd,
            used,
            tainted,
        )
    }

    /// Books what an action came to and gives it to the code.
    fn settled(&mut self, op: u32, settled: Settled) -> Result<(), Park> {
        if let Some(event) = self.outcome_of(op, settled)? {
            self.d.push(event.clone());
            self.outcome(&event)?;
        }
        Ok(())
    }

    /// The event of what an action came to, if it is an outcome.
    fn outcome_of(&mut self, op: u32, settled: Settled) -> Result<Option<Event>, Park> {
        self.started.remove(&op);
        let Some(open) = self.book.open.get(&op) else {
            return Ok(None);
        };
        Ok(Some(match settled {
            Settled::Done { out, attempt } => Event::Done { op, out, attempt },
            Settled::Failed {
                clean,
                error,
                attempt,
            } => {
                let past = self.d.view.pivoted;
                if past || (open.pivot && !clean) {
                    let name = self.d.view.ops.get(&op).map_or("", |op| &*op.name);
                    let why = match past {
                        true => format!("step `{name}` failed after the pivot: {error}"),
                        false => {
                            format!("nobody knows whether the pivot `{name}` was applied: {error}")
                        }
                    };
                    return Err(Park::new(StuckKind::Forward, why).at(op));
                }
                Event::Failed {
                    op,
                    clean,
                    error,
                    attempt,
                }
            }
            Settled::Wait(wait) => {
                let undo = match open.what {
                    What::Undo { target } => Some(target),
                    _ => None,
                };
                let event = Event::Retry {
                    op: undo.unwrap_or(op),
                    attempt: wait.attempt,
                    not_before: wait.not_before,
                    error: wait.error.clone(),
                    tainted: wait.tainted,
                    refused_by: wait.refused_by.clone(),
                    undo: undo.is_some(),
                    left: false,
                };
                self.d.push(event);
                self.waiting.insert(op, wait);
                return Ok(None);
            }
            Settled::Park { kind, why } => {
                let about = match open.what {
                    What::Undo { target } => target,
                    _ => op,
                };
                return Err(Park::new(kind, why).at(about));
            }
            Settled::Undone => match open.what {
                What::Undo { target } => Event::Undone { op: target },
                _ => return Ok(None),
            },
            Settled::ChildStarted => {
                self.born.insert(op);
                return Ok(None);
            }
        }))
    }

    /// Timers, waits and further attempts whose time has come.
    fn come_due(&mut self) -> Result<(), Park> {
        let now = self.d.core.now();
        if self.turns.end.is_none() {
            for event in self.book.due(now) {
                // An earlier one may have let it go.
                if self.book.due(now).iter().any(|due| same_op(due, &event)) {
                    self.d.push(event.clone());
                    self.outcome(&event)?;
                }
            }
        }
        let due: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, wait)| wait.not_before <= now)
            .collect();
        let due: Vec<u32> = due.into_iter().map(|(op, _)| *op).collect();
        for op in due {
            if let Some(wait) = self.waiting.remove(&op) {
                self.again(op, wait)?;
            }
        }
        Ok(())
    }

    /// The next attempt of a step whose wait is over. Its intent and its count are durable.
    fn again(&mut self, op: u32, wait: Wait) -> Result<(), Park> {
        let Some(open) = self.book.open.get(&op).cloned() else {
            return Ok(());
        };
        match open.what {
            What::Step { name, cmd } => {
                let mut action = self.action(op, &name, cmd, wait.attempt, wait.tainted)?;
                // It was asked about before the wait.
                action.doubted = true;
                self.started.insert(op);
                self.running.push(Box::pin(action.run()));
            }
            _ => {
                self.loaded.remove(&op);
                self.start(op)?;
            }
        }
        Ok(())
    }

    async fn read_mail(&mut self) -> Result<(), Halt> {
        for mail in self
            .d
            .core
            .store
            .inbox(self.d.id)
            .await
            .map_err(Stop::from)?
        {
            if self.d.consumed.contains(&mail.arrival) {
                continue;
            }
            if mail.name == CHILD_ENDED {
                self.child_ended(&mail.body).await?;
                self.d.consumed.push(mail.arrival);
                continue;
            }
            self.d.consumed.push(mail.arrival);
            if self.book.has_seen(&mail.id) {
                continue;
            }
            let body = RawValue::from_string(mail.body).map_err(|e| {
                let why = format!("signal `{}` in the inbox cannot be read: {e}", mail.name);
                Park::new(StuckKind::Damage, why)
            })?;
            let event = Event::Signal {
                id: mail.id,
                name: mail.name,
                body,
            };
            self.d.push(event.clone());
            self.outcome(&event)?;
        }
        Ok(())
    }

    async fn child_ended(&mut self, body: &str) -> Result<(), Halt> {
        let op: u32 = body.parse().unwrap_or(u32::MAX);
        let Some(Open {
            what: What::Child { saga, key, .. },
            ..
        }) = self.book.open.get(&op)
        else {
            return Ok(());
        };
        let settled = match self.d.core.end_of(saga, key).await.map_err(Stop::from)? {
            Some(End::Finished(out)) => Settled::Done { out, attempt: 1 },
            Some(End::Compensated { reason }) => Settled::Failed {
                clean: true,
                error: reason,
                attempt: 1,
            },
            Some(other) => Settled::Failed {
                clean: false,
                error: other.to_string(),
                attempt: 1,
            },
            None => return Ok(()),
        };
        self.born.remove(&op);
        self.settled(op, settled)?;
        Ok(())
    }

    async fn wait(&mut self, due: Option<i64>) -> Woke {
        let mut timer = due.map(|due| sleep_until(due, self.d.core.now()));
        let (turns, running, link) = (&mut self.turns, &mut self.running, &self.d.link);
        poll_fn(|cx| {
            if turns.is_foreign(cx.waker()) {
                return Poll::Ready(Woke::Foreign);
            }
            if link.poll_nudged(cx.waker()) {
                return Poll::Ready(Woke::Nudged);
            }
            if let Poll::Ready(Some((op, settled))) = running.poll_next_unpin(cx) {
                return Poll::Ready(Woke::Settled(op, settled));
            }
            match &mut timer {
                Some(timer) => timer.as_mut().poll(cx).map(|()| Woke::Due),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// A sleep to a time of the wall clock, looked at once a minute: that clock may be set.
pub(super) fn sleep_until(due: i64, now: i64) -> Pin<Box<tokio::time::Sleep>> {
    let ms = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
    Box::pin(tokio::time::sleep(
        Duration::from_millis(ms).min(Duration::from_secs(60)),
    ))
}

fn same_op(a: &Event, b: &Event) -> bool {
    match (a, b) {
        (Event::Fired { op: a }, Event::Fired { op: b })
        | (Event::TimedOut { op: a }, Event::TimedOut { op: b }) => a == b,
        _ => false,
    }
}

fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::FutureExt::now_or_never(future)
}
