//! Durable sagas in the memory store: by those there are, and by what one of them has behind it.
use super::{Case, Error, Growth, TO_1E3, TO_1E4};
use crate::mark;
use seawall::saga::{
    Abort, Engine, Failure, Flow, MemoryStore, SagaRef, Signal, StepContext, nothing_to_undo,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const OPS: usize = 32;

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    use Growth::{Linear, Log};
    vec![
        case("sagas", "a saga, n others in a step", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.go(async {
                desk.start_all("stuck", desk.hang, n).await?;
                desk.count_orders().await
            })
        }),
        case(
            "sagas",
            "a saga, n others wait for a signal",
            TO_1E4,
            Log,
            |n| {
                let desk = Desk::new()?;
                desk.go(async {
                    desk.wait_all(n).await?;
                    desk.count_orders().await
                })
            },
        ),
        case("sagas", "a saga, n others have ended", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.go(async {
                desk.orders("ended", n).await?;
                desk.count_orders().await
            })
        }),
        case(
            "sagas",
            "a signal wakes one of n waiting sagas",
            TO_1E4,
            Log,
            |n| {
                let desk = Desk::new()?;
                desk.go(async {
                    desk.wait_all(n + OPS + 1).await?;
                    desk.wake("wait-0").await?;
                    mark::begin();
                    for saga in 1..=OPS {
                        desk.wake(&format!("wait-{saga}")).await?;
                    }
                    mark::end();
                    Ok(OPS)
                })
            },
        ),
        case("sagas", "statistics, n waiting sagas", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.go(async {
                desk.wait_all(n).await?;
                mark::begin();
                for _ in 0..OPS {
                    desk.engine.stats().await?;
                }
                mark::end();
                Ok(OPS)
            })
        }),
        case("journal", "a step, n before it", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.mark_at(n, n + OPS);
            desk.go(async {
                let mut saga = desk.engine.start(desk.long, "a", n + OPS + 1).await?;
                saga.outcome().await?;
                Ok(OPS)
            })
        }),
        case("journal", "a step undone, n before it", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.mark_at(usize::MAX, usize::MAX);
            let app = desk.app.clone();
            app.undo_from.store(n + OPS, SeqCst);
            app.undo_to.store(n, SeqCst);
            desk.go(async {
                let mut saga = desk.engine.start(desk.undone, "a", n + OPS + 1).await?;
                saga.outcome().await.unwrap_err();
                Ok(OPS)
            })
        }),
        case(
            "journal",
            "a waiting saga woken, n steps behind it",
            TO_1E3,
            Linear,
            |n| {
                let desk = Desk::new()?;
                desk.go(desk.wakes(n, usize::MAX))
            },
        ),
        case(
            "journal",
            "the same, continued as a new run every 10 wakes",
            TO_1E3,
            Log,
            |n| {
                let desk = Desk::new()?;
                desk.go(desk.wakes(n, 10))
            },
        ),
        case("journal", "one of n steps side by side", TO_1E4, Log, |n| {
            let desk = Desk::new()?;
            desk.go(async {
                mark::begin();
                let mut saga = desk.engine.start(desk.wide, "a", n).await?;
                saga.outcome().await?;
                mark::end();
                Ok(n)
            })
        }),
    ]
}

#[derive(Deserialize, Serialize)]
struct Paid;

impl Signal for Paid {
    const NAME: &'static str = "paid";
}

/// Which steps begin and end the count, where a case counts within a saga.
#[derive(Default)]
pub struct Marks {
    from: AtomicUsize,
    to: AtomicUsize,
    undo_from: AtomicUsize,
    undo_to: AtomicUsize,
    visits: AtomicUsize,
    visited: Notify,
}

/// Clones share them.
#[derive(Clone, Default)]
pub struct App(Arc<Marks>);

impl std::ops::Deref for App {
    type Target = Marks;

    fn deref(&self) -> &Marks {
        &self.0
    }
}

async fn act(app: Arc<App>, _: StepContext, n: usize) -> Result<usize, Failure> {
    mark_at(n, &app.from, &app.to);
    Ok(n)
}

fn mark_at(n: usize, from: &AtomicUsize, to: &AtomicUsize) {
    if n == from.load(SeqCst) {
        mark::begin();
    }
    if n == to.load(SeqCst) {
        mark::end();
    }
}

async fn visit(app: Arc<App>, _: StepContext, n: usize) -> Result<usize, Failure> {
    app.visits.fetch_add(1, SeqCst);
    app.visited.notify_one();
    Ok(n)
}

async fn hang(app: Arc<App>, _: StepContext, _: usize) -> Result<usize, Failure> {
    app.visits.fetch_add(1, SeqCst);
    std::future::pending().await
}

/// An engine with all the sagas there are here.
pub struct Desk {
    runtime: Runtime,
    app: App,
    engine: Engine<App>,
    order: SagaRef<usize, ()>,
    hang: SagaRef<usize, ()>,
    wait: SagaRef<usize, ()>,
    long: SagaRef<usize, ()>,
    rest: SagaRef<usize, ()>,
    undone: SagaRef<usize, ()>,
    wide: SagaRef<usize, ()>,
    visits: SagaRef<(usize, usize), ()>,
}

impl Desk {
    pub fn new() -> Result<Desk, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let app = App::default();
        app.from.store(usize::MAX, SeqCst);
        app.to.store(usize::MAX, SeqCst);
        app.undo_from.store(usize::MAX, SeqCst);
        app.undo_to.store(usize::MAX, SeqCst);
        let built = runtime.block_on(async {
            let mut b = Engine::builder(app.clone(), MemoryStore::new());
            b.max_running(1_000_000);
            let step = b.step("step", act, nothing_to_undo).register();
            let undo = |app: Arc<App>, _, n: usize, _| async move {
                mark_at(n, &app.undo_from, &app.undo_to);
                Ok::<_, Failure>(())
            };
            let undone_step = b.step("undone", act, undo).register();
            let visit = b.step("visit", visit, nothing_to_undo).register();
            let hanging = b.step("hang", hang, nothing_to_undo).register();
            let order = b.saga("order", move |saga: Flow, n: usize| async move {
                for _ in 0..3 {
                    saga.call(step, usize::MAX - 1).await?;
                }
                let _ = n;
                Ok::<_, Abort>(())
            });
            let hang = b.saga("hang", move |saga: Flow, n: usize| async move {
                saga.call(hanging, n).await?;
                Ok::<_, Abort>(())
            });
            let wait = b.saga("wait", move |saga: Flow, _: usize| async move {
                let Paid = saga.wait_for().await;
                Ok::<_, Abort>(())
            });
            let long = b.saga("long", move |saga: Flow, n: usize| async move {
                for i in 0..n {
                    saga.call(step, i).await?;
                }
                Ok::<_, Abort>(())
            });
            let rest = b.saga("rest", move |saga: Flow, n: usize| async move {
                for _ in 0..n {
                    saga.call(step, usize::MAX - 1).await?;
                }
                saga.call(hanging, n).await?;
                Ok::<_, Abort>(())
            });
            let undone = b.saga("undone", move |saga: Flow, n: usize| async move {
                for i in 0..n {
                    saga.call(undone_step, i).await?;
                }
                Err::<(), _>(Abort::new("enough"))
            });
            let wide = b.saga("wide", move |saga: Flow, n: usize| async move {
                let steps = (0..n).map(|i| saga.call(step, usize::MAX - 2 - i));
                futures_util::future::try_join_all(steps).await?;
                Ok::<_, Abort>(())
            });
            let visits = b.saga(
                "visits",
                move |saga: Flow, (n, run): (usize, usize)| async move {
                    for _ in 0..n {
                        saga.call(step, usize::MAX - 1).await?;
                    }
                    for _ in 0..run {
                        let Paid = saga.wait_for().await;
                        saga.call(visit, 0).await?;
                    }
                    saga.continue_as::<()>((0, run))
                },
            );
            Ok::<_, Error>((
                b.build().await?,
                order,
                hang,
                wait,
                long,
                rest,
                undone,
                wide,
                visits,
            ))
        })?;
        let (engine, order, hang, wait, long, rest, undone, wide, visits) = built;
        Ok(Desk {
            runtime,
            app,
            engine,
            order,
            hang,
            wait,
            long,
            rest,
            undone,
            wide,
            visits,
        })
    }

    fn go<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.block_on(work)
    }

    fn mark_at(&self, from: usize, to: usize) {
        self.app.from.store(from, SeqCst);
        self.app.to.store(to, SeqCst);
    }

    async fn start_all(&self, keys: &str, saga: SagaRef<usize, ()>, n: usize) -> Result<(), Error> {
        for i in 0..n {
            self.engine.start(saga, format!("{keys}-{i}"), i).await?;
        }
        Ok(())
    }

    async fn wait_all(&self, n: usize) -> Result<(), Error> {
        self.start_all("wait", self.wait, n).await?;
        self.settle(n).await
    }

    /// Until so many wait in the store.
    async fn settle(&self, n: usize) -> Result<(), Error> {
        while self.engine.in_memory() > 0 || self.engine.counts().await?.waiting != n as u64 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// So many in a step.
    pub fn hang(&self, n: usize) -> Result<(), Error> {
        self.go(async {
            self.start_all("hang", self.hang, n).await?;
            self.hung(n).await
        })
    }

    /// So many out of memory.
    pub fn wait(&self, n: usize) -> Result<(), Error> {
        self.go(self.wait_all(n))
    }

    /// One with so many steps behind it, in another one.
    pub fn steps_then_hang(&self, n: usize) -> Result<(), Error> {
        self.go(async {
            self.engine.start(self.rest, "a", n).await?;
            self.hung(1).await
        })
    }

    async fn hung(&self, n: usize) -> Result<(), Error> {
        while self.app.visits.load(SeqCst) < n {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn orders(&self, keys: &str, n: usize) -> Result<(), Error> {
        for i in 0..n {
            let mut saga = self
                .engine
                .start(self.order, format!("{keys}-{i}"), i)
                .await?;
            saga.outcome().await?;
        }
        Ok(())
    }

    async fn count_orders(&self) -> Result<usize, Error> {
        self.orders("warm-up", 4).await?;
        mark::begin();
        self.orders("counted", OPS).await?;
        mark::end();
        Ok(OPS)
    }

    async fn wake(&self, key: &str) -> Result<(), Error> {
        let mut saga = self.engine.start(self.wait, key, key[5..].parse()?).await?;
        self.engine.signal("wait", key, "1", &Paid).await?;
        saga.outcome().await?;
        Ok(())
    }

    async fn wakes(&self, n: usize, run: usize) -> Result<usize, Error> {
        self.engine.start(self.visits, "a", (n, run)).await?;
        self.settle(1).await?;
        let wakes = 20;
        for i in 0..wakes {
            self.visit(&format!("before-{i}")).await?;
        }
        mark::begin();
        for i in 0..wakes {
            self.visit(&format!("counted-{i}")).await?;
        }
        mark::end();
        Ok(wakes)
    }

    /// Wakes the saga that is visited, until it has left memory again.
    async fn visit(&self, id: &str) -> Result<(), Error> {
        self.engine.signal("visits", "a", id, &Paid).await?;
        self.app.visited.notified().await;
        self.settle(1).await
    }
}
