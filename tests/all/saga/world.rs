//! Participants that honour the contract, count what they did, and refuse what they did already.
use seawall::saga::{Failure, Outcome, StepContext};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// What every participant knows, by step key.
#[derive(Default)]
pub struct Books {
    /// Applied and not undone.
    pub applied: BTreeMap<String, String>,
    /// Tombstones.
    pub undone: BTreeSet<String>,
    /// `run NAME` and `undo NAME` in the order they came.
    pub log: Vec<String>,
    /// How the next calls of a step go, by name.
    pub script: BTreeMap<&'static str, Vec<Way>>,
    pub running: BTreeSet<String>,
    pub overlaps: Vec<String>,
}

/// How one call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Refuse,
    Transient,
    /// Applied, and the answer lost.
    Lost,
    /// Not applied, and the answer lost.
    Dropped,
    Panic,
    Never,
}

#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Books>>);

impl World {
    pub fn with(script: impl IntoIterator<Item = (&'static str, Vec<Way>)>) -> World {
        let world = World::default();
        world.books().script = script.into_iter().collect();
        world
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    pub fn log(&self) -> Vec<String> {
        self.books().log.clone()
    }

    pub fn net(&self) -> usize {
        self.books().applied.len()
    }

    pub async fn run(&self, name: &'static str, cx: StepContext) -> Result<String, Failure> {
        let key = cx.idempotency_key().to_owned();
        let way = {
            let mut books = self.books();
            books.log.push(format!("run {name}"));
            if !books.running.insert(key.clone()) {
                books.overlaps.push(key.clone());
            }
            let script = books.script.entry(name).or_default();
            (!script.is_empty()).then(|| script.remove(0))
        };
        let _running = Running(self.clone(), key.clone());
        tokio::time::sleep(Duration::from_millis(2)).await;
        match way {
            Some(Way::Refuse) => return Err(Failure::refused("no")),
            Some(Way::Transient) => return Err(Failure::transient("busy")),
            Some(Way::Dropped) => Err(std::io::Error::other("reset before"))?,
            Some(Way::Panic) => panic!("a bug in {name}"),
            Some(Way::Never) => std::future::pending().await,
            Some(Way::Lost) | None => {}
        }
        {
            let mut books = self.books();
            if books.undone.contains(&key) {
                return Err(Failure::refused("undone before"));
            }
            books.applied.insert(key, name.to_owned());
        }
        if way == Some(Way::Lost) {
            Err(std::io::Error::other("reset after"))?;
        }
        Ok(format!("{name} done"))
    }

    pub async fn undo(&self, name: &'static str, cx: StepContext) -> Result<(), Failure> {
        let mut books = self.books();
        books.log.push(format!("undo {name}"));
        if books.running.contains(cx.step_key()) {
            books.overlaps.push(format!("undo of {}", cx.step_key()));
        }
        let script = books.script.entry(undo_of(name)).or_default();
        if !script.is_empty() && script.remove(0) != Way::Lost {
            return Err(Failure::refused("cannot be undone"));
        }
        books.applied.remove(cx.step_key());
        books.undone.insert(cx.step_key().to_owned());
        Ok(())
    }
}

fn undo_of(name: &'static str) -> &'static str {
    match name {
        "a" => "undo a",
        "b" => "undo b",
        "c" => "undo c",
        _ => "undo",
    }
}

struct Running(World, String);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.books().running.remove(&self.1);
    }
}

/// A step of the world, as two functions.
macro_rules! step {
    ($b:expr, $name:literal) => {
        $b.step(
            $name,
            |world: std::sync::Arc<$crate::saga::world::World>,
             cx: seawall::saga::StepContext,
             (): ()| async move { world.run($name, cx).await },
            |world: std::sync::Arc<$crate::saga::world::World>,
             cx: seawall::saga::StepContext,
             (): (),
             _: seawall::saga::Outcome<String>| async move { world.undo($name, cx).await },
        )
    };
}
pub(crate) use step;

/// A wall clock that follows the paused one.
pub fn clock() -> impl Fn() -> SystemTime + Send + Sync + 'static {
    let begin = Instant::now();
    move || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + begin.elapsed()
}

#[allow(dead_code)]
pub type Undone = Outcome<String>;
