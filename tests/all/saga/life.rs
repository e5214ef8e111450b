//! One saga through as many lives of its process as there are kills, and then to its end. Its callers
//! pause the clock (`start_paused`): hours cost nothing.
use super::{
    gate::{Gate, GateStore, Stop},
    model,
    tape::Entry,
    world::{Habit, Way, World, clock},
};
use seawall::saga::{
    Builder, Engine, MemoryStore, Refused, SagaError, SagaRef, Signal, Store as _,
    journal::StuckKind,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// What the sender of a signal says. There are two names, so that waits can be told apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paid(pub u32);
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shipped(pub u32);

impl Signal for Paid {
    const NAME: &'static str = "paid";
}
impl Signal for Shipped {
    const NAME: &'static str = "shipped";
}

/// What every saga here is started with; `Some` in what it continues as.
pub type In = Option<u32>;

/// Registers a saga.
pub type Make = dyn Fn(&mut Builder<World>, &World) -> SagaRef<In, String> + Send + Sync;

/// One saga, its participants, and who sends it signals.
#[derive(Clone)]
pub struct Story {
    pub name: &'static str,
    pub make: Arc<Make>,
    pub script: Vec<(&'static str, Vec<Way>)>,
    pub habits: Vec<(&'static str, Habit)>,
    pub deadline: Option<Duration>,
    /// When, and whether as `paid`, else as `shipped`; each is sent until it is taken, and twice.
    pub signals: Vec<(Duration, bool)>,
    /// When somebody cancels it.
    pub cancels: Vec<Duration>,
    /// How often somebody sets it going again where it is stuck.
    pub retries: usize,
    /// How it ends where nothing is killed.
    pub end: End,
    /// How else it may end where something is.
    pub or: Vec<End>,
    /// What it answers where it finishes.
    pub out: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finished,
    Undone,
    Stuck(StuckKind),
}

/// What came of it, and how many of the kills it took.
pub struct Told {
    pub end: End,
    pub out: Option<String>,
    pub deaths: usize,
    pub world: World,
}

impl Story {
    pub fn new(
        name: &'static str,
        make: impl Fn(&mut Builder<World>) -> SagaRef<In, String> + Send + Sync + 'static,
    ) -> Story {
        Story::made(name, move |b, _| make(b))
    }

    /// One that has the world in its hands.
    pub fn made(
        name: &'static str,
        make: impl Fn(&mut Builder<World>, &World) -> SagaRef<In, String> + Send + Sync + 'static,
    ) -> Story {
        Story {
            name,
            make: Arc::new(make),
            script: Vec::new(),
            habits: Vec::new(),
            deadline: None,
            signals: Vec::new(),
            cancels: Vec::new(),
            retries: 0,
            end: End::Finished,
            or: Vec::new(),
            out: None,
        }
    }

    pub fn script(mut self, step: &'static str, ways: &[Way]) -> Self {
        self.script.push((step, ways.to_vec()));
        self
    }

    pub fn habit(mut self, step: &'static str, habit: Habit) -> Self {
        self.habits.push((step, habit));
        self
    }

    pub fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub fn or(mut self, end: End) -> Self {
        self.or.push(end);
        self
    }

    pub fn out(mut self, out: &'static str) -> Self {
        self.out = Some(out);
        self
    }

    pub fn deadline(mut self, ms: u64) -> Self {
        self.deadline = Some(Duration::from_millis(ms));
        self
    }

    pub fn signal(mut self, ms: u64, paid: bool) -> Self {
        self.signals.push((Duration::from_millis(ms), paid));
        self
    }

    pub fn cancel(mut self, ms: u64) -> Self {
        self.cancels.push(Duration::from_millis(ms));
        self
    }

    /// Runs it with the process dying at these points, one in each life, and checks all that must
    /// hold of every run.
    pub async fn tell(&self, kills: &[usize]) -> Told {
        let kills: Vec<_> = kills.iter().map(|at| (*at, Stop::Killed)).collect();
        self.tell_through(&kills).await
    }

    /// As [`tell`](Story::tell), with lives that end in either way.
    pub async fn tell_through(&self, stops: &[(usize, Stop)]) -> Told {
        let world = World::with(self.script.clone());
        let clock = Arc::new(clock());
        world.books().habits = self.habits.iter().copied().collect();
        let store = GateStore::new(world.clone());
        let sent: Vec<_> = self
            .signals
            .iter()
            .map(|_| AtomicBool::new(false))
            .collect();
        let outside = Outside {
            sent,
            cancelled: self
                .cancels
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            retries: AtomicUsize::new(self.retries),
        };
        let mut deaths = 0;
        for life in 0.. {
            let stop = stops.get(life).copied();
            let gate = Gate::at(stop);
            world.books().gate = gate.clone();
            let mut b = Engine::builder(world.clone(), store.clone());
            let clock = clock.clone();
            b.wall_clock(move || clock()).crash_limit(1_000);
            let saga = (self.make)(&mut b, &world);
            let engine = b.build().await.unwrap();
            let living = self.live(&engine, saga, &store.store, &outside);
            let end = tokio::select! {
                biased;
                () = gate.hit.notified() => None,
                end = tokio::time::timeout(Duration::from_secs(6 * 60 * 60), living) => {
                    Some(end.unwrap_or_else(|_| panic!("S1: it does not end\n{}", world.books().tape.head())))
                }
            };
            let spins = || {
                let spins = gate.spins.load(SeqCst);
                assert!(!spins, "S1: it spins\n{}", world.books().tape.head());
            };
            spins();
            let Some(end) = end else {
                deaths += 1;
                if stop.is_some_and(|(_, stop)| stop == Stop::Drained) {
                    let drained =
                        tokio::time::timeout(Duration::from_secs(60 * 60), engine.drain());
                    match drained.await {
                        Ok(drained) => drained.unwrap(),
                        Err(_) => panic!("it does not stop\n{}", world.books().tape.head()),
                    }
                    drop(engine);
                    world.books().tape.push(Entry::Drained);
                    continue;
                }
                drop(engine);
                while !world.books().running.is_empty() {
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
                store.store.owners_died();
                world.books().die();
                continue;
            };
            // What was under way arrives, and whatever the engine might still do.
            let resting = tokio::time::sleep(Duration::from_secs(60));
            tokio::select! {
                () = gate.hit.notified() => {}
                () = resting => {}
            }
            spins();
            let told = Told::new(end, deaths, world.clone());
            let overlaps = world.books().overlaps.clone();
            assert!(overlaps.is_empty(), "{overlaps:?}\n{}", told.text());
            model::check(&world.books().tape);
            return told;
        }
        unreachable!("a life without a kill ends");
    }

    async fn live(
        &self,
        engine: &Engine<World>,
        saga: SagaRef<In, String>,
        store: &MemoryStore,
        outside: &Outside,
    ) -> Result<String, SagaError> {
        let begin = async {
            match store.find(self.name, "k").await.unwrap() {
                // Whoever started it need not come again.
                Some(id) => engine.handle::<String>(id),
                None => {
                    let start = engine.start(saga, "k", None);
                    let start = match self.deadline {
                        Some(deadline) => start.deadline(deadline),
                        None => start,
                    };
                    start.await.unwrap()
                }
            }
        };
        let ending = async {
            let mut handle = begin.await;
            loop {
                let end = handle.outcome().await;
                let again =
                    matches!(end, Err(SagaError::Stuck { .. })) && outside.retries.load(SeqCst) > 0;
                if !again {
                    return end;
                }
                match engine.operator("one").retry(handle.id(), "again").await {
                    Ok(()) => _ = outside.retries.fetch_sub(1, SeqCst),
                    // One that was killed in the middle of this is being parked again.
                    Err(Refused::NotStuck) => tokio::time::sleep(Duration::from_secs(1)).await,
                    Err(why) => panic!("{why}"),
                }
                handle = engine.handle(handle.id());
            }
        };
        let sending = async {
            for (place, (after, paid)) in self.signals.iter().enumerate() {
                if outside.sent[place].load(SeqCst) {
                    continue;
                }
                tokio::time::sleep(*after).await;
                let id = format!("signal-{place}");
                let number = u32::try_from(place).unwrap();
                for _ in 0..2 {
                    match paid {
                        true => engine.signal(self.name, "k", &id, &Paid(number)).await,
                        false => engine.signal(self.name, "k", &id, &Shipped(number)).await,
                    }
                    .unwrap();
                    outside.sent[place].store(true, SeqCst);
                }
            }
            std::future::pending::<()>().await
        };
        let cancelling = async {
            for (place, after) in self.cancels.iter().enumerate() {
                if outside.cancelled[place].load(SeqCst) {
                    continue;
                }
                tokio::time::sleep(*after).await;
                if let Some(id) = store.find(self.name, "k").await.unwrap() {
                    // It may be too late.
                    let _ = engine.operator("one").cancel(id, "enough").await;
                    outside.cancelled[place].store(true, SeqCst);
                }
            }
            std::future::pending::<()>().await
        };
        tokio::select! {
            biased;
            end = ending => end,
            () = sending => unreachable!("the sender goes on"),
            () = cancelling => unreachable!("who cancels goes on"),
        }
    }
}

/// What people outside have done, whatever the process.
struct Outside {
    sent: Vec<AtomicBool>,
    cancelled: Vec<AtomicBool>,
    /// Left.
    retries: AtomicUsize,
}

impl Told {
    fn new(end: Result<String, SagaError>, deaths: usize, world: World) -> Told {
        let out = end.as_ref().ok().cloned();
        let end = match end {
            Ok(_) => End::Finished,
            Err(SagaError::Compensated { .. }) => End::Undone,
            Err(SagaError::Stuck { kind, .. }) => End::Stuck(kind),
            Err(other) => panic!("{other}\n{}", world.books().tape.text()),
        };
        Told {
            end,
            out,
            deaths,
            world,
        }
    }

    pub fn text(&self) -> String {
        self.world.books().tape.text()
    }
}
