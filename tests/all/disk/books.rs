//! The participants: three actions that keep their keys and effects in an SQLite file of their own,
//! so that what they did can be counted after any crash of the engine's process.
use rusqlite::{Connection, TransactionBehavior::Immediate};
use seawall::saga::ledger::{Effect, LedgerError, Reply, UndoReply};
use seawall::saga::{Failure, Ledger, StepContext};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

pub const STEPS: [&str; 3] = ["reserve", "charge", "ship"];

static LEDGERS: [Ledger; 3] = [
    Ledger::new(STEPS[0]),
    Ledger::new(STEPS[1]),
    Ledger::new(STEPS[2]),
];

/// What a saga is about, and by its number how it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub number: u32,
    /// Makes its rows larger.
    pub padding: String,
}

impl Order {
    /// The last step says no.
    pub fn is_refused(&self) -> bool {
        self.number % 2 == 1
    }

    /// The second step is done, and its answer lost.
    fn loses_answer(&self) -> bool {
        self.number % 4 >= 2
    }
}

pub struct Books(Mutex<Connection>);

impl Books {
    /// Opens them, or begins them. They outlive a process, and are not asked to outlive a power
    /// cut: so nothing in them is synced.
    pub fn open(folder: &Path) -> Books {
        let db = Connection::open(folder.join("books.db")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
             CREATE TABLE IF NOT EXISTS effect(number INTEGER, step INTEGER, n INTEGER);
             CREATE TABLE IF NOT EXISTS wrong(what TEXT);",
        )
        .unwrap();
        Ledger::create_tables(&db).unwrap();
        Books(Mutex::new(db))
    }

    /// P1: once for a key, whatever comes how often.
    pub fn run(&self, step: usize, cx: &StepContext, order: &Order) -> Result<u32, Failure> {
        let mut db = self.0.lock().unwrap();
        let mut tx = db.transaction_with_behavior(Immediate)?;
        let key = cx.idempotency_key();
        let reply = LEDGERS[step].apply(&mut tx, key, &order.number, |db| {
            if step == 2 && order.is_refused() {
                return Ok(Effect::Refused(order.number));
            }
            let effect = (order.number, step as i64);
            db.execute("INSERT INTO effect VALUES (?1, ?2, 1)", effect)?;
            Ok::<_, LedgerError>(Effect::Applied(order.number))
        })?;
        if matches!(reply, Reply::Mismatch | Reply::Undone) {
            let what = format!("{key} comes to {} as {reply:?}", STEPS[step]);
            tx.execute("INSERT INTO wrong VALUES (?1)", [what])?;
        }
        tx.commit()?;
        match reply {
            Reply::Fresh(Effect::Applied(_)) if step == 1 && order.loses_answer() => {
                Err(std::io::Error::other("the answer is lost"))?
            }
            Reply::Fresh(Effect::Applied(n)) | Reply::Replayed(Effect::Applied(n)) => Ok(n),
            other => Err(Failure::refused(format!("{other:?}"))),
        }
    }

    /// P2: once for a key, and remembered where there was nothing to undo.
    pub fn undo(&self, step: usize, cx: &StepContext, order: &Order) -> Result<(), Failure> {
        let mut db = self.0.lock().unwrap();
        let mut tx = db.transaction_with_behavior(Immediate)?;
        let key = cx.idempotency_key();
        let reply = LEDGERS[step].undo(&mut tx, key, cx.step_key(), |db| {
            let effect = (order.number, step as i64);
            db.execute("INSERT INTO effect VALUES (?1, ?2, -1)", effect)?;
            Ok::<_, LedgerError>(())
        })?;
        if reply == UndoReply::Mismatch {
            let what = format!("{key} undoes another key");
            tx.execute("INSERT INTO wrong VALUES (?1)", [what])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// What stands, by order and step: 1 is applied once.
    pub fn net(&self) -> BTreeMap<u32, [i64; 3]> {
        let db = self.0.lock().unwrap();
        let mut wrong = db.prepare("SELECT what FROM wrong").unwrap();
        let wrong = wrong.query_map([], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(wrong.map(Result::unwrap).collect::<Vec<_>>(), [""; 0]);
        let sql = "SELECT number, step, sum(n) FROM effect GROUP BY number, step";
        let mut sums = db.prepare(sql).unwrap();
        let mut rows = sums.query([]).unwrap();
        let mut net: BTreeMap<u32, [i64; 3]> = BTreeMap::new();
        while let Some(row) = rows.next().unwrap() {
            let step: i64 = row.get(1).unwrap();
            net.entry(row.get(0).unwrap()).or_default()[step as usize] = row.get(2).unwrap();
        }
        net
    }
}
