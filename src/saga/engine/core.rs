//! What all sagas of an engine share.
mod place;
mod room;
mod taking;
mod waiters;

pub(super) use place::Place;
pub(super) use room::Pass;

use super::{
    drive::{self, Task},
    handle::End,
    link::Link,
    stats::Ends,
    timer,
    turns::Code,
};
use crate::Observer;
use crate::saga::{
    flow::Flow,
    step::Steps,
    store::{Owner, SagaId, Store, StoreError},
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot, watch},
    task::JoinSet,
};
use waiters::Waiters;

/// Tells the time of journals, timers and deadlines.
pub(super) type WallClock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// Makes the code of a saga from its input.
pub(super) type Make = Box<dyn Fn(&RawValue, Flow) -> Result<Code, String> + Send + Sync>;

/// The code of one version of a saga.
pub(super) struct Registered {
    pub(super) make: Make,
    pub(super) steps: Arc<Steps>,
    pub(super) same_input: fn(&RawValue, &RawValue) -> bool,
}

pub(in crate::saga) struct Core {
    pub(in crate::saga) store: Arc<dyn Store>,
    pub(super) sagas: HashMap<&'static str, BTreeMap<u32, Registered>>,
    /// Steps that were registered as functions: for every saga.
    pub(super) functions: Arc<Steps>,
    pub(super) owner: Owner,
    /// Names the builder.
    pub(super) origin: u64,
    pub(super) clock: WallClock,
    pub(super) max_payload: usize,
    pub(super) crash_limit: u32,
    pub(super) max_running: usize,
    pub(super) max_of: HashMap<&'static str, usize>,
    pub(super) draining: AtomicBool,
    /// Sagas wait in the store for a place: new ones stand in line as well.
    pub(super) backlog: AtomicBool,
    /// How many places have come free so far.
    freed: AtomicU64,
    /// For the scheduler: a place is free, or something is due earlier than it knew.
    pub(super) wake: Notify,
    /// Sagas that may bring the process down run one at a time.
    pub(super) suspects: Arc<tokio::sync::Mutex<()>>,
    pub(super) closed: watch::Sender<Option<StoreError>>,
    pub(super) ends: Ends,
    pub(super) observer: Option<Arc<dyn Observer>>,
    running: Mutex<Running>,
    /// How often mail has come for a saga that no task was known to have.
    unheard: AtomicU64,
    in_memory: AtomicUsize,
    empty: Notify,
    /// `None` once nothing will end here any more.
    waiters: Mutex<Option<Waiters>>,
    tasks: Mutex<JoinSet<()>>,
    /// Where they run, wherever a saga is started from.
    runtime: Handle,
    /// Claims and the like on their way: what they bring is not in memory yet.
    taking: AtomicUsize,
}

#[derive(Default)]
struct Running {
    /// With the epoch that each saga was taken over in.
    links: HashMap<SagaId, (u32, Arc<Link>)>,
    by_name: HashMap<String, usize>,
    total: usize,
}

/// What a builder gives.
pub(super) struct Setup {
    pub(super) store: Arc<dyn Store>,
    pub(super) sagas: HashMap<&'static str, BTreeMap<u32, Registered>>,
    pub(super) functions: Arc<Steps>,
    pub(super) owner: Owner,
    pub(super) origin: u64,
    pub(super) clock: WallClock,
    pub(super) max_payload: usize,
    pub(super) crash_limit: u32,
    pub(super) max_running: usize,
    pub(super) max_of: HashMap<&'static str, usize>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

/// Until a saga that the store failed is taken up again.
const AGAIN: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn new(setup: Setup) -> Arc<Core> {
        Arc::new(Core {
            store: setup.store,
            sagas: setup.sagas,
            functions: setup.functions,
            owner: setup.owner,
            origin: setup.origin,
            clock: setup.clock,
            max_payload: setup.max_payload,
            crash_limit: setup.crash_limit,
            max_running: setup.max_running,
            max_of: setup.max_of,
            draining: AtomicBool::new(false),
            backlog: AtomicBool::new(false),
            freed: AtomicU64::new(0),
            wake: Notify::new(),
            suspects: Arc::default(),
            closed: watch::Sender::new(None),
            ends: Ends::default(),
            observer: setup.observer,
            running: Mutex::default(),
            unheard: AtomicU64::new(0),
            in_memory: AtomicUsize::new(0),
            empty: Notify::new(),
            waiters: Mutex::new(Some(Waiters::default())),
            tasks: Mutex::new(JoinSet::new()),
            runtime: Handle::current(),
            taking: AtomicUsize::new(0),
        })
    }

    /// Now, UTC ms. A clock before 1970 stands at 0; a panic in a user's clock as well.
    pub(in crate::saga) fn now(&self) -> i64 {
        let now = crate::event::contain(UNIX_EPOCH, || (self.clock)());
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// In `wait` from now, UTC ms.
    pub(super) fn later(&self, wait: Duration) -> i64 {
        let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.now().saturating_add(ms)
    }

    pub(super) fn registered(&self, name: &str, version: u32) -> Option<&Registered> {
        self.sagas.get(name)?.get(&version)
    }

    /// The steps to undo a saga with, also where its own version is gone.
    pub(super) fn steps_for(&self, name: &str, version: u32) -> Arc<Steps> {
        let versions = self.sagas.get(name);
        let registered = versions.and_then(|versions| {
            versions
                .get(&version)
                .or_else(|| versions.values().next_back())
        });
        registered
            .map_or(&self.functions, |registered| &registered.steps)
            .clone()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    fn most_of(&self, name: &str) -> usize {
        self.max_of.get(name).copied().unwrap_or(usize::MAX)
    }

    /// Makes a saga's task the one that others reach. `Ok(Some)`: a task of this engine had it
    /// before, which has to be gone first. `Err`: another one has taken it over since.
    pub(super) fn enlist(
        &self,
        id: SagaId,
        epoch: u32,
        link: &Arc<Link>,
    ) -> Result<Option<Arc<Link>>, StoreError> {
        let mut running = self.running.lock();
        if running
            .links
            .get(&id)
            .is_some_and(|(known, _)| *known > epoch)
        {
            return Err(StoreError::Fenced);
        }
        let before = running.links.insert(id, (epoch, link.clone()));
        Ok(before.map(|(_, link)| link))
    }

    pub(super) fn discharge(&self, id: SagaId, link: &Arc<Link>) {
        let mut running = self.running.lock();
        let known = running.links.get(&id);
        if known.is_some_and(|(_, known)| Arc::ptr_eq(known, link)) {
            running.links.remove(&id);
        }
        drop(running);
        link.leave();
    }

    pub(in crate::saga) fn link(&self, id: SagaId) -> Option<Arc<Link>> {
        let running = self.running.lock();
        running.links.get(&id).map(|(_, link)| link.clone())
    }

    /// The one to tell that mail has come. `None`: that is counted, for one that is being written down
    /// and not listed yet.
    pub(super) fn link_for_mail(&self, id: SagaId) -> Option<Arc<Link>> {
        let running = self.running.lock();
        let link = running.links.get(&id).map(|(_, link)| link.clone());
        if link.is_none() {
            // Under the lock: whoever is listed after this sees it.
            self.unheard.fetch_add(1, SeqCst);
        }
        link
    }

    /// How much mail has found nobody so far.
    pub(super) fn unheard(&self) -> u64 {
        self.unheard.load(SeqCst)
    }

    pub(in crate::saga) fn in_memory(&self) -> usize {
        self.in_memory.load(SeqCst)
    }

    /// Runs a saga in a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, task: Task, place: Place) {
        let core = self.clone();
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        // Boxed: a task's future is copied a dozen times on its way, and this one has kilobytes.
        tasks.spawn_on(Box::pin(drive::drive(core, task, place)), &self.runtime);
    }

    pub(super) fn spawn_other(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().spawn_on(task, &self.runtime);
    }

    /// Lets go of a saga that could not be read or written just now, so that it is taken up again.
    pub(super) fn release_later(self: &Arc<Self>, id: SagaId) {
        if id == SagaId(0) || self.is_draining() {
            return;
        }
        let core = self.clone();
        self.spawn_other(async move {
            timer::pause(AGAIN).await;
            // An operator may have taken it up meanwhile.
            if core.link(id).is_none() {
                // One that cannot be released is taken up by the next engine.
                let released = core.store.release(core.owner, Some(id)).await;
                let _ = core.heard(released);
                core.wake.notify_one();
            }
        });
    }

    /// Ends all tasks: the last handle is gone.
    pub(super) fn abort_all(&self) {
        // Handles may outlive it, and take nothing up any more.
        self.draining.store(true, SeqCst);
        self.tasks.lock().abort_all();
        *self.waiters.lock() = None;
        let links = std::mem::take(&mut self.running.lock().links);
        // With the commands that nobody carries out.
        drop(links);
    }

    /// Tells whoever waits for the end of a saga.
    pub(super) fn tell(&self, id: SagaId, end: &End) {
        let waiting = self.waiters.lock().as_mut().map(|all| all.take(id));
        for waiter in waiting.into_iter().flatten() {
            // One that is gone needs no answer.
            let _ = waiter.send(end.clone());
        }
    }

    pub(super) fn wait_for(&self, id: SagaId, waiter: oneshot::Sender<End>) {
        // Dropped, it says that there is nothing to wait for.
        if let Some(waiters) = self.waiters.lock().as_mut() {
            waiters.add(id, waiter);
        }
    }

    /// Nobody waits any more for a saga that has left memory, or has ended: then nothing of it stays.
    pub(super) fn forget_gone(&self, id: SagaId) {
        if let Some(waiters) = self.waiters.lock().as_mut() {
            waiters.one_gone(id);
        }
    }

    /// Nothing more can be written: everyone who waits is told.
    pub(super) fn close(&self, cause: &StoreError) {
        let first = self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(cause.clone());
            }
            first
        });
        *self.waiters.lock() = None;
        for (_, link) in self.running.lock().links.values() {
            link.nudge();
        }
        if first {
            self.tell_closed(cause);
        }
    }

    /// What the store has answered, after everyone was told where it has closed.
    pub(super) fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Closed(_)) = &answer {
            self.close(error);
        }
        answer
    }

    pub(super) fn is_closed(&self) -> Option<StoreError> {
        self.closed.borrow().clone()
    }

    /// No new sagas, no new actions; when nothing runs any more, everything is released.
    pub(super) async fn drain(&self) -> Result<(), StoreError> {
        self.draining.store(true, SeqCst);
        for (_, link) in self.running.lock().links.values() {
            link.nudge();
        }
        self.wake.notify_one();
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            empty.as_mut().enable();
            if self.in_memory() == 0 && self.taking.load(SeqCst) == 0 {
                break;
            }
            empty.await;
        }
        let released = self.store.release(self.owner, None).await;
        *self.waiters.lock() = None;
        self.heard(released)
    }
}

impl Running {
    fn of(&self, name: &str) -> usize {
        self.by_name.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::saga::{Abort, Engine, Flow, MemoryStore, Signal};
    use std::time::Duration;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Paid;

    impl Signal for Paid {
        const NAME: &'static str = "paid";
    }

    fn waiters(engine: &Engine<()>) -> usize {
        let waiters = engine.core.waiters.lock();
        waiters.as_ref().map_or(0, |waiters| waiters.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_that_nobody_waits_for_leaves_nothing_in_memory() {
        let mut b = Engine::builder((), MemoryStore::new());
        let saga = b.saga("order", |saga: Flow, (): ()| async move {
            let Paid = saga.wait_for().await;
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "a", ()).await.unwrap();
        let cut = tokio::time::timeout(Duration::from_secs(1), handle.outcome());
        cut.await.unwrap_err();
        assert_eq!((engine.in_memory(), waiters(&engine)), (0, 1));
        drop(handle);
        assert_eq!(waiters(&engine), 0);
        // One that has ended is looked up, and waited for no more.
        engine.signal("order", "a", "1", &Paid).await.unwrap();
        for _ in 0..2 {
            let mut handle = engine.start(saga, "a", ()).await.unwrap();
            handle.outcome().await.unwrap();
        }
        assert_eq!(waiters(&engine), 0);
    }
}
