mod service;
mod step;

pub use step::StepBuilder;

use super::{
    Engine,
    core::{Core, Make, Registered, Setup, WallClock},
    schedule::{self, Retention},
    turns::Code,
};
use crate::{
    BuildError, Name, Observer,
    error::Check,
    saga::{
        flow::{Abort, ChildRef, Context, Flow, Saga, SagaRef},
        journal::Raw,
        step::{
            Failure, Outcome, Payload, StepContext, StepSet as _, StepSink, Steps, same,
            undecodable, unencodable,
        },
        store::{Owner, Store, StoreError},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Registers steps and sagas, and builds the [`Engine`] that runs them.
///
/// # Defaults
/// - [`max_running`](Builder::max_running): 10,000 sagas in memory
/// - [`max_payload`](Builder::max_payload): 1 MiB for an input, command, output or signal
/// - [`retention`](Builder::retention): 7 days
/// - [`crash_limit`](Builder::crash_limit): 3
/// - [`wall_clock`](Builder::wall_clock): the system's
/// - [`max_running_of`](Builder::max_running_of): no limit but the engine's
/// - [`keep_at_most`](Builder::keep_at_most): no limit
/// - [`observer`](Builder::observer): nobody
/// - [`register`](Builder::register): no sagas
pub struct Builder<App> {
    app: Arc<App>,
    store: Arc<dyn Store>,
    sagas: HashMap<&'static str, BTreeMap<u32, Entry>>,
    functions: Steps,
    origin: u64,
    clock: WallClock,
    max_payload: usize,
    max_running: usize,
    max_of: HashMap<&'static str, usize>,
    crash_limit: u32,
    retention: Retention,
    observer: Option<Arc<dyn Observer>>,
    check: Check,
}

/// A saga with steps of its own, or with the functions.
struct Entry {
    make: Make,
    steps: Option<Arc<Steps>>,
    same_input: fn(&RawValue, &RawValue) -> bool,
}

/// Why an engine was not built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// What is wrong with what was registered, all at once.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<App: Send + Sync + 'static> Builder<App> {
    pub(super) fn new(app: App, store: Arc<dyn Store>) -> Self {
        static BUILDERS: AtomicU64 = AtomicU64::new(1);
        Builder {
            app: Arc::new(app),
            store,
            sagas: HashMap::new(),
            functions: HashMap::new(),
            origin: BUILDERS.fetch_add(1, Relaxed),
            clock: Box::new(crate::clock::wall),
            max_payload: 1 << 20,
            max_running: 10_000,
            max_of: HashMap::new(),
            crash_limit: 3,
            retention: Retention {
                age: Duration::from_secs(7 * 24 * 60 * 60),
                at_most: None,
            },
            observer: None,
            check: Check::new(Name::from_static("saga engine")),
        }
    }

    /// A saga from a function, version 1.
    ///
    /// A closure that captures something (its steps, mostly) is
    /// `move |saga: Flow, input: In| async move { .. }`.
    ///
    /// The name stands in the journal: never change it while sagas under it are kept.
    pub fn saga<In, Out, F, Fut>(&mut self, name: &'static str, run: F) -> SagaRef<In, Out>
    where
        In: Payload,
        Out: Payload,
        F: Fn(Flow, In) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out, Abort>> + Send + 'static,
    {
        self.saga_version(name, 1, run)
    }

    /// One version of a saga from a function.
    ///
    /// Sagas go on with the version that they were started with, so register old versions until
    /// their sagas have ended.
    pub fn saga_version<In, Out, F, Fut>(
        &mut self,
        name: &'static str,
        version: u32,
        run: F,
    ) -> SagaRef<In, Out>
    where
        In: Payload,
        Out: Payload,
        F: Fn(Flow, In) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out, Abort>> + Send + 'static,
    {
        let make: Make = Box::new(move |input, flow| {
            let code = run(flow, decode(input)?);
            Ok(Box::pin(async move { encode(code.await) }))
        });
        self.add(
            name,
            version,
            Entry {
                make,
                steps: None,
                same_input: same::<In>,
            },
        );
        SagaRef::new(name, version, self.origin)
    }

    /// A saga that is a type, with the steps that it lists. Default: an engine runs none.
    pub fn register<S: Saga<App>>(&mut self) -> &mut Self {
        let mut sink = StepSink {
            app: self.app.clone(),
            steps: HashMap::new(),
            twice: Vec::new(),
        };
        S::Steps::add(&mut sink);
        for twice in sink.twice {
            self.check.that(
                false,
                "Steps",
                twice,
                "a name that no other step of the saga has",
            );
        }
        for name in sink.steps.keys() {
            self.check_name("Step::NAME", name);
        }
        let make: Make = Box::new(|input, flow| {
            let saga: S = decode(input)?;
            let context = Context::<App, S>::new(flow);
            let code: Code = Box::pin(async move { encode(saga.run(&context).await) });
            Ok(code)
        });
        let steps = Some(Arc::new(sink.steps));
        self.add(
            S::NAME,
            S::VERSION,
            Entry {
                make,
                steps,
                same_input: same::<S>,
            },
        );
        self
    }

    /// A saga to be run as a part of others.
    ///
    /// With the compensation for when it has completed and its parent is given up. The name is that
    /// of the pair.
    pub fn child<In, Out, U, Undoing>(
        &mut self,
        name: &'static str,
        saga: SagaRef<In, Out>,
        undo: U,
    ) -> ChildRef<In, Out>
    where
        In: Payload,
        Out: Payload,
        U: Fn(Arc<App>, StepContext, In, Outcome<Out>) -> Undoing + Send + Sync + 'static,
        Undoing: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let mine = saga.origin == self.origin;
        self.check
            .that(mine, "child", saga.name, "a saga of this builder");
        let never = |_: Arc<App>, _: StepContext, _: In| async {
            Err::<Out, _>(Failure::refused("a child is started by its engine"))
        };
        let step = self.step(name, never, undo).register();
        ChildRef { step, saga }
    }

    /// Sagas in memory at a time, at least 1; the others wait in the store for a place.
    ///
    /// Those that wait for a long time are not in memory, and one that has to stay there while it
    /// waits for its children alone is not counted. Default: 10,000.
    pub fn max_running(&mut self, sagas: usize) -> &mut Self {
        self.max_running = sagas;
        self
    }

    /// Sagas of one name in memory at a time, at least 1. Default: no limit but the engine's.
    pub fn max_running_of(&mut self, name: &'static str, sagas: usize) -> &mut Self {
        self.max_of.insert(name, sagas);
        self
    }

    /// Bytes of an input, a command, an output or a signal as JSON; 1 KiB to 64 MiB. Default: 1 MiB.
    pub fn max_payload(&mut self, bytes: usize) -> &mut Self {
        self.max_payload = bytes;
        self
    }

    /// How often its process may die with a saga that makes no progress. At least 2.
    ///
    /// Then that saga is parked: the last time with no other suspect beside it. Default: 3.
    pub fn crash_limit(&mut self, crashes: u32) -> &mut Self {
        self.crash_limit = crashes;
        self
    }

    /// How long ended sagas are kept.
    ///
    /// While one is, its key cannot be used for another input. Default: 7 days.
    ///
    /// As long are kept, from when they were sent: signals to a name and key of which there is no saga
    /// (not started yet, or never), and the ids of signals that were read, by which a repeated one is
    /// told. So longer than a signal may come before its saga is started, and than its sender may repeat
    /// it. An unread signal of a saga that has not ended is kept for as long as that saga.
    pub fn retention(&mut self, age: Duration) -> &mut Self {
        self.retention.age = age;
        self
    }

    /// How many ended sagas are kept at most, whatever their age. Default: no limit.
    pub fn keep_at_most(&mut self, ended: u64) -> &mut Self {
        self.retention.at_most = Some(ended);
        self
    }

    /// Who hears of this engine's sagas. Default: nobody, at the price of a branch.
    ///
    /// ```
    /// use seawall::{Event, Name, event::SagaEventKind};
    /// use seawall::saga::{Abort, Engine, Flow, MemoryStore};
    /// use std::sync::{Arc, Mutex};
    ///
    /// # tokio_test::block_on(async {
    /// let told = Arc::new(Mutex::new(Vec::new()));
    /// let log = told.clone();
    /// let mut b = Engine::builder((), MemoryStore::new());
    /// b.observer(move |_: Name, event: &Event<'_>| {
    ///     if let Event::Saga(saga) = event && let SagaEventKind::Ended { status, .. } = saga.kind {
    ///         log.lock().unwrap().push(format!("{} {}: {status}", saga.name, saga.key));
    ///     }
    /// });
    /// let nothing = b.saga("nothing", |_: Flow, (): ()| async { Ok::<_, Abort>(()) });
    /// let engine = b.build().await?;
    /// engine.start(nothing, "k", ()).await?.outcome().await?;
    /// assert_eq!(*told.lock().unwrap(), ["nothing k: finished"]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn observer(&mut self, observer: impl Observer) -> &mut Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// What tells the time of the journal, and of timers and deadlines. Default: the system's clock.
    ///
    /// For tests.
    pub fn wall_clock(
        &mut self,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> &mut Self {
        self.clock = Box::new(clock);
        self
    }

    /// Takes over the sagas that an engine before this one has left, and begins.
    ///
    /// Needs a tokio runtime with its time driver. Sagas go on in tasks of that runtime until the
    /// last clone of the engine is dropped.
    ///
    /// # Errors
    /// [`EngineError`]: everything that is wrong with what was registered, or the store.
    ///
    /// # Cancel safety
    /// Dropped, no engine is there; nothing is lost.
    pub async fn build(mut self) -> Result<Engine<App>, EngineError> {
        let most = self.max_payload;
        self.check
            .that(
                self.max_running > 0,
                "max_running",
                self.max_running,
                "at least 1",
            )
            .that(
                (1 << 10..=1 << 26).contains(&most),
                "max_payload",
                most,
                "1 KiB to 64 MiB",
            )
            .that(
                self.crash_limit >= 2,
                "crash_limit",
                self.crash_limit,
                "at least 2",
            );
        for (name, most) in &self.max_of {
            let known = self.sagas.contains_key(name);
            self.check
                .that(known, "max_running_of", name, "a registered saga");
            self.check
                .that(*most > 0, "max_running_of", most, "at least 1");
        }
        self.check.done()?;
        let functions = Arc::new(self.functions);
        let registered = |entry: Entry| Registered {
            make: entry.make,
            steps: entry.steps.unwrap_or_else(|| functions.clone()),
            same_input: entry.same_input,
        };
        let versions = |(name, versions): (_, BTreeMap<u32, Entry>)| {
            let versions = versions
                .into_iter()
                .map(|(version, entry)| (version, registered(entry)));
            (name, versions.collect())
        };
        let sagas = self.sagas.into_iter().map(versions).collect();
        let mut owner = [0; 8];
        getrandom::fill(&mut owner).map_err(|e| StoreError::Open(e.to_string().into()))?;
        let core = Core::new(Setup {
            store: self.store,
            sagas,
            functions: functions.clone(),
            owner: Owner(i64::from_le_bytes(owner) | 1),
            origin: self.origin,
            clock: self.clock,
            max_payload: self.max_payload,
            crash_limit: self.crash_limit,
            max_running: self.max_running,
            max_of: self.max_of,
            observer: self.observer,
        });
        // It answers, or the engine is not there.
        core.store.heartbeat(core.owner).await?;
        core.spawn_other(schedule::take_up_parked(core.clone()));
        core.spawn_other(schedule::retain(core.clone(), self.retention));
        core.spawn_other(schedule::schedule(core.clone()));
        Ok(Engine::new(core))
    }

    fn add(&mut self, name: &'static str, version: u32, entry: Entry) {
        self.check_name("saga name", name);
        let versions = self.sagas.entry(name).or_default();
        if versions.insert(version, entry).is_some() {
            let allowed = format!("a version of `{name}` that is not registered yet");
            self.check.that(false, "version", version, allowed);
        }
    }

    fn check_name(&mut self, field: &'static str, name: &str) {
        self.check.that(
            (1..=super::start::MAX_KEY).contains(&name.len()),
            field,
            name,
            "of 1 to 255 bytes",
        );
    }
}

fn decode<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|e| undecodable::<T>(&e))
}

fn encode<T: Serialize>(end: Result<T, Abort>) -> super::turns::Ended {
    end.map_err(|abort| abort.0).and_then(|out| {
        to_raw_value(&out).map_err(|e| {
            let why = unencodable(&out, &e);
            let why = format!("the saga's output cannot be encoded: {why}");
            crate::saga::flow::Given::Up(why)
        })
    })
}

/// A payload, for what hands one on undecoded.
pub(super) fn payload(value: &impl Serialize) -> Result<Raw, String> {
    to_raw_value(value).map_err(|e| e.to_string())
}
