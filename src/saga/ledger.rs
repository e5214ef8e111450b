//! What makes a participant safe to call again.
//!
//! Seen keys and tombstones, in one transaction with the effect.
//!
//! A saga reaches a participant over a network that loses answers and delivers late. So it calls
//! again what may have been applied, and undoes what may never have arrived. Two promises make that
//! harmless, and every participant of a saga has to keep them:
//!
//! - **P1: a repeated key is the same call.** It takes effect once, and gets the same answer again.
//! - **P2: the undo of a key that was never seen is accepted and remembered.** Nothing is undone, and
//!   should the step arrive after its undo, it is turned away. Otherwise it would be applied when
//!   nobody is left to undo it.
//!
//! A [`Ledger`] keeps both for one action of a service, inside the caller's own
//! [`rusqlite::Transaction`]: effect and key become durable together, or neither does. With a memory
//! of its own it could, after a crash, forget what has been done or do again what it has forgotten.
//!
//! | what comes | key unknown | applied | refused | undone |
//! |---|---|---|---|---|
//! | [`apply`](Ledger::apply) | the effect: [`Fresh`](Reply::Fresh) | [`Replayed`](Reply::Replayed) | [`Replayed`](Reply::Replayed) | [`Undone`](Reply::Undone) |
//! | the same with another payload | – | [`Mismatch`](Reply::Mismatch) | [`Mismatch`](Reply::Mismatch) | [`Undone`](Reply::Undone) |
//! | [`undo`](Ledger::undo) | a tombstone | the effect, a tombstone | a tombstone | nothing |
//!
//! An undo has a key of its own, `<step's key>/undo`, under which it is the same call as well.
//!
//! Where the effect is not in this database (an e-mail, a call to somebody else), no transaction
//! spans both: hand the key on to whoever has the effect. Around a whole HTTP service, and with less
//! to promise, stands `saga::idempotency` (features `sqlite` and `http`).
//!
//! # Sources
//! P1: Helland, *Idempotence Is Not a Medical Condition* (ACM Queue 10(4), 2012). P2: the fence of
//! Seata's TCC mode, against what it calls dangling (<https://seata.apache.org/blog/seata-tcc-fence>).
//!
//! # Example
//! ```
//! use rusqlite::{Connection, TransactionBehavior::Immediate};
//! use seawall::saga::{Ledger, ledger::{Effect, LedgerError, Reply, UndoReply}};
//!
//! static RESERVE: Ledger = Ledger::new("reserve_stock");
//!
//! fn reserve(db: &mut Connection, key: &str, wanted: u32) -> Result<Reply<u32>, LedgerError> {
//!     let mut tx = db.transaction_with_behavior(Immediate)?;
//!     let reply = RESERVE.apply(&mut tx, key, &wanted, |db| {
//!         let left: u32 = db.query_row("SELECT left FROM stock", [], |row| row.get(0))?;
//!         if wanted > left {
//!             return Ok(Effect::Refused(left));
//!         }
//!         db.execute("UPDATE stock SET left = left - ?1", [wanted])?;
//!         db.execute("INSERT INTO reserved VALUES (?1, ?2)", (key, wanted))?;
//!         Ok::<_, LedgerError>(Effect::Applied(left - wanted))
//!     })?;
//!     tx.commit()?;
//!     Ok(reply)
//! }
//!
//! fn release(db: &mut Connection, key: &str, step: &str) -> Result<UndoReply, LedgerError> {
//!     let mut tx = db.transaction_with_behavior(Immediate)?;
//!     let reply = RESERVE.undo(&mut tx, key, step, |db| {
//!         let sql = "UPDATE stock SET left = left + (SELECT n FROM reserved WHERE step = ?1)";
//!         db.execute(sql, [step])?;
//!         db.execute("DELETE FROM reserved WHERE step = ?1", [step])?;
//!         Ok::<_, LedgerError>(())
//!     })?;
//!     tx.commit()?;
//!     Ok(reply)
//! }
//!
//! let mut db = Connection::open_in_memory()?;
//! db.execute_batch(
//!     "CREATE TABLE stock (left INTEGER); INSERT INTO stock VALUES (10);
//!      CREATE TABLE reserved (step TEXT, n INTEGER);",
//! )?;
//! Ledger::create_tables(&db)?;
//!
//! // P1: the answer was lost, the saga asks again.
//! assert_eq!(reserve(&mut db, "order-7/1", 3)?, Reply::Fresh(Effect::Applied(7)));
//! assert_eq!(reserve(&mut db, "order-7/1", 3)?, Reply::Replayed(Effect::Applied(7)));
//! assert_eq!(reserve(&mut db, "order-7/1", 4)?, Reply::Mismatch);
//! let undone = release(&mut db, "order-7/1/undo", "order-7/1")?;
//! assert_eq!(undone, UndoReply::Fresh { undone: true });
//!
//! // P2: the undo overtakes its step.
//! let undone = release(&mut db, "order-8/1/undo", "order-8/1")?;
//! assert_eq!(undone, UndoReply::Fresh { undone: false });
//! assert_eq!(reserve(&mut db, "order-8/1", 3)?, Reply::Undone);
//! let left: u32 = db.query_row("SELECT left FROM stock", [], |row| row.get(0))?;
//! assert_eq!(left, 10);
//! # Ok::<_, LedgerError>(())
//! ```
mod error;
mod key;
mod payload;
mod reply;
mod tables;

pub use error::LedgerError;
pub use key::KeyError;
pub use reply::{Effect, Reply, UndoReply};

#[cfg(feature = "http")]
pub(super) use key::check;
#[cfg(not(feature = "http"))]
use key::check;

use super::wall::{Wall, ms};
use rusqlite::{Connection, Transaction, ffi};
use serde::{Serialize, de::DeserializeOwned};
use std::time::SystemTime;
use tables::{Kept, State};

/// The seen keys and tombstones of one action, in tables of the caller's own database.
///
/// One ledger for each thing that a participant can be asked to do, and undoes as one:
/// `static RESERVE: Ledger = Ledger::new("reserve_stock")`. The same key under another action is
/// another call. Ledgers hold no data and no connection; all that they know is in the tables that
/// [`create_tables`](Ledger::create_tables) makes.
///
/// Every call wants a transaction that has been begun as `IMMEDIATE`. A deferred one loses against
/// another writer with `SQLITE_BUSY` in the middle, which does no harm and may be tried again.
#[derive(Clone, Debug)]
pub struct Ledger {
    action: &'static str,
    wall: Wall,
}

impl Ledger {
    /// The ledger of an action, of 1 to 255 bytes: `"reserve_stock"`.
    ///
    /// The name is kept with every key, so it must not change while keys of it are kept.
    pub const fn new(action: &'static str) -> Ledger {
        Ledger {
            action,
            wall: Wall::SYSTEM,
        }
    }

    /// Tells the time that is kept with each key, for tests of retention.
    ///
    /// Default: the system's wall clock.
    pub fn clock(mut self, tell: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall = Wall::of(tell);
        self
    }

    /// Makes the tables of all ledgers where they are missing.
    ///
    /// `seawall_ledger`, `seawall_ledger_version` and an index. To be called whenever the database
    /// has been opened.
    ///
    /// # Errors
    /// [`LedgerError::NewerSchema`] where a newer release has been at this file: nothing has been
    /// changed. [`LedgerError::Sqlite`] where SQLite cannot.
    pub fn create_tables(db: &Connection) -> Result<(), LedgerError> {
        tables::create(db)
    }

    /// Applies `effect` under `key`, once, and keeps its answer in the same transaction.
    ///
    /// The effect writes through the connection that it is given, which is `tx` itself. What a
    /// [refused](Effect::Refused) one has written is taken back, and the refusal is kept: the same
    /// call gets the same no, also when it would be a yes by then.
    ///
    /// Payloads are the same if their JSON is, byte by byte or else as values, so that the order of
    /// the fields does not count, and every digit of a whole number does. Give what the caller has
    /// sent. A struct to which a release adds a field would make a [`Mismatch`](Reply::Mismatch) of a
    /// call repeated across it.
    ///
    /// Nothing is durable before the caller commits `tx`; answer only then.
    ///
    /// # Errors
    /// Those of `effect`, and [`LedgerError`]. Whatever it is, `tx` is as it was before the call and
    /// the key is not kept: the call may come again.
    pub fn apply<A, E>(
        &self,
        tx: &mut Transaction<'_>,
        key: &str,
        payload: &(impl Serialize + ?Sized),
        effect: impl FnOnce(&Connection) -> Result<Effect<A>, E>,
    ) -> Result<Reply<A>, E>
    where
        A: Serialize + DeserializeOwned,
        E: From<LedgerError>,
    {
        let payload = self.before(tx, key, payload)?;
        let payload = match payload {
            Before::New(payload) => payload,
            Before::Seen(reply) => return Ok(reply),
        };
        let save = tx.savepoint().map_err(LedgerError::from)?;
        let effect = effect(&save)?;
        is_whole(&save)?;
        let (state, answer) = match &effect {
            Effect::Applied(answer) => (State::Applied, answer),
            Effect::Refused(answer) => (State::Refused, answer),
        };
        let answer = serde_json::to_string(answer).map_err(LedgerError::Encode)?;
        let kept = Kept {
            state,
            payload,
            answer,
        };
        if state == State::Applied {
            tables::keep(&save, self.action, key, &kept, self.wall.now_ms())?;
            save.commit().map_err(LedgerError::from)?;
        } else {
            save.finish().map_err(LedgerError::from)?;
            tables::keep(tx, self.action, key, &kept, self.wall.now_ms())?;
        }
        Ok(Reply::Fresh(effect))
    }

    /// Undoes the step whose key is `step` with `effect`, once, and shuts that key.
    ///
    /// The step itself, should it come now, is told [`Undone`](Reply::Undone).
    ///
    /// `key` is the undo's own, `<step>/undo`. The effect is called if the step was applied under
    /// this ledger's action, and never for one that was refused, undone or not seen. There is no
    /// refused undo: an effect that cannot be taken back answers an error, nothing is kept, and the
    /// saga comes again, at last with an operator.
    ///
    /// Nothing is durable before the caller commits `tx`; answer only then.
    ///
    /// # Errors
    /// Those of `effect`, and [`LedgerError`]. Whatever it is, `tx` is as it was before the call.
    pub fn undo<E: From<LedgerError>>(
        &self,
        tx: &mut Transaction<'_>,
        key: &str,
        step: &str,
        effect: impl FnOnce(&Connection) -> Result<(), E>,
    ) -> Result<UndoReply, E> {
        self.names(&[("key", key), ("step", step)])?;
        if key == step {
            return Ok(UndoReply::Mismatch);
        }
        if let Some(kept) = tables::find(tx, self.action, key)? {
            if kept.state != State::Undo || kept.payload != step {
                return Ok(UndoReply::Mismatch);
            }
            let undone = self.read(key, &kept.answer)?;
            return Ok(UndoReply::Replayed { undone });
        }
        let before = tables::find(tx, self.action, step)?;
        let state = before.as_ref().map(|kept| kept.state);
        if state == Some(State::Undo) {
            return Ok(UndoReply::Mismatch);
        }
        let undone = state == Some(State::Applied);
        let save = tx.savepoint().map_err(LedgerError::from)?;
        if undone {
            effect(&save)?;
            is_whole(&save)?;
        }
        let now_ms = self.wall.now_ms();
        let tombstone = Kept {
            state: State::Undone,
            payload: before.map(|kept| kept.payload).unwrap_or_default(),
            answer: String::from("null"),
        };
        tables::keep(&save, self.action, step, &tombstone, now_ms)?;
        let kept = Kept {
            state: State::Undo,
            payload: step.to_owned(),
            answer: undone.to_string(),
        };
        tables::keep(&save, self.action, key, &kept, now_ms)?;
        save.commit().map_err(LedgerError::from)?;
        Ok(UndoReply::Fresh { undone })
    }

    /// What a step's key has come to here, without doing anything.
    ///
    /// For the answer to a saga's [`verify`](crate::saga::StepBuilder::verify).
    /// [`Replayed`](Reply::Replayed) with the answer it was given, or [`Undone`](Reply::Undone); a
    /// key that an undo has used is a [`Mismatch`](Reply::Mismatch). `None`: it has not been here.
    ///
    /// What has not been here may still be on its way. So before a participant answers "not applied",
    /// it [undoes](Ledger::undo) the step, which shuts the key.
    ///
    /// ```
    /// use rusqlite::{Connection, TransactionBehavior::Immediate};
    /// use seawall::saga::ledger::{Effect, Ledger, LedgerError, Reply};
    ///
    /// static CHARGE: Ledger = Ledger::new("charge");
    /// let mut db = Connection::open_in_memory()?;
    /// Ledger::create_tables(&db)?;
    /// assert_eq!(CHARGE.seen::<u64>(&db, "order-7/2")?, None);
    /// let mut tx = db.transaction_with_behavior(Immediate)?;
    /// let answer = CHARGE.apply(&mut tx, "order-7/2", &990, |_| {
    ///     Ok::<_, LedgerError>(Effect::Applied(17_u64))
    /// })?;
    /// tx.commit()?;
    /// assert_eq!(answer, Reply::Fresh(Effect::Applied(17)));
    /// let seen = CHARGE.seen(&db, "order-7/2")?;
    /// assert_eq!(seen, Some(Reply::Replayed(Effect::Applied(17_u64))));
    /// # Ok::<_, LedgerError>(())
    /// ```
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn seen<A: DeserializeOwned>(
        &self,
        db: &Connection,
        key: &str,
    ) -> Result<Option<Reply<A>>, LedgerError> {
        self.names(&[("key", key)])?;
        let Some(kept) = tables::find(db, self.action, key)? else {
            return Ok(None);
        };
        self.reply(key, &kept).map(Some)
    }

    /// Forgets at most `limit` of the keys and tombstones that were kept before `time`.
    ///
    /// Of every action, the oldest first. Tells how many rows: fewer than `limit` means that none
    /// is left.
    ///
    /// A forgotten key is a new call, and the undo of a forgotten step undoes nothing. Keep them longer than any saga may take, the wait for an
    /// operator included: a month is cheap. A few hundred at a time, in a transaction each, do not
    /// keep writers waiting.
    ///
    /// # Errors
    /// [`LedgerError::Sqlite`]; nothing has been forgotten then.
    pub fn forget_before(
        db: &Connection,
        time: SystemTime,
        limit: usize,
    ) -> Result<usize, LedgerError> {
        tables::forget(db, ms(time), limit)
    }

    /// What is known of a step's key before its effect.
    fn before<A: DeserializeOwned>(
        &self,
        tx: &Transaction<'_>,
        key: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Before<A>, LedgerError> {
        self.names(&[("key", key)])?;
        let payload = serde_json::to_string(payload).map_err(LedgerError::Encode)?;
        let Some(kept) = tables::find(tx, self.action, key)? else {
            return Ok(Before::New(payload));
        };
        let other = match kept.state {
            State::Applied | State::Refused => !payload::same(&kept.payload, &payload),
            State::Undone | State::Undo => false,
        };
        Ok(Before::Seen(match other {
            true => Reply::Mismatch,
            false => self.reply(key, &kept)?,
        }))
    }

    fn reply<A: DeserializeOwned>(&self, key: &str, kept: &Kept) -> Result<Reply<A>, LedgerError> {
        Ok(match kept.state {
            State::Undone => Reply::Undone,
            State::Undo => Reply::Mismatch,
            State::Applied => Reply::Replayed(Effect::Applied(self.read(key, &kept.answer)?)),
            State::Refused => Reply::Replayed(Effect::Refused(self.read(key, &kept.answer)?)),
        })
    }

    fn names(&self, given: &[(&'static str, &str)]) -> Result<(), LedgerError> {
        check("action", self.action)?;
        for (field, value) in given {
            check(field, value)?;
        }
        Ok(())
    }

    fn read<A: DeserializeOwned>(&self, key: &str, answer: &str) -> Result<A, LedgerError> {
        serde_json::from_str(answer).map_err(|source| LedgerError::Unreadable {
            action: self.action,
            key: key.to_owned(),
            what: "answer",
            source: Some(source),
        })
    }
}

enum Before<A> {
    /// Never seen, with the payload as it will be kept.
    New(String),
    Seen(Reply<A>),
}

/// SQLite ends a transaction by itself after some errors (a full disk, an interrupt). Where the effect has
/// passed over one, what would be written now would stand alone.
fn is_whole(db: &Connection) -> Result<(), LedgerError> {
    if !db.is_autocommit() {
        return Ok(());
    }
    let why = "the effect has ended its transaction, or gone on after an error that did";
    let code = ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK);
    Err(rusqlite::Error::SqliteFailure(code, Some(why.to_owned())).into())
}
