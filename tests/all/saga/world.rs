//! Participants that honour the contract, count what they did, and are as unhelpful as it lets them
//! be: they refuse what they did already, lose answers, and do things late.
use super::{
    gate::Gate,
    tape::{Answer, Entry, Tape},
};
use seawall::saga::{Failure, FailureKind, StepContext, Verdict};
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
    /// How the next calls of a step go, by name; of its undo, by `undo NAME`.
    pub script: BTreeMap<&'static str, Vec<Way>>,
    /// How all others go.
    pub habits: BTreeSet<(&'static str, Habit)>,
    pub running: BTreeSet<String>,
    pub overlaps: Vec<String>,
    /// Everything that happened, with what the store wrote.
    pub tape: Tape,
    /// Where everything may freeze.
    pub gate: Arc<Gate>,
    /// Calls that nobody waits for any more and that are still to be applied.
    pub under_way: Vec<String>,
    /// The operations that the code of a random program has seen the end of, by its place there.
    pub ops: BTreeMap<u32, String>,
}

impl Books {
    /// The process is gone, and what its code has seen in a turn that no row has.
    pub fn die(&mut self) {
        self.tape.push(Entry::Died);
        let asked = self.tape.asked();
        self.ops.retain(|_, op| asked.contains(op));
    }
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
    /// Applied, after a while.
    Slow,
    /// No answer, and applied when nobody waits any more.
    Late,
}

/// How a step goes whenever the script says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Habit {
    Refuses,
    /// Refuses what it has applied: the answer of a participant that honours keys badly.
    RefusesRepeats,
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

    /// The process may die here.
    pub async fn point(&self) {
        let gate = self.books().gate.clone();
        gate.point().await;
    }

    pub async fn run(&self, name: &'static str, cx: StepContext) -> Result<String, Failure> {
        let (mut call, way) = self.begin(name, &cx, false);
        let answer = self.act(name, &cx, way).await;
        call.answered(&answer);
        answer
    }

    async fn act(
        &self,
        name: &'static str,
        cx: &StepContext,
        way: Option<Way>,
    ) -> Result<String, Failure> {
        let key = cx.idempotency_key().to_owned();
        let slow = if way == Some(Way::Slow) { 40 } else { 2 };
        tokio::time::sleep(Duration::from_millis(slow)).await;
        let way = match (way, self.has(name, Habit::Refuses)) {
            (None, true) => Some(Way::Refuse),
            (way, _) => way,
        };
        match way {
            Some(Way::Refuse) => return Err(Failure::refused("no")),
            Some(Way::Transient) => return Err(Failure::transient("busy")),
            Some(Way::Dropped) => Err(std::io::Error::other("reset before"))?,
            Some(Way::Panic) => bug(),
            Some(Way::Never) => std::future::pending().await,
            Some(Way::Late) => {
                self.later(name, key.clone());
                std::future::pending().await
            }
            Some(Way::Lost | Way::Slow) | None => {}
        }
        self.point().await;
        self.apply(name, &key)?;
        self.point().await;
        if way == Some(Way::Lost) {
            Err(std::io::Error::other("reset after"))?;
        }
        Ok(format!("{name} done"))
    }

    pub async fn undo(&self, name: &'static str, cx: StepContext) -> Result<(), Failure> {
        let (_call, way) = self.begin(name, &cx, true);
        let key = cx.step_key();
        if self.books().running.contains(key) {
            self.books().overlaps.push(format!("undo of {key}"));
        }
        match way {
            Some(Way::Refuse) => return Err(Failure::refused("cannot be undone")),
            Some(Way::Transient) => return Err(Failure::transient("busy")),
            Some(Way::Dropped) => Err(std::io::Error::other("reset before"))?,
            Some(Way::Panic) => bug(),
            Some(Way::Never | Way::Late) => std::future::pending().await,
            Some(Way::Slow) => tokio::time::sleep(Duration::from_millis(40)).await,
            Some(Way::Lost) | None => {}
        }
        self.point().await;
        {
            let mut books = self.books();
            books.applied.remove(key);
            if books.undone.insert(key.to_owned()) {
                let key = key.to_owned();
                books.tape.push(Entry::Undone { key });
            }
        }
        self.point().await;
        if way == Some(Way::Lost) {
            Err(std::io::Error::other("reset after"))?;
        }
        Ok(())
    }

    /// Whether the step was applied, or will be.
    pub fn verify(&self, name: &'static str, cx: &StepContext) -> Verdict<String> {
        let mut books = self.books();
        let key = cx.idempotency_key();
        if books.applied.contains_key(key) {
            return Verdict::Applied(format!("{name} done"));
        }
        match books.under_way.iter().any(|late| late == key) {
            true => Verdict::CannotTell,
            false => {
                let key = key.to_owned();
                books.tape.push(Entry::Denied { key });
                Verdict::NotApplied
            }
        }
    }

    fn begin(&self, name: &'static str, cx: &StepContext, undo: bool) -> (Running, Option<Way>) {
        let key = cx.step_key().to_owned();
        let what = if undo { "undo" } else { "run" };
        let mut books = self.books();
        books.log.push(format!("{what} {name}"));
        if !undo && !books.running.insert(key.clone()) {
            books.overlaps.push(key.clone());
        }
        let attempt = cx.attempt();
        let began = Entry::Began {
            key: key.clone(),
            name,
            attempt,
            undo,
        };
        books.tape.push(began);
        let of_undo = format!("undo {name}");
        let script = books
            .script
            .get_mut(if undo { of_undo.as_str() } else { name });
        let way = script.and_then(|script| (!script.is_empty()).then(|| script.remove(0)));
        (Running(self.clone(), key, undo, Answer::None), way)
    }

    fn has(&self, name: &'static str, habit: Habit) -> bool {
        self.books().habits.contains(&(name, habit))
    }

    /// The participant's own transaction.
    fn apply(&self, name: &'static str, key: &str) -> Result<(), Failure> {
        let mut books = self.books();
        if books.undone.contains(key) {
            return Err(Failure::refused("undone before"));
        }
        if books.applied.contains_key(key) {
            return match books.habits.contains(&(name, Habit::RefusesRepeats)) {
                true => Err(Failure::refused("it exists")),
                false => Ok(()),
            };
        }
        books.applied.insert(key.to_owned(), name.to_owned());
        let key = key.to_owned();
        books.tape.push(Entry::Applied { key });
        Ok(())
    }

    /// On its way, whatever becomes of the process that sent it.
    fn later(&self, name: &'static str, key: String) {
        self.books().under_way.push(key.clone());
        let world = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2_030)).await;
            // It may come after the undo.
            let _ = world.apply(name, &key);
            world.books().under_way.retain(|late| *late != key);
        });
    }
}

/// A panic that says nothing on the way: there are hundreds.
fn bug() {
    std::panic::resume_unwind(Box::new("a bug"));
}

/// A call that its caller waits for.
struct Running(World, String, bool, Answer);

impl Running {
    fn answered(&mut self, answer: &Result<String, Failure>) {
        self.3 = match answer.as_ref().map_err(Failure::kind) {
            Ok(_) => Answer::Done,
            Err(FailureKind::Unknown) => Answer::None,
            Err(_) => Answer::Clean,
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Running(world, key, undo, answer) = self;
        let mut books = world.books();
        if !*undo {
            books.running.remove(key);
        }
        let (key, undo, answer) = (key.clone(), *undo, *answer);
        books.tape.push(Entry::Over { key, undo, answer });
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
