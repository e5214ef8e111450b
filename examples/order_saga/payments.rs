//! Who pays: the second participant of the order saga.
use crate::name::Name;
use crate::service::{
    App, Surroundings,
    db::Db,
    keys::{Answer, Key, Undo},
    problem::{Contents, Problem},
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing,
};
use rusqlite::{Connection, OptionalExtension, params};
use seawall::saga::Ledger;
use seawall::saga::ledger::{Effect, LedgerError};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Whose card it is, and the most it allows at once, in cents.
const CARDS: [(&str, i64); 5] = [
    ("ada", 100_000_000),
    ("bela", 100_000_000),
    ("chen", 100_000_000),
    ("dora", 100_000_000),
    ("emil", 2_000),
];

static CHARGE: Ledger = Ledger::new("charge");

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS cards (
        customer    TEXT PRIMARY KEY,
        limit_cents INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS charges (
        step           TEXT PRIMARY KEY,
        order_key      TEXT NOT NULL,
        customer       TEXT NOT NULL,
        cents          INTEGER NOT NULL CHECK (cents > 0),
        refunded_cents INTEGER NOT NULL DEFAULT 0 CHECK (refunded_cents IN (0, cents))
    ) STRICT;
";

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Payments, SCHEMA)?;
    db.transact(|tx| {
        Ledger::create_tables(tx)?;
        for card in CARDS {
            tx.execute("INSERT OR IGNORE INTO cards VALUES (?1, ?2)", card)?;
        }
        Ok::<_, LedgerError>(())
    })
    .await?;
    let router = Router::new()
        .route("/charges", routing::post(charge).get(find))
        .route("/charges/undo", routing::post(refund))
        .with_state(db.clone());
    Ok(App::new(router, db))
}

/// What `charge` is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Charge {
    pub order: String,
    pub customer: String,
    pub cents: i64,
}

/// What a charge, and the question for it, are answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Charged {
    pub charged_cents: i64,
}

async fn charge(
    State(db): State<Db>,
    Key(key): Key,
    Contents(asked): Contents<Charge>,
) -> Result<Answer, Problem> {
    let reply = db.transact(move |tx| CHARGE.apply(tx, &key, &asked, |db| debit(db, &key, &asked)));
    Ok(reply.await?.into())
}

fn debit(db: &Connection, step: &str, asked: &Charge) -> Result<Effect<Answer>, LedgerError> {
    let Charge {
        order,
        customer,
        cents,
    } = asked;
    if *cents < 1 {
        let why = "a charge is of one cent or more";
        return Ok(Answer::refused(StatusCode::BAD_REQUEST, why));
    }
    let limit: Option<i64> = db
        .prepare_cached("SELECT limit_cents FROM cards WHERE customer = ?1")?
        .query_row([customer], |row| row.get(0))
        .optional()?;
    let why = match limit {
        None => format!("{customer} has no card"),
        Some(limit) if *cents > limit => {
            format!(
                "card declined: {} is above its limit of {}",
                eur(*cents),
                eur(limit)
            )
        }
        Some(_) => {
            db.prepare_cached("INSERT INTO charges VALUES (?1, ?2, ?3, ?4, 0)")?
                .execute(params![step, order, customer, cents])?;
            let charged_cents = *cents;
            return Ok(Answer::done(json!(Charged { charged_cents })));
        }
    };
    Ok(Answer::refused(StatusCode::PAYMENT_REQUIRED, why))
}

/// Which charge is asked for: the key of its step.
#[derive(Deserialize)]
struct Wanted {
    step: String,
}

/// A charge that stands.
async fn find(
    State(db): State<Db>,
    Query(Wanted { step }): Query<Wanted>,
) -> Result<Json<Charged>, Problem> {
    let sql = "SELECT cents FROM charges WHERE step = ?1 AND refunded_cents = 0";
    let found = db.read(move |c| {
        c.prepare_cached(sql)?
            .query_row([step], |row| row.get(0))
            .optional()
    });
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no such charge");
    let charged_cents = found.await?.ok_or_else(missing)?;
    Ok(Json(Charged { charged_cents }))
}

async fn refund(State(db): State<Db>, undo: Undo) -> Result<Answer, Problem> {
    let Undo { key, step } = undo;
    let reply = db.transact(move |tx| CHARGE.undo(tx, &key, &step, |db| credit(db, &step)));
    Ok(reply.await?.into())
}

fn credit(db: &Connection, step: &str) -> Result<(), LedgerError> {
    db.prepare_cached("UPDATE charges SET refunded_cents = cents WHERE step = ?1")?
        .execute([step])?;
    Ok(())
}

/// Cents as people write them.
pub fn eur(cents: i64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}
