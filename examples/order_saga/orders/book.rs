use crate::service::db::Db;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        key      TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        sku      TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        cents    INTEGER NOT NULL DEFAULT 0,
        status   TEXT NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'confirmed', 'cancelled', 'stuck')),
        code     INTEGER NOT NULL DEFAULT 409,
        reason   TEXT NOT NULL DEFAULT 'in progress'
    ) STRICT;
    CREATE INDEX IF NOT EXISTS unfinished ON orders (status)
        WHERE status IN ('pending', 'stuck');
";

/// An order, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Order {
    pub key: String,
    pub customer: String,
    pub sku: String,
    pub quantity: u32,
    /// 0 until the price is known.
    pub cents: i64,
    /// `pending`, `confirmed`, `cancelled` or `stuck`.
    pub status: String,
    /// The HTTP status that answers for it.
    #[serde(skip)]
    pub code: u16,
    /// Why it is where it is.
    pub reason: String,
}

impl Order {
    pub fn new(key: String, customer: String, sku: String, quantity: u32) -> Order {
        Order {
            key,
            customer,
            sku,
            quantity,
            cents: 0,
            status: "pending".to_owned(),
            code: 409,
            reason: "in progress".to_owned(),
        }
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

    /// A repeated key has to come with the same order.
    pub fn is_same(&self, other: &Order) -> bool {
        (&self.customer, &self.sku, self.quantity) == (&other.customer, &other.sku, other.quantity)
    }
}

/// The table of orders.
#[derive(Clone)]
pub struct Book(Db);

impl Book {
    pub fn new(db: Db) -> Book {
        Book(db)
    }

    /// Writes down a new order; `Some` is one that has been there before under this key.
    pub async fn create(&self, order: &Order) -> anyhow::Result<Option<Order>> {
        let order = order.clone();
        self.0
            .write(move |tx| {
                let Order {
                    key,
                    customer,
                    sku,
                    quantity,
                    ..
                } = &order;
                let sql = "INSERT INTO orders (key, customer, sku, quantity)
                           VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
                let new = tx
                    .prepare_cached(sql)?
                    .execute(params![key, customer, sku, quantity])?;
                if new == 1 {
                    return Ok(None);
                }
                tx.query_row("SELECT * FROM orders WHERE key = ?1", [key], Order::read)
                    .map(Some)
            })
            .await
    }

    /// The last step forward.
    pub async fn confirm(&self, key: &str, cents: i64) -> anyhow::Result<()> {
        let sql = "UPDATE orders SET status = 'confirmed', code = 201, reason = '', cents = ?2
                   WHERE key = ?1 AND status = 'pending'";
        let key = key.to_owned();
        self.0
            .write(move |tx| {
                tx.prepare_cached(sql)?
                    .execute(params![key, cents])
                    .map(drop)
            })
            .await
    }

    /// The last step back.
    pub async fn cancel(&self, key: &str) -> anyhow::Result<()> {
        let sql = "UPDATE orders SET status = 'cancelled' WHERE key = ?1";
        let key = key.to_owned();
        self.0
            .write(move |tx| tx.prepare_cached(sql)?.execute([key]).map(drop))
            .await
    }

    /// How it ended, when it was not confirmed.
    pub async fn close(
        &self,
        key: &str,
        status: &'static str,
        code: u16,
        reason: String,
    ) -> anyhow::Result<()> {
        let sql = "UPDATE orders SET status = ?2, code = ?3, reason = ?4 WHERE key = ?1";
        let key = key.to_owned();
        self.0
            .write(move |tx| {
                tx.prepare_cached(sql)?
                    .execute(params![key, status, code, reason])
                    .map(drop)
            })
            .await
    }

    pub async fn find(&self, key: String) -> anyhow::Result<Option<Order>> {
        self.0
            .read(move |c| {
                c.prepare_cached("SELECT * FROM orders WHERE key = ?1")?
                    .query_row([key], Order::read)
                    .optional()
            })
            .await
    }

    /// Orders that a process which is no more has left half done.
    pub async fn unfinished(&self) -> anyhow::Result<Vec<Order>> {
        let sql = "SELECT * FROM orders WHERE status IN ('pending', 'stuck') ORDER BY key";
        self.0
            .read(move |c| c.prepare(sql)?.query_map([], Order::read)?.collect())
            .await
    }
}
