//! Sagas that do not end by themselves: one kind waits for a signal, the other is in a step.
use super::Error;
use super::ours::{Order, all, order};
use super::restart::Kind;
use seawall::saga::{
    Abort, Engine, Failure, Flow, SagaRef, Signal, SqliteStore, StepContext, nothing_to_undo,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

#[derive(Deserialize, Serialize)]
struct Paid;

impl Signal for Paid {
    const NAME: &'static str = "payment.completed";
}

/// What the step goes by. Clones are the same one.
#[derive(Clone, Default)]
struct Gate {
    /// Otherwise it never answers.
    open: bool,
    calls: Arc<AtomicUsize>,
    called: Arc<Notify>,
}

/// An engine with both kinds of saga.
pub struct Waiting {
    runtime: Runtime,
    store: SqliteStore,
    engine: Engine<Gate>,
    gate: Gate,
    for_signal: SagaRef<Order, ()>,
    in_step: SagaRef<Order, ()>,
}

impl Waiting {
    /// On the file there. With `open` the step answers at once, else never.
    pub fn open(path: &Path, open: bool) -> Result<Waiting, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_time()
            .build()?;
        let gate = Gate {
            open,
            ..Gate::default()
        };
        let app = gate.clone();
        let (store, engine, for_signal, in_step) = runtime.block_on(async {
            let store = SqliteStore::open(path).await?;
            let mut b = Engine::builder(app, store.clone());
            let charge = b.step("charge_payment", charge, nothing_to_undo).register();
            let for_signal = b.saga("await_payment", |saga: Flow, _: Order| async move {
                let Paid = saga.wait_for().await;
                Ok::<_, Abort>(())
            });
            let in_step = b.saga("charge", move |saga: Flow, order: Order| async move {
                saga.call(charge, order).await?;
                Ok::<_, Abort>(())
            });
            Ok::<_, Error>((store, b.build().await?, for_signal, in_step))
        })?;
        Ok(Waiting {
            runtime,
            store,
            engine,
            gate,
            for_signal,
            in_step,
        })
    }

    /// Starts so many of a kind, and waits until all that can leave memory have left it.
    pub fn start(&self, kind: Kind, keys: &str, sagas: usize) -> Result<(), Error> {
        let saga = match kind {
            Kind::ForSignal => self.for_signal,
            Kind::InStep => self.in_step,
        };
        self.runtime.block_on(async {
            let before = self.engine.counts().await?.waiting;
            let start = |n| {
                let (engine, key) = (self.engine.clone(), format!("{keys}-{n}"));
                async move {
                    engine.start(saga, key, order()).await?;
                    Ok(())
                }
            };
            all(sagas, start).await?;
            let left = || async { Ok::<_, Error>(self.engine.counts().await?.waiting - before) };
            while kind == Kind::ForSignal && left().await? < sagas as u64 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        })
    }

    /// Sends one of those that wait its signal, and waits for its end.
    pub fn signal_one(&self, key: &str) -> Result<(), Error> {
        self.runtime.block_on(async {
            let (engine, saga) = (&self.engine, self.for_signal);
            engine.signal(saga.name(), key, "payment-1", &Paid).await?;
            let mut saga = engine.start(saga, key, order()).await?;
            Ok(saga.outcome().await?)
        })
    }

    /// When the step had been called so often, since it was opened.
    pub fn calls(&self, calls: usize) -> Instant {
        self.runtime.block_on(async {
            loop {
                let called = self.gate.called.notified();
                if self.gate.calls.load(SeqCst) >= calls {
                    return Instant::now();
                }
                called.await;
            }
        })
    }

    /// Lets go of the file.
    pub fn close(self) -> Result<(), Error> {
        self.runtime.block_on(async {
            self.engine.drain().await?;
            self.store.close().await;
            Ok(())
        })
    }
}

async fn charge(gate: Arc<Gate>, _: StepContext, _: Order) -> Result<(), Failure> {
    if !gate.open {
        std::future::pending::<()>().await;
    }
    gate.calls.fetch_add(1, SeqCst);
    gate.called.notify_one();
    Ok(())
}
