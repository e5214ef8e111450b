//! `GET /api/orders/{key}/overview`: the order, its customer and the catalog, asked for in parallel.
//!
//! A part that cannot be had does not take the others down: its place is filled, and marked in
//! `missing`. Of the user there remains the id that the token says, of the catalog the last one seen.
use super::{Gateway, auth::Client, upstream::Upstream};
use crate::{service::ids::Ids, service::problem::Problem};
use axum::{
    Json,
    http::Method,
    response::{IntoResponse, Response},
};
use seawall::value::{Kept, LastKnownGood, ValueExt as _};
use serde_json::{Value, json};
use std::time::Duration;

/// The last good catalog.
pub fn catalog() -> Result<LastKnownGood<Value>, seawall::BuildError> {
    LastKnownGood::new("catalog")
        .max_age(Duration::from_secs(600))
        .build()
}

/// A part, and whether it stands in for one that could not be had.
#[derive(Clone)]
struct Part {
    value: Value,
    instead: bool,
}

pub async fn answer(
    gateway: &Gateway,
    ids: &Ids,
    client: &Client,
    key: &str,
) -> Result<Response, Problem> {
    // `sub` is the only user whose orders this client can see, so nothing has to wait for the order.
    let user = &client.id;
    let (orders_path, users_path) = (format!("/orders/{key}"), format!("/users/{user}"));
    let get = |upstream, path| get(upstream, path, ids, user);
    let live = |value| Part {
        value,
        instead: false,
    };
    let instead = |value| Part {
        value,
        instead: true,
    };

    // A fallback is for a service that fails. A 404 is an answer, and stays one.
    let order = async { get(&gateway.orders, &orders_path).await.map(live) }
        .or_value(instead(Value::Null))
        .only_if(theirs);
    let person = async { get(&gateway.users, &users_path).await.map(live) }
        .or_value(instead(json!({ "id": user })))
        .only_if(theirs);
    let products = async {
        let kept = get(&gateway.inventory, "/products")
            .or_last_good(&gateway.catalog)
            .only_if(theirs)
            .await?;
        Ok(match kept {
            Kept::Fresh(value) => live(value),
            Kept::Stale { value, .. } => instead(value),
        })
    }
    .or_value(instead(json!([])))
    .only_if(theirs);

    let (order, person, products) = tokio::try_join!(order, person, products)?;
    let parts = [("order", order), ("user", person), ("products", products)];
    let missing: Vec<_> = parts
        .iter()
        .filter(|(_, p)| p.instead)
        .map(|(n, _)| *n)
        .collect();
    let mut body = json!({ "missing": missing });
    if let Some(body) = body.as_object_mut() {
        body.extend(
            parts
                .into_iter()
                .map(|(name, part)| (name.to_owned(), part.value)),
        );
    }
    Ok(Json(body).into_response())
}

/// The service failed, and not the one who asked.
fn theirs(problem: &Problem) -> bool {
    problem.status.is_server_error()
}

async fn get(upstream: &Upstream, path: &str, ids: &Ids, user: &str) -> Result<Value, Problem> {
    let request = upstream.request(Method::GET, path, ids, user)?;
    let (status, _, body) = upstream.fetch(request).await?;
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let why = value
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or("no reason given");
    Err(Problem::new(status, why))
}
