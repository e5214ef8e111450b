//! The commands of the orders service, and the table `orders`, from which lists are read.
//!
//! That table only repeats what the log says. It is written in the transaction of the event, so it is
//! never behind; and it can be dropped at any time and made anew.
use super::{
    Db,
    log::{self, LogError, Versioned},
    order::{Order, OrderEvent},
};
use anyhow::{Context as _, bail};
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// Whoever changes the table raises its number: the next start makes it anew.
pub const READ_MODEL: u32 = 1;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (
        key      TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        sku      TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        cents    INTEGER NOT NULL,
        status   TEXT NOT NULL
                 CHECK (status IN ('pending', 'confirmed', 'cancelled', 'stuck')),
        code     INTEGER NOT NULL,
        reason   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX unfinished ON orders (status)
        WHERE status IN ('pending', 'stuck');
";

/// The orders of the shop. Clones share them.
#[derive(Clone)]
pub struct Book {
    db: Db,
    snapshot_every: u32,
}

impl Book {
    /// Opens a database that has [`log::SCHEMA`], and makes the table `orders` where it is missing or
    /// of another release. Every `snapshot_every`th event of an order leaves a snapshot; with 0 there
    /// are none.
    pub async fn open(db: Db, snapshot_every: u32) -> anyhow::Result<Book> {
        let fits = db.transact(|tx| prepare(tx)).await?;
        let book = Book { db, snapshot_every };
        if !fits {
            book.rebuild().await?;
        }
        Ok(book)
    }

    /// Makes everything that is derived anew, from the events alone. One event that cannot be read
    /// leaves all as it was: a list with an order missing would pass for the whole.
    pub async fn rebuild(&self) -> anyhow::Result<()> {
        let rebuilt = self.db.transact(|tx| {
            tx.execute_batch(SCHEMA)?;
            tx.execute("DELETE FROM order_snapshots", [])?;
            log::replay_all(tx, |order| put(tx, &order))?;
            let sql = "INSERT OR REPLACE INTO read_models VALUES ('orders', ?1)";
            tx.execute(sql, [READ_MODEL])?;
            Ok::<_, LogError>(())
        });
        rebuilt.await.context("cannot rebuild the table `orders`")
    }

    /// Writes down a new order; `Some` is one that has been there before under this key.
    pub async fn create(&self, order: &Order) -> anyhow::Result<Option<Order>> {
        let new = order.clone();
        let found = self
            .command(&order.key, move |known| known.place(&new))
            .await?;
        Ok(found.is_placed().then_some(found))
    }

    /// The last step forward.
    pub async fn confirm(&self, key: &str, cents: i64) -> anyhow::Result<()> {
        self.command(key, move |order| order.confirm(cents))
            .await
            .map(drop)
    }

    /// The last step back.
    pub async fn cancel(&self, key: &str) -> anyhow::Result<()> {
        self.command(key, Order::cancel).await.map(drop)
    }

    /// How it ended, when it was not confirmed: `cancelled` or `stuck`.
    pub async fn close(
        &self,
        key: &str,
        status: &'static str,
        code: u16,
        reason: String,
    ) -> anyhow::Result<()> {
        let end = match status {
            "cancelled" => OrderEvent::Cancelled { code, reason },
            "stuck" => OrderEvent::Stuck { code, reason },
            _ => bail!("order `{key}` cannot end as `{status}`: `cancelled` or `stuck` is meant"),
        };
        self.command(key, move |order| order.close(&end))
            .await
            .map(drop)
    }

    /// The order as its events tell it.
    pub async fn find(&self, key: String) -> anyhow::Result<Option<Order>> {
        let order = self.at(&key).await?.order;
        Ok(order.is_placed().then_some(order))
    }

    /// Orders that a process which is no more has left half done.
    pub async fn unfinished(&self) -> anyhow::Result<Vec<Order>> {
        let sql = "SELECT * FROM orders WHERE status IN ('pending', 'stuck') ORDER BY key";
        self.db
            .read(move |c| c.prepare(sql)?.query_map([], read)?.collect())
            .await
    }

    /// Appends the event that `decide` gives for the order as it stands, and gives the order as it
    /// stood before.
    ///
    /// Nothing is locked while it decides. If another event comes in between, it decides again: right
    /// for every command here, since all of them say what to do in whatever state they find.
    ///
    /// # Errors
    ///
    /// A [`LogError`] where the log is to blame: `downcast_ref` gives it. A conflict is one only after
    /// [`TRIES`] of them in a row.
    ///
    /// # Cancel safety
    ///
    /// One that is dropped has either appended its event or not; called again, it does what is left.
    pub async fn command(
        &self,
        key: &str,
        decide: impl Fn(&Order) -> Option<OrderEvent> + Send,
    ) -> anyhow::Result<Order> {
        let mut tries = TRIES;
        loop {
            let found = self.at(key).await?;
            let Some(event) = decide(&found.order) else {
                return Ok(found.order);
            };
            tries -= 1;
            match self.append(found.clone(), event).await {
                Err(error) if is_conflict(&error) && tries > 0 => {}
                done => return done.map(|()| found.order),
            }
        }
    }

    async fn at(&self, key: &str) -> anyhow::Result<Versioned> {
        let key = key.to_owned();
        Ok(self.db.read(move |c| Ok(log::load(c, &key))).await??)
    }

    async fn append(&self, at: Versioned, event: OrderEvent) -> anyhow::Result<()> {
        let every = self.snapshot_every;
        self.db
            .transact(move |tx| put(tx, &log::append(tx, at, &event, every)?.order))
            .await
    }
}

/// Each conflict means that another command has got on, and an order ends after a few.
pub const TRIES: u32 = 10;

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LogError::Conflict { .. }))
}

/// `true` if the read model is there, and of this release.
fn prepare(tx: &Transaction<'_>) -> anyhow::Result<bool> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS read_models (
            name    TEXT PRIMARY KEY,
            version INTEGER NOT NULL
        ) STRICT;",
    )?;
    let there = tx.table_exists(None, "orders")?;
    let sql = "SELECT version FROM read_models WHERE name = 'orders'";
    let version: Option<u32> = tx.query_row(sql, [], |row| row.get(0)).optional()?;
    let any = |table| tx.prepare(&format!("SELECT 1 FROM {table}"))?.exists([]);
    if version.is_none() && there && any("orders")? && !any("order_events")? {
        bail!(
            "this folder is of a release whose table `orders` was the truth, with no events to make \
             it from: use that release, or another folder with --data"
        );
    }
    Ok(there && version == Some(READ_MODEL))
}

/// The order's row in the read model.
fn put(tx: &Transaction<'_>, order: &Order) -> Result<(), LogError> {
    let Order {
        key,
        customer,
        sku,
        quantity,
        cents,
        status,
        code,
        reason,
    } = order;
    let sql = "INSERT OR REPLACE INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.prepare_cached(sql)?.execute(params![
        key, customer, sku, quantity, cents, status, code, reason
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        key: row.get(0)?,
        customer: row.get(1)?,
        sku: row.get(2)?,
        quantity: row.get(3)?,
        cents: row.get(4)?,
        status: row.get(5)?,
        code: row.get(6)?,
        reason: row.get(7)?,
    })
}
