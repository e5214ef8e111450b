//! What there is, and for whom it is kept: the first participant of the order saga.
use crate::name::Name;
use crate::service::{
    App, Surroundings,
    db::Db,
    keys::{Answer, Key, Undo},
    problem::{Contents, Problem},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use seawall::saga::Ledger;
use seawall::saga::ledger::{Effect, LedgerError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Sku, price in cents, and how many there are when the shop opens.
pub const PRODUCTS: [(&str, i64, i64); 5] = [
    ("chair", 11_900, 400),
    ("kettle", 2_990, 400),
    ("lamp", 4_900, 400),
    ("teapot", 1_850, 400),
    ("telescope", 89_900, 12),
];

static RESERVE: Ledger = Ledger::new("reserve");

/// For every product: `received = stock + what is reserved and not released`.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS products (
        sku         TEXT PRIMARY KEY,
        price_cents INTEGER NOT NULL,
        stock       INTEGER NOT NULL CHECK (stock >= 0),
        received    INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS reservations (
        step     TEXT PRIMARY KEY,
        order_key TEXT NOT NULL,
        sku      TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1))
    ) STRICT;
";

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Inventory, SCHEMA)?;
    db.transact(|tx| {
        Ledger::create_tables(tx)?;
        PRODUCTS
            .into_iter()
            .try_for_each(|product| deliver(tx, product))?;
        Ok::<_, LedgerError>(())
    })
    .await?;
    let router = Router::new()
        .route("/products", routing::get(all))
        .route("/products/{sku}", routing::get(one))
        .route("/reservations", routing::post(reserve))
        .route("/reservations/undo", routing::post(release))
        .with_state(db.clone());
    Ok(App::new(router, db))
}

/// Every morning a van brings what was sold.
fn deliver(tx: &Transaction<'_>, (sku, price, full): (&str, i64, i64)) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO products VALUES (?1, ?2, 0, 0)";
    tx.execute(sql, params![sku, price])?;
    let sql = "UPDATE products SET received = received + (?2 - stock), stock = ?2
               WHERE sku = ?1 AND stock < ?2";
    tx.execute(sql, params![sku, full])?;
    Ok(())
}

/// What `reserve` is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Reserve {
    pub order: String,
    pub sku: String,
    pub quantity: u32,
}

/// What `reserve` answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Reserved {
    pub price_cents: i64,
}

async fn reserve(
    State(db): State<Db>,
    Key(key): Key,
    Contents(asked): Contents<Reserve>,
) -> Result<Answer, Problem> {
    let reply = db.transact(move |tx| RESERVE.apply(tx, &key, &asked, |db| take(db, &key, &asked)));
    Ok(reply.await?.into())
}

fn take(db: &Connection, step: &str, asked: &Reserve) -> Result<Effect<Answer>, LedgerError> {
    let Reserve {
        order,
        sku,
        quantity,
    } = asked;
    let product: Option<(i64, i64)> = db
        .prepare_cached("SELECT stock, price_cents FROM products WHERE sku = ?1")?
        .query_row([sku], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((stock, price_cents)) = product else {
        let why = format!("there is no product `{sku}`");
        return Ok(Answer::refused(StatusCode::NOT_FOUND, why));
    };
    if *quantity == 0 {
        return Ok(Answer::refused(
            StatusCode::BAD_REQUEST,
            "none of it is no order",
        ));
    }
    if i64::from(*quantity) > stock {
        let why = format!("out of stock: {quantity} x {sku} wanted, {stock} left");
        return Ok(Answer::refused(StatusCode::CONFLICT, why));
    }
    db.prepare_cached("UPDATE products SET stock = stock - ?2 WHERE sku = ?1")?
        .execute(params![sku, quantity])?;
    db.prepare_cached("INSERT INTO reservations VALUES (?1, ?2, ?3, ?4, 0)")?
        .execute(params![step, order, sku, quantity])?;
    Ok(Answer::done(json!(Reserved { price_cents })))
}

async fn release(State(db): State<Db>, undo: Undo) -> Result<Answer, Problem> {
    let Undo { key, step } = undo;
    let reply = db.transact(move |tx| RESERVE.undo(tx, &key, &step, |db| put_back(db, &step)));
    Ok(reply.await?.into())
}

fn put_back(db: &Connection, step: &str) -> Result<(), LedgerError> {
    let sql = "UPDATE products SET stock = stock + r.quantity
               FROM reservations AS r
               WHERE r.step = ?1 AND r.released = 0 AND r.sku = products.sku";
    db.prepare_cached(sql)?.execute([step])?;
    db.prepare_cached("UPDATE reservations SET released = 1 WHERE step = ?1")?
        .execute([step])?;
    Ok(())
}

async fn all(State(db): State<Db>) -> Result<Json<Vec<Value>>, Problem> {
    let products = db
        .read(|c| {
            let sql = "SELECT sku, price_cents, stock FROM products ORDER BY sku";
            c.prepare_cached(sql)?.query_map([], product)?.collect()
        })
        .await?;
    Ok(Json(products))
}

async fn one(State(db): State<Db>, Path(sku): Path<String>) -> Result<Json<Value>, Problem> {
    let wanted = sku.clone();
    let found = db
        .read(move |c| {
            c.prepare_cached("SELECT sku, price_cents, stock FROM products WHERE sku = ?1")?
                .query_row([wanted], product)
                .optional()
        })
        .await?;
    let missing = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no product `{sku}`"),
        )
    };
    found.map(Json).ok_or_else(missing)
}

fn product(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (sku, price_cents, stock): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(json!({ "sku": sku, "price_cents": price_cents, "stock": stock }))
}
