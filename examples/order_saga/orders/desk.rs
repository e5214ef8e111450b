//! Where customers are served.
use super::{Desk, Order, OrderEvent};
use crate::saga::{Asked, PLACE_ORDER};
use crate::service::{
    ids::Ids,
    keys::Key,
    problem::{Contents, Problem},
};
use axum::{
    Extension, Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use seawall::saga::{SagaError, SagaId, StartError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// What a customer asks for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    sku: String,
    quantity: u32,
}

/// How long a customer waits for the end of a saga. Then the answer is how far it has come, and the
/// saga goes on.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long a saga may take before its pivot, outages of other services included.
const DEADLINE: Duration = Duration::from_secs(60);

pub async fn place(
    State(desk): State<Arc<Desk>>,
    Extension(ids): Extension<Ids>,
    Customer(customer): Customer,
    Key(key): Key,
    Contents(Wanted { sku, quantity }): Contents<Wanted>,
) -> Result<Response, Problem> {
    // It becomes part of paths and of log lines.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.len() > 64 || key.starts_with('.') || !key.chars().all(plain) {
        let why = "an order's key has up to 64 letters, digits, `-`, `_` and `.`, and no `.` first";
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    let asked = Asked {
        customer,
        sku,
        quantity,
    };
    let (book, visits) = (&desk.shop.book, &desk.shop.visits);
    let order = asked.clone().order(&key);
    match book.find(key.clone()).await? {
        // What the key stands for may be another customer's, so it is not told.
        Some(known) if !known.is_same(&order) => return Ok(another(order)),
        Some(known) if known.status != "pending" => return Ok(answer(known, &[])),
        _ => {}
    }
    let visit = visits.begin(&key, ids);
    let (engine, saga) = (&desk.sagas.engine, desk.sagas.place_order);
    // Whoever hangs up now drops this handler, and nothing else: what is started ends.
    let started = engine.start(saga, key.clone(), asked).deadline(DEADLINE);
    let mut handle = match started.await {
        Ok(handle) => handle,
        Err(error) => {
            visits.end(&key);
            return match error {
                StartError::Conflict { .. } => Ok(another(order)),
                error => Err(unavailable(error)),
            };
        }
    };
    let ended = timeout(PATIENCE, handle.outcome()).await;
    let order = book.find(key.clone()).await?.unwrap_or(order);
    match ended {
        Err(_) if order.status == "pending" => {
            pending(&desk, handle.id(), order, &visit.trail()).await
        }
        // Confirmed, and only the message is missing; or cancelled, and being undone.
        Err(_) => Ok(answer(order, &visit.trail())),
        Ok(Err(SagaError::Stuck { why, .. })) => Ok(answer(
            Order {
                status: "stuck".to_owned(),
                code: 424,
                reason: why,
                ..order
            },
            &visit.trail(),
        )),
        Ok(Err(error @ (SagaError::Store(_) | SagaError::EngineEnded))) => Err(unavailable(error)),
        Ok(_) => {
            visits.end(&key);
            Ok(answer(order, &visit.trail()))
        }
    }
}

/// 202: it is written down and will end. What it waits for tells the customer whether to.
async fn pending(
    desk: &Desk,
    id: SagaId,
    order: Order,
    trail: &[String],
) -> Result<Response, Problem> {
    let status = desk.sagas.engine.status(id).await.map_err(unavailable)?;
    let waits: Vec<_> = status.waits.iter().map(ToString::to_string).collect();
    let code = StatusCode::ACCEPTED.as_u16();
    let reason = format!("waits for {}", waits.join(", "));
    let order = Order {
        code,
        reason,
        ..order
    };
    Ok(answer(order, trail))
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// An order that was undone is answered with a 4xx also where a service behind us is to blame (424):
/// a 5xx would tell the gateway's breaker that *we* are failing.
fn answer(order: Order, trail: &[String]) -> Response {
    let status = StatusCode::from_u16(order.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = json!(order);
    if let Some(body) = body.as_object_mut() {
        body.insert("trail".to_owned(), json!(trail));
    }
    (status, Json(body)).into_response()
}

/// The answer to a key that belongs to another order.
fn another(order: Order) -> Response {
    let order = Order {
        status: "refused".to_owned(),
        code: 422,
        reason: format!("the key {} was used for another order", order.key),
        ..order
    };
    answer(order, &[])
}

pub async fn one(
    State(desk): State<Arc<Desk>>,
    Customer(customer): Customer,
    Path(key): Path<String>,
) -> Result<Json<Order>, Problem> {
    mine(&desk, customer, key).await.map(Json)
}

/// Nobody reads other people's orders.
async fn mine(desk: &Desk, customer: String, key: String) -> Result<Order, Problem> {
    let found = desk.shop.book.find(key.clone()).await?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no order `{key}`"));
    found
        .filter(|order| order.customer == customer)
        .ok_or_else(missing)
}

/// The customer has changed her mind. Whether that comes in time is decided where the order is
/// confirmed: in its log, where one of the two is first.
pub async fn cancel(
    State(desk): State<Arc<Desk>>,
    Customer(customer): Customer,
    Path(key): Path<String>,
) -> Result<Json<Value>, Problem> {
    let order = mine(&desk, customer.clone(), key.clone()).await?;
    let decide = |order: &Order| {
        let reason = "cancelled by its customer".to_owned();
        (order.status == "pending").then_some(OrderEvent::Cancelled { code: 409, reason })
    };
    desk.shop.book.command(&order.key, decide).await?;
    let order = mine(&desk, customer.clone(), key.clone()).await?;
    if order.status == "confirmed" {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "it is confirmed already",
        ));
    }
    // The saga would find out at its pivot. Told now, it waits for nobody any more.
    let engine = &desk.sagas.engine;
    if let Some(id) = engine.find(PLACE_ORDER, &key).await.map_err(unavailable)? {
        let note = "the customer has cancelled the order";
        // One that has ended, or is on its way back, needs no telling.
        let _ = engine.operator(&customer).cancel(id, note).await;
    }
    Ok(Json(json!(order)))
}

/// Who is asking. The gateway has checked it and says so in `X-User`.
pub struct Customer(String);

impl<S: Sync> FromRequestParts<S> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Customer, Problem> {
        let user = parts.headers.get("x-user").and_then(|v| v.to_str().ok());
        let user = user.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "who is asking?"))?;
        Ok(Customer(user.to_owned()))
    }
}
