//! Tells customers. Nothing here is undone: a message that has been read stays read.
use crate::name::Name;
use crate::service::{
    App, Surroundings,
    db::Db,
    keys::{Answer, Key},
    problem::{Contents, Problem},
};
use axum::{Router, extract::State, routing};
use rusqlite::params;
use seawall::saga::Ledger;
use seawall::saga::ledger::LedgerError;
use serde::{Deserialize, Serialize};
use serde_json::json;

static SEND: Ledger = Ledger::new("send");

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        step      TEXT PRIMARY KEY,
        order_key TEXT NOT NULL,
        customer  TEXT NOT NULL,
        text      TEXT NOT NULL
    ) STRICT;
";

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Notifications, SCHEMA)?;
    db.transact(|tx| Ledger::create_tables(tx)).await?;
    let router = Router::new()
        .route("/messages", routing::post(send))
        .with_state(db.clone());
    Ok(App::new(router, db))
}

/// What `send` is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Message {
    pub order: String,
    pub customer: String,
    pub text: String,
}

async fn send(
    State(db): State<Db>,
    Key(key): Key,
    Contents(asked): Contents<Message>,
) -> Result<Answer, Problem> {
    let reply = db.transact(move |tx| {
        SEND.apply(tx, &key, &asked, |db| {
            let Message {
                order,
                customer,
                text,
            } = &asked;
            db.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![key, order, customer, text])?;
            Ok::<_, LedgerError>(Answer::done(json!({ "sent": true })))
        })
    });
    Ok(reply.await?.into())
}
