//! Takes orders and sees each through to one of two ends: confirmed, or as if it had never been.
//!
//! The saga itself is in `saga.rs`. Orders are kept as what has happened to them: the events and what
//! follows from them in `orders/order.rs`, their log in `orders/log.rs`, commands and the table that
//! lists are read from in `orders/book.rs`.
mod book;
mod log;
mod order;

pub use book::Book;
pub use order::Order;

use crate::clients::{self, Participant};
use crate::name::Name;
use crate::saga;
use crate::service::{
    App, Surroundings,
    db::Db,
    ids::Ids,
    keys::Key,
    problem::{Contents, Problem},
};
use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the handlers and the sagas share.
pub struct Shop {
    pub book: Book,
    pub inventory: Participant,
    pub payments: Participant,
    pub notifications: Participant,
    running: Arc<Semaphore>,
}

/// Sagas at a time.
const MOST: u32 = 1_024;

/// An order that goes well has two events, one that is undone three.
const SNAPSHOT_EVERY: u32 = 3;

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Orders, log::SCHEMA)?;
    let http = clients::connections()?;
    let participant = |name| anyhow::Ok(Participant::new(name, around.url(name)?, http.clone())?);
    let shop = Arc::new(Shop {
        book: Book::open(db.clone(), SNAPSHOT_EVERY).await?,
        inventory: participant(Name::Inventory)?,
        payments: participant(Name::Payments)?,
        notifications: participant(Name::Notifications)?,
        running: Arc::new(Semaphore::new(MOST as usize)),
    });
    saga::recover(&shop).await?;

    let router = Router::new()
        .route("/orders", routing::post(place))
        .route("/orders/{key}", routing::get(one))
        .route("/guards", routing::get(guards))
        .with_state(shop.clone());
    let all_ended = async move {
        // Whoever holds all permits knows that no saga does.
        let _ = shop.running.acquire_many(MOST).await;
    };
    Ok(App {
        unfinished: Box::pin(all_ended),
        ..App::new(router, db)
    })
}

/// What a customer asks for.
#[derive(Debug, Deserialize)]
struct Asked {
    sku: String,
    quantity: u32,
}

async fn place(
    State(shop): State<Arc<Shop>>,
    Extension(ids): Extension<Ids>,
    Customer(customer): Customer,
    Key(key): Key,
    Contents(Asked { sku, quantity }): Contents<Asked>,
) -> Result<Response, Problem> {
    // It becomes part of the keys of steps, and of paths.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.len() > 64 || key.starts_with('.') || !key.chars().all(plain) {
        let why = "an order's key has up to 64 letters, digits, `-`, `_` and `.`, and no `.` first";
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    let order = Order::new(key, customer, sku, quantity);
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many orders at a time");
    let permit = shop
        .running
        .clone()
        .try_acquire_owned()
        .map_err(|_| busy())?;
    // A task of its own: a caller who hangs up must not leave a saga half done.
    let saga = tokio::spawn(async move {
        let placed = saga::place(&shop, ids, order).await;
        drop(permit);
        placed
    });
    let lost = |e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}"));
    let (order, trail) = saga.await.map_err(lost)??;
    Ok(answer(order, trail))
}

/// An order that was undone is answered with a 4xx also where a service behind us is to blame (424):
/// a 5xx would tell the gateway's breaker that *we* are failing.
fn answer(order: Order, trail: Vec<String>) -> Response {
    let status = StatusCode::from_u16(order.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = json!(order);
    if let Some(body) = body.as_object_mut() {
        body.insert("trail".to_owned(), json!(trail));
    }
    (status, Json(body)).into_response()
}

async fn one(
    State(shop): State<Arc<Shop>>,
    Customer(customer): Customer,
    Path(key): Path<String>,
) -> Result<Json<Order>, Problem> {
    let found = shop.book.find(key.clone()).await?;
    found
        // Nobody reads other people's orders.
        .filter(|order| order.customer == customer)
        .map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no order `{key}`")))
}

/// How the breakers stand.
async fn guards(State(shop): State<Arc<Shop>>) -> Json<Value> {
    let of = |p: &Participant| json!({ "state": p.state(), "changes": p.history() });
    Json(json!({
        "inventory": of(&shop.inventory),
        "payments": of(&shop.payments),
        "notifications": of(&shop.notifications),
    }))
}

/// Who is asking. The gateway has checked it and says so in `X-User`.
struct Customer(String);

impl<S: Sync> FromRequestParts<S> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Customer, Problem> {
        let user = parts.headers.get("x-user").and_then(|v| v.to_str().ok());
        let user = user.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "who is asking?"))?;
        Ok(Customer(user.to_owned()))
    }
}
