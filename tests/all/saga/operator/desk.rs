//! An engine whose participants answer as told, and sagas in every state an operator can meet.
use crate::saga::world::clock;
use seawall::saga::journal::{Event, Row};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, Handle, MemoryStore, OnUnknown, Operator, Outcome,
    SagaId, SagaRef, StepContext, StepRef, StepRetry, Store, StoreError,
};
use seawall::{Error, Reason, Rejected, retry::Backoff};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// How one call goes; the default is well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Refused,
    Transient,
    Unknown,
    /// Held by policy `payments` for so long.
    Held(Duration),
    /// Until `Participants::go`.
    Hangs,
}

/// By name: how the next calls go.
#[derive(Clone, Default)]
pub struct Participants {
    script: Arc<Mutex<BTreeMap<&'static str, Vec<Way>>>>,
    pub go: Arc<Notify>,
}

impl Participants {
    pub fn will(&self, name: &'static str, ways: &[Way]) {
        self.script.lock().unwrap().insert(name, ways.to_vec());
    }

    async fn answer(&self, name: &'static str) -> Result<(), Failure> {
        let way = {
            let mut script = self.script.lock().unwrap();
            let ways = script.entry(name).or_default();
            (!ways.is_empty()).then(|| ways.remove(0))
        };
        match way {
            None => Ok(()),
            Some(Way::Refused) => Err(Failure::refused("no")),
            Some(Way::Transient) => Err(Failure::transient("busy")),
            Some(Way::Unknown) => Err(Failure::unknown("no answer")),
            Some(Way::Held(wait)) => {
                let retry_after = Some(wait);
                let reason = Reason::CircuitOpen { retry_after };
                let refused = Rejected::new("payments".into(), reason);
                let error: Error<std::io::Error> = Error::Rejected(refused);
                Err(Failure::only_call(error))
            }
            Some(Way::Hangs) => {
                self.go.notified().await;
                Ok(())
            }
        }
    }
}

pub const HOUR: Duration = Duration::from_secs(3600);

/// A step that answers twice its input. `undo` is the name its compensation has in the script.
pub fn step(
    b: &mut Builder<Participants>,
    name: &'static str,
    undo: &'static str,
    on_unknown: OnUnknown,
) -> StepRef<u32, u32> {
    let retry = StepRetry::attempts(3)
        .undo_attempts(2)
        .backoff(Backoff::constant(HOUR))
        .timeout(1000 * HOUR)
        .on_unknown(on_unknown);
    b.step(
        name,
        move |p: Arc<Participants>, _: StepContext, n: u32| async move {
            p.answer(name).await?;
            Ok(2 * n)
        },
        move |p: Arc<Participants>, _: StepContext, _: u32, _: Outcome<u32>| async move {
            p.answer(undo).await
        },
    )
    .retry(retry)
    .register()
}

pub struct Desk {
    pub engine: Engine<Participants>,
    pub order: SagaRef<u32, u32>,
    pub participants: Participants,
    pub alice: Operator,
    pub bob: Operator,
}

/// The saga `order`: `a`, `b`, the pivot `p`, `c`. With an input of 13 its code panics after `a`.
fn order(b: &mut Builder<Participants>) -> SagaRef<u32, u32> {
    let a = step(b, "a", "undo a", OnUnknown::Retry);
    let b_ = step(b, "b", "undo b", OnUnknown::Park);
    let p = step(b, "p", "undo p", OnUnknown::Undo);
    let c = step(b, "c", "undo c", OnUnknown::Retry);
    b.saga("order", move |saga: Flow, n: u32| async move {
        saga.call(a, n).await?;
        assert!(n != 13, "a bug in the saga");
        saga.call(b_, n).await?;
        saga.pivot(p, n).await?;
        let out = saga.call(c, n).await?;
        Ok::<_, Abort>(out)
    })
}

impl Desk {
    pub async fn on(store: impl Store) -> Desk {
        Desk::build(store, |_| {}).await
    }

    pub async fn build(store: impl Store, with: impl FnOnce(&mut Builder<Participants>)) -> Desk {
        let participants = Participants::default();
        let mut b = Engine::builder(participants.clone(), store);
        b.wall_clock(clock());
        let order = order(&mut b);
        with(&mut b);
        let engine = b.build().await.unwrap();
        let (alice, bob) = (engine.operator("alice"), engine.operator("bob"));
        Desk {
            engine,
            order,
            participants,
            alice,
            bob,
        }
    }

    /// One saga with key `key`, and how the calls of its steps go.
    pub async fn start(&self, key: &str, script: &[(&'static str, &[Way])]) -> Handle<u32> {
        for (name, ways) in script {
            self.participants.will(name, ways);
        }
        let handle = self.engine.start(self.order, key, 7).await.unwrap();
        settle_down().await;
        handle
    }

    /// A saga in this state.
    pub async fn at(&self, state: &str, store: &MemoryStore) -> SagaId {
        use Way::*;
        let script: &[(&'static str, &[Way])] = match state {
            "running" | "forced" => &[("a", &[Hangs])],
            "running past its pivot" => &[("c", &[Hangs])],
            "running backward" => &[("b", &[Refused]), ("undo a", &[Hangs])],
            "waiting" => &[("a", &[Transient])],
            "waiting past its pivot" => &[("c", &[Transient])],
            "waiting backward" => &[("b", &[Refused]), ("undo a", &[Refused])],
            "stuck unknown" => &[("b", &[Unknown])],
            "stuck in its pivot" => &[("p", &[Unknown])],
            "stuck past its pivot" => &[("c", &[Refused])],
            "stuck backward" | "damaged" => &[("b", &[Refused]), ("undo a", &[Refused; 2])],
            "compensated" => &[("b", &[Refused])],
            "missing" => return SagaId(999),
            _ => &[],
        };
        let id = match state {
            "stuck in its code" => {
                let started = self.engine.start(self.order, state, 13).await.unwrap();
                settle_down().await;
                started.id()
            }
            _ => self.start(state, script).await.id(),
        };
        match state {
            "stuck backward" | "damaged" => tokio::time::sleep(2 * HOUR).await,
            "forced" => self.bob.force_end(id, "moved house").await.unwrap(),
            _ => {}
        }
        if state == "damaged" {
            store.with_rows(id, |rows| rows[1].body[5] ^= 1).unwrap();
        }
        id
    }
}

/// Until nobody has anything to do but to wait. For tests that `start_paused`.
pub async fn settle_down() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

pub fn rows(store: &MemoryStore, id: SagaId) -> Vec<Row> {
    store.with_rows(id, |rows| rows.clone()).unwrap_or_default()
}

/// The events of a journal's last row.
pub async fn last_events(store: &impl Store, id: SagaId) -> Vec<Event> {
    let kept = store.load(id, false).await.unwrap();
    kept.rows.last().unwrap().decode(&kept.uid).unwrap()
}

/// Who and why, of every event that has them.
pub async fn signatures(store: &impl Store, id: SagaId) -> Result<Vec<String>, StoreError> {
    let kept = store.load(id, false).await?;
    let mut found = Vec::new();
    for row in &kept.rows {
        for event in row.decode(&kept.uid).unwrap_or_default() {
            let value = serde_json::to_value(&event).unwrap();
            let fields = value.as_object().unwrap().iter().next().unwrap();
            if let (Some(by), Some(note)) = (fields.1.get("by"), fields.1.get("note")) {
                let (by, note) = (by.as_str().unwrap(), note.as_str().unwrap());
                found.push(format!("{} by {by} at {}: {note}", fields.0, row.at));
            }
        }
    }
    Ok(found)
}
