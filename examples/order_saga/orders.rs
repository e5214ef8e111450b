//! Takes orders and sees each through to one of two ends: confirmed, or as if it had never been.
//!
//! The saga itself is in `saga.rs`. Orders are kept as what has happened to them: the events and what
//! follows from them in `orders/order.rs`, their log in `orders/log.rs`, commands and the table that
//! lists are read from in `orders/book.rs`.
mod book;
mod desk;
mod log;
mod operator;
mod order;

pub use book::Book;
pub use order::{Order, OrderEvent};

use crate::clients::{self, Participant};
use crate::name::Name;
use crate::saga::{Sagas, Visits};
use crate::service::{self, App, Surroundings, db::Db, log::log};
use axum::{Json, Router, extract::State, routing};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the steps of sagas work with. Clones share it.
#[derive(Clone)]
pub struct Shop {
    pub book: Book,
    pub inventory: Participant,
    pub payments: Participant,
    pub notifications: Participant,
    pub visits: Visits,
}

/// What the handlers share.
struct Desk {
    shop: Shop,
    sagas: Sagas,
}

/// An order that goes well has two events, one that is undone three.
const SNAPSHOT_EVERY: u32 = 3;

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Orders, log::SCHEMA)?;
    let http = clients::connections()?;
    let participant = |name| anyhow::Ok(Participant::new(name, around.url(name)?, http.clone())?);
    let shop = Shop {
        book: Book::open(db.clone(), SNAPSHOT_EVERY).await?,
        inventory: participant(Name::Inventory)?,
        payments: participant(Name::Payments)?,
        notifications: participant(Name::Notifications)?,
        visits: Visits::default(),
    };
    for order in shop.book.unfinished().await? {
        log!(
            Name::Orders,
            "order {} is unfinished: its saga goes on",
            order.key
        );
    }
    let sagas = Sagas::open(shop.clone(), &service::sagas(&around.data)).await?;
    let desk = Arc::new(Desk { shop, sagas });

    let router = Router::new()
        .route("/orders", routing::post(desk::place))
        .route("/orders/{key}", routing::get(desk::one))
        .route("/orders/{key}/cancel", routing::post(desk::cancel))
        .route("/guards", routing::get(guards))
        .merge(operator::routes())
        .with_state(desk.clone());
    Ok(App {
        unfinished: Box::pin(async move { desk.sagas.end().await }),
        ..App::new(router, db)
    })
}

/// How the breakers stand.
async fn guards(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let of = |p: &Participant| json!({ "state": p.state(), "changes": p.history() });
    Json(json!({
        "inventory": of(&desk.shop.inventory),
        "payments": of(&desk.shop.payments),
        "notifications": of(&desk.shop.notifications),
    }))
}
