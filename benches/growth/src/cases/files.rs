//! What is kept in files: sagas in SQLite by those it holds, and keys of the ledger and the layer.
//!
//! The files are [made](prepare) before, without callgrind.
use super::{Case, Error, Growth::Log, TO_1E4};
use crate::mark;
use http::{Request, Response};
use http_body_util::Full;
use rusqlite::{Connection, TransactionBehavior::Immediate};
use seawall::saga::idempotency::IdempotencyLayer;
use seawall::saga::ledger::{Effect, Ledger, LedgerError, Reply};
use seawall::saga::operator::Find;
use seawall::saga::store::{Counts, Expired, Store};
use seawall::saga::{
    Abort, Engine, Failure, Flow, SagaRef, Signal, SqliteStore, StepContext, nothing_to_undo,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tower::{Layer as _, Service as _};

const OPS: usize = 16;

pub fn cases() -> Vec<Case> {
    let case = |name: &'static str, run| Case {
        chart: if name.starts_with("SQLite") {
            "files"
        } else {
            "keys"
        },
        name,
        sizes: TO_1E4,
        growth: Log,
        run,
    };
    vec![
        case("SQLite: a saga, n others wait", |n| {
            Desk::open("waiting", n)?.orders()
        }),
        case("SQLite: a saga, n others have ended", |n| {
            Desk::open("ended", n)?.orders()
        }),
        case("SQLite: a signal wakes one of n waiting sagas", |n| {
            let desk = Desk::open("waiting", n)?;
            desk.runtime.block_on(async {
                // The file has at least ten.
                for i in 0..9 {
                    if i == 1 {
                        mark::begin();
                    }
                    let key = format!("{i}");
                    let mut saga = desk.engine.start(desk.wait, &*key, ()).await?;
                    desk.engine.signal("wait", &key, "1", &Paid).await?;
                    saga.outcome().await?;
                }
                mark::end();
                Ok(8)
            })
        }),
        case("SQLite: a page of 5, n parked", |n| {
            let desk = Desk::open("parked", n)?;
            desk.runtime.block_on(async {
                let operator = desk.engine.operator("growth");
                // An engine that starts looks at all that are parked; this comes behind that.
                operator.list(Find::stuck().reason_contains("none")).await?;
                let first = operator.list(Find::stuck().limit(5)).await?;
                mark::begin();
                for _ in 0..OPS {
                    let next = Find::stuck().limit(5).after(first.sagas[4].id);
                    assert_eq!(operator.list(next).await?.sagas.len(), 5);
                }
                mark::end();
                Ok(OPS)
            })
        }),
        case("SQLite: statistics, n waiting sagas", |n| {
            let desk = Desk::open("waiting", n)?;
            desk.runtime.block_on(async {
                desk.engine.stats().await?;
                mark::begin();
                for _ in 0..OPS {
                    desk.engine.stats().await?;
                }
                mark::end();
                Ok(OPS)
            })
        }),
        case("SQLite: retention deletes one of n ended sagas", |n| {
            let desk = Desk::open("ended", n)?;
            desk.runtime.block_on(async {
                assert_eq!(desk.store.delete_ended(Expired::new(i64::MAX, 1)).await?, 1);
                mark::begin();
                for _ in 0..8 {
                    assert_eq!(desk.store.delete_ended(Expired::new(i64::MAX, 1)).await?, 1);
                }
                mark::end();
                Ok(8)
            })
        }),
        case("ledger: a step applied, n keys kept", |n| {
            let (_folder, path) = copy("ledger", n)?;
            let mut db = Connection::open(path)?;
            let keys: Vec<_> = (0..=OPS).map(|i| format!("new-{i}")).collect();
            Ok(mark::count(OPS, |i| {
                assert!(apply(&mut db, &keys[i]).is_ok())
            }))
        }),
        case("ledger: a step that comes again, n keys kept", |n| {
            let (_folder, path) = copy("ledger", n)?;
            let mut db = Connection::open(path)?;
            Ok(mark::count(OPS, |_| assert!(apply(&mut db, "7").is_ok())))
        }),
        case("HTTP layer: a new key, n kept", |n| {
            let (_folder, path) = copy("layer", n)?;
            let keys: Vec<_> = (0..=OPS).map(|i| format!("new-{i}")).collect();
            let door = Door::open(&path)?;
            door.post(&keys[OPS])?;
            mark::begin();
            for key in &keys[..OPS] {
                door.post(key)?;
            }
            mark::end();
            Ok(OPS)
        }),
    ]
}

#[derive(Deserialize, Serialize)]
struct Paid;

impl Signal for Paid {
    const NAME: &'static str = "paid";
}

async fn act(_: Arc<()>, _: StepContext, (): ()) -> Result<(), Failure> {
    Ok(())
}

/// An engine on a copy of a file.
struct Desk {
    runtime: Runtime,
    store: SqliteStore,
    engine: Engine<()>,
    order: SagaRef<(), ()>,
    wait: SagaRef<(), ()>,
    park: SagaRef<(), ()>,
    _folder: Option<TempDir>,
}

impl Desk {
    fn open(kind: &str, n: usize) -> Result<Desk, Error> {
        let (folder, path) = copy(kind, n)?;
        let desk = Desk::at(&path)?;
        Ok(Desk {
            _folder: Some(folder),
            ..desk
        })
    }

    fn at(path: &Path) -> Result<Desk, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let built = runtime.block_on(async {
            let store = SqliteStore::open(path).await?;
            let mut b = Engine::builder((), store.clone());
            let step = b.step("step", act, nothing_to_undo).register();
            let order = b.saga("order", move |saga: Flow, (): ()| async move {
                for _ in 0..3 {
                    saga.call(step, ()).await?;
                }
                Ok::<_, Abort>(())
            });
            let wait = b.saga("wait", |saga: Flow, (): ()| async move {
                let Paid = saga.wait_for().await;
                Ok::<_, Abort>(())
            });
            // What it awaits is none of its operations.
            let park = b.saga("park", |_: Flow, (): ()| {
                std::future::pending::<Result<(), Abort>>()
            });
            Ok::<_, Error>((store, b.build().await?, order, wait, park))
        })?;
        let (store, engine, order, wait, park) = built;
        Ok(Desk {
            runtime,
            store,
            engine,
            order,
            wait,
            park,
            _folder: None,
        })
    }

    /// Orders from their start to their end.
    fn orders(&self) -> Result<usize, Error> {
        self.runtime.block_on(async {
            for i in 0..=OPS {
                if i == 1 {
                    mark::begin();
                }
                let mut saga = self
                    .engine
                    .start(self.order, format!("new-{i}"), ())
                    .await?;
                saga.outcome().await?;
            }
            mark::end();
            Ok(OPS)
        })
    }

    /// Brings the file from so many sagas of a kind to so many, many at a time, and lets go of it.
    fn fill(self, kind: &str, from: usize, to: usize) -> Result<(), Error> {
        let saga = match kind {
            "waiting" => self.wait,
            "parked" => self.park,
            _ => self.order,
        };
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for i in from..to {
                if running.len() == 256 {
                    running.join_next().await;
                }
                let (engine, waits) = (self.engine.clone(), kind == "waiting");
                running.spawn(async move {
                    let mut saga = engine
                        .start(saga, i.to_string(), ())
                        .await
                        .expect("it starts");
                    if !waits {
                        let _ = saga.outcome().await;
                    }
                });
            }
            while running.join_next().await.is_some() {}
            let counts = |counts: Counts| match kind {
                "waiting" => counts.waiting,
                "parked" => counts.stuck,
                _ => counts.finished,
            };
            while counts(self.engine.counts().await?) != to as u64 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            self.engine.drain().await?;
            self.store.close().await;
            Ok(())
        })
    }
}

static APPLY: Ledger = Ledger::new("apply");

fn apply(db: &mut Connection, key: &str) -> Result<(), LedgerError> {
    let mut tx = db.transaction_with_behavior(Immediate)?;
    let reply: Reply<u64> = APPLY.apply(&mut tx, key, &7, |_| {
        Ok::<_, LedgerError>(Effect::Applied(7))
    })?;
    assert!(matches!(reply, Reply::Fresh(_) | Reply::Replayed(_)));
    Ok(tx.commit()?)
}

/// A service behind the layer.
struct Door {
    runtime: Runtime,
    layer: IdempotencyLayer,
}

type Body = Full<VecDeque<u8>>;

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from(b"done".to_vec())))
}

impl Door {
    fn open(path: &Path) -> Result<Door, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let layer = IdempotencyLayer::new(path).build()?;
        Ok(Door { runtime, layer })
    }

    fn post(&self, key: &str) -> Result<(), Error> {
        let request = Request::post("/charges").header("Idempotency-Key", format!("\"{key}\""));
        let request = request.body(Body::from(b"{}".to_vec()))?;
        let mut service = self.layer.layer(tower::service_fn(answer));
        let answer = self.runtime.block_on(service.call(request))?;
        assert_eq!(answer.status(), 200);
        Ok(())
    }
}

/// Makes the files that the cases begin with, of each of these sizes.
pub fn prepare(folder: &Path, sizes: &[usize]) -> Result<(), Error> {
    for kind in ["waiting", "parked", "ended", "ledger", "layer"] {
        let growing = folder.join(format!("{kind}.db"));
        let mut had = 0;
        for &n in sizes {
            match kind {
                "ledger" => fill_ledger(&growing, had, n)?,
                "layer" => fill_layer(&growing, had, n)?,
                _ => Desk::at(&growing)?.fill(kind, had, n)?,
            }
            std::fs::copy(&growing, folder.join(format!("{kind}-{n}.db")))?;
            had = n;
        }
    }
    Ok(())
}

fn fill_ledger(path: &Path, from: usize, to: usize) -> Result<(), Error> {
    let mut db = Connection::open(path)?;
    Ledger::create_tables(&db)?;
    let mut tx = db.transaction_with_behavior(Immediate)?;
    for i in from..to {
        let fresh = APPLY.apply(&mut tx, &i.to_string(), &7, |_| {
            Ok::<_, LedgerError>(Effect::Applied(7_u64))
        })?;
        assert!(matches!(fresh, Reply::Fresh(_)));
    }
    Ok(tx.commit()?)
}

/// Through its own table: each answer through the layer is a commit.
fn fill_layer(path: &Path, from: usize, to: usize) -> Result<(), Error> {
    let door = Door::open(path)?;
    if from == 0 {
        door.post("first")?;
    }
    drop(door);
    let mut db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    let tx = db.transaction_with_behavior(Immediate)?;
    for i in from..to {
        tx.prepare_cached(
            "INSERT INTO calls (caller, key, method, path, payload, state, attempts, owner, \
             until_ms, status, headers, body, at_ms) \
             SELECT caller, ?1, method, path, payload, state, attempts, owner, until_ms, status, \
             headers, body, at_ms FROM calls WHERE key='first'",
        )?
        .execute([format!("kept-{i}")])?;
    }
    Ok(tx.commit()?)
}

/// A copy of a prepared file, which is gone with the folder.
fn copy(kind: &str, n: usize) -> Result<(TempDir, PathBuf), Error> {
    let prepared = std::env::var(FILES).map_err(|_| "no files were prepared")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("copy.db");
    std::fs::copy(Path::new(&prepared).join(format!("{kind}-{n}.db")), &path)?;
    Ok((folder, path))
}

/// Where the prepared files are.
pub const FILES: &str = "SEAWALL_GROWTH_FILES";
