//! The program that is killed: an engine on a file, and participants beside it. It tells every
//! promise on its output as it is given.
use super::books::{Books, Order, STEPS};
use super::told::{Fact, Tell, Told};
use seawall::retry::Backoff;
use seawall::saga::{
    Abort, Engine, Flow, Outcome, SagaError, SagaRef, SqliteStore, StepContext, StepRetry,
};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// Where it is set, this binary is the program, and this says what to do.
pub const TASK: &str = "SEAWALL_DISK_TASK";

/// What the program is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub folder: PathBuf,
    /// Sagas, by number from 0. Those that exist go on.
    pub sagas: u32,
    /// So many are started side by side.
    pub width: u32,
    /// Bytes in the input of each.
    pub padding: usize,
    /// So often is the store opened, and closed again.
    pub times: u32,
    /// No engine: rows of one commit each, with this `synchronous`.
    pub raw: Option<String>,
}

impl Task {
    pub fn of(folder: &Path, sagas: u32) -> Task {
        Task {
            folder: folder.to_owned(),
            sagas,
            width: 3,
            padding: 0,
            times: 1,
            raw: None,
        }
    }
}

pub fn journal(folder: &Path) -> PathBuf {
    folder.join("sagas.db")
}

/// The engine with its one saga, of three steps.
pub async fn engine(folder: &Path, store: Told<SqliteStore>) -> (Engine<Books>, Place) {
    let mut b = Engine::builder(Books::open(folder), store);
    // It is killed so often that no saga can be suspected for it.
    b.crash_limit(1_000_000);
    let retry = || {
        StepRetry::attempts(1_000)
            .undo_attempts(1_000)
            .backoff(Backoff::constant(Duration::from_millis(1)))
    };
    let steps = [0, 1, 2].map(|step| {
        let run = move |books: Arc<Books>, cx: StepContext, order: Order| async move {
            books.run(step, &cx, &order)
        };
        let undo = move |books: Arc<Books>, cx: StepContext, order: Order, _: Outcome<u32>| async move {
            books.undo(step, &cx, &order)
        };
        b.step(STEPS[step], run, undo).retry(retry()).register()
    });
    let place = b.saga("place_order", move |saga: Flow, order: Order| async move {
        let bare = Order {
            padding: String::new(),
            ..order
        };
        let mut sum = 0;
        for step in steps {
            sum += saga.call(step, bare.clone()).await?;
        }
        Ok::<_, Abort>(sum)
    });
    (b.build().await.unwrap(), place)
}

pub type Place = SagaRef<Order, u32>;

/// What is there to do once.
pub async fn run(task: &Task, tell: Tell) {
    tell(Fact::Begun);
    let store = match SqliteStore::open(journal(&task.folder)).await {
        Ok(store) => store,
        Err(e) => return tell(Fact::Refused(e.to_string())),
    };
    let told = Told {
        store: store.clone(),
        tell: tell.clone(),
    };
    let (engine, place) = engine(&task.folder, told).await;
    let mut lanes = JoinSet::new();
    for lane in 0..task.width {
        let (engine, tell, task) = (engine.clone(), tell.clone(), task.clone());
        lanes.spawn(async move {
            for number in (lane..task.sagas).step_by(task.width as usize) {
                let padding = "x".repeat(task.padding);
                let fact = one(&engine, place, Order { number, padding }, &tell).await;
                let failed = matches!(fact, Fact::Failed { .. });
                tell(fact);
                if failed {
                    return true;
                }
            }
            false
        });
    }
    if lanes.join_all().await.contains(&true) {
        tell(Fact::Closed(engine.closed().await.to_string()));
        // Nothing is promised any more.
        let order = Order {
            number: u32::MAX,
            padding: String::new(),
        };
        tell(one(&engine, place, order, &tell).await);
    }
    drop(engine);
    store.close().await;
}

async fn one(engine: &Engine<Books>, place: Place, order: Order, tell: &Tell) -> Fact {
    let number = order.number;
    let mut handle = match engine.start(place, number.to_string(), order).await {
        Ok(handle) => handle,
        Err(e) => {
            let why = e.to_string();
            return Fact::Failed { number, why };
        }
    };
    let id = handle.id().0;
    tell(Fact::Started { number, id });
    match handle.outcome().await {
        Ok(out) => Fact::Ended {
            number,
            out: Some(out),
        },
        Err(SagaError::Compensated { .. }) => Fact::Ended { number, out: None },
        Err(e) => Fact::Failed {
            number,
            why: e.to_string(),
        },
    }
}

/// No engine: a row in each commit, with the pragmas of the store but one.
fn raw(task: &Task, synchronous: &str, tell: &Tell) {
    let db = rusqlite::Connection::open(journal(&task.folder)).unwrap();
    db.execute_batch(&format!(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};
         CREATE TABLE raw(n INTEGER PRIMARY KEY); PRAGMA wal_checkpoint(TRUNCATE);"
    ))
    .unwrap();
    std::fs::File::open(&task.folder)
        .unwrap()
        .sync_all()
        .unwrap();
    for n in 0..task.sagas {
        db.execute("INSERT INTO raw VALUES (?1)", [n]).unwrap();
        tell(Fact::Raw(n.into()));
    }
}

/// Facts on the output, a line each, written before it returns.
fn lines() -> Tell {
    Arc::new(|fact| {
        let mut line = serde_json::to_vec(&fact).unwrap();
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        out.write_all(&line).and_then(|()| out.flush()).unwrap();
    })
}

/// As a program of its own, where [`TASK`] is set; else in this process, with no fault at all.
#[test]
fn without_faults_every_saga_ends_and_the_books_agree() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Ok(task) = std::env::var(TASK) {
        let task: Task = serde_json::from_str(&task).unwrap();
        println!();
        let tell = lines();
        match &task.raw {
            Some(synchronous) => raw(&task, synchronous, &tell),
            None => runtime.block_on(async {
                for time in 1..=task.times {
                    let sagas = task.sagas * time / task.times;
                    run(
                        &Task {
                            sagas,
                            ..task.clone()
                        },
                        tell.clone(),
                    )
                    .await;
                }
            }),
        }
        return tell(Fact::Over);
    }
    let folder = tempfile::tempdir().unwrap();
    let facts: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let told = facts.clone();
    let tell: Tell = Arc::new(move |fact| told.lock().unwrap().push(fact));
    runtime.block_on(async {
        run(&Task::of(folder.path(), 8), tell).await;
        let facts = std::mem::take(&mut *facts.lock().unwrap());
        let ended = facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Ended { .. }));
        assert_eq!(ended.count(), 8);
        super::check::all_is_there(folder.path(), &facts).await;
        super::check::all_ends(folder.path(), &facts).await;
    });
}
