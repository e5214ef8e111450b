//! Who may order.
use crate::name::Name;
use crate::service::{App, Surroundings, db::Db, problem::Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing,
};
use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};

/// The customers: id, name, mail. `payments` knows their cards.
pub const CUSTOMERS: [(&str, &str, &str); 5] = [
    ("ada", "Ada Moreau", "ada@example.org"),
    ("bela", "Béla Kiss", "bela@example.org"),
    ("chen", "Chen Li", "chen@example.org"),
    ("dora", "Dóra Nagy", "dora@example.org"),
    ("emil", "Emil Sand", "emil@example.org"),
];

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (
        id   TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        mail TEXT NOT NULL
    ) STRICT;
";

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Users, SCHEMA)?;
    db.write(|tx| {
        for customer in CUSTOMERS {
            tx.execute("INSERT OR IGNORE INTO users VALUES (?1, ?2, ?3)", customer)?;
        }
        Ok(())
    })
    .await?;
    let router = Router::new()
        .route("/users", routing::get(all))
        .route("/users/{id}", routing::get(one))
        .with_state(db.clone());
    Ok(App::new(router, db))
}

async fn all(State(db): State<Db>) -> Result<Json<Vec<Value>>, Problem> {
    let users = db
        .read(|c| {
            let mut select = c.prepare_cached("SELECT id, name, mail FROM users ORDER BY id")?;
            select.query_map([], user)?.collect()
        })
        .await?;
    Ok(Json(users))
}

async fn one(State(db): State<Db>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let wanted = id.clone();
    let found = db
        .read(move |c| {
            c.prepare_cached("SELECT id, name, mail FROM users WHERE id = ?1")?
                .query_row([wanted], user)
                .optional()
        })
        .await?;
    found
        .map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no user `{id}`")))
}

fn user(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (id, name, mail): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(json!({ "id": id, "name": name, "mail": mail }))
}
