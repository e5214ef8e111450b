//! Where the person who was paged stands. Not for those outside: the gateway has no way here.
use super::Desk;
use crate::service::problem::{Contents, Problem};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing,
};
use seawall::saga::{
    SagaId,
    operator::{Find, Refused},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/sagas/stuck", routing::get(stuck))
        .route("/sagas/{id}", routing::get(show))
        .route("/sagas/{id}/retry", routing::post(retry))
        .route("/sagas/{id}/skip", routing::post(skip))
}

/// Those that wait for a person, the oldest first.
async fn stuck(State(desk): State<Arc<Desk>>) -> Result<Json<Value>, Problem> {
    let engine = &desk.sagas.engine;
    let page = engine.operator("reader").list(Find::stuck()).await;
    let all = engine.counts().await.map_err(refused)?;
    let sagas: Vec<_> = page.map_err(refused)?.sagas;
    let sagas: Vec<_> = sagas
        .iter()
        .map(|saga| json!({ "id": saga.id.0, "key": saga.key, "reason": saga.reason }))
        .collect();
    Ok(Json(json!({ "stuck": all.stuck, "sagas": sagas })))
}

/// Everything that happened to one, as a table.
async fn show(State(desk): State<Arc<Desk>>, Path(id): Path<i64>) -> Result<String, Problem> {
    let operator = desk.sagas.engine.operator("reader");
    let timeline = operator.show(SagaId(id)).await.map_err(refused)?;
    Ok(timeline.to_string())
}

/// Who does it, and why. The journal keeps both.
#[derive(Deserialize)]
struct Signed {
    by: String,
    note: String,
}

async fn retry(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<i64>,
    Contents(Signed { by, note }): Contents<Signed>,
) -> Result<StatusCode, Problem> {
    let operator = desk.sagas.engine.operator(&by);
    operator.retry(SagaId(id), &note).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Skips the compensation that a saga is stuck at.
async fn skip(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<i64>,
    Contents(Signed { by, note }): Contents<Signed>,
) -> Result<StatusCode, Problem> {
    let engine = &desk.sagas.engine;
    let status = engine.status(SagaId(id)).await.map_err(refused)?;
    let (op, _) = status.stuck_at.ok_or_else(|| refused(Refused::NotStuck))?;
    let operator = engine.operator(&by);
    operator
        .skip(SagaId(id), op, &note)
        .await
        .map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(why: impl Into<Refused>) -> Problem {
    let why = why.into();
    let code = match why {
        Refused::NotFound(_) => StatusCode::NOT_FOUND,
        Refused::Unsigned { .. } | Refused::TooLong { .. } => StatusCode::BAD_REQUEST,
        Refused::Store(_) | Refused::Draining => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    };
    Problem::new(code, why.to_string())
}
