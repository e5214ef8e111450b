//! The order saga: five steps forward, and the way back from each. The steps themselves are in
//! `saga/steps.rs`.
//!
//! | step | where | compensation |
//! |---|---|---|
//! | create order | here | cancel |
//! | reserve stock | inventory | release |
//! | charge payment | payments | refund |
//! | confirm | here | – the pivot: from here on the order stands |
//! | notify | notifications | – a customer who is not told has still bought |
//!
//! The engine writes down what it is about to do before it does it, in `orders-sagas.db`. So a process
//! that is killed leaves no order half done: the next one goes on where this one stood.
mod steps;
mod visit;

pub use visit::Visits;

use crate::inventory::Reserve;
use crate::notifications::Message;
use crate::orders::{Order, Shop};
use crate::payments::Charge;
use anyhow::Context as _;
use seawall::retry::Backoff;
use seawall::saga::{
    Engine, Flow, SagaRef, SqliteStore, StepFailed, StepRetry, nothing_to_undo, operator::Find,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};
use steps::{
    cancel, charge, confirm, create, find_charge, give_up, notify, refund, release, reserve,
};
use tokio::time::timeout;

/// What makes a repeated order the same order. Ids of requests have no place in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Asked {
    pub customer: String,
    pub sku: String,
    pub quantity: u32,
}

impl Asked {
    pub fn order(self, key: &str) -> Order {
        Order::new(key.to_owned(), self.customer, self.sku, self.quantity)
    }

    fn stock(&self, order: &str) -> Reserve {
        Reserve {
            order: order.to_owned(),
            sku: self.sku.clone(),
            quantity: self.quantity,
        }
    }

    fn money(&self, order: &str, cents: i64) -> Charge {
        Charge {
            order: order.to_owned(),
            customer: self.customer.clone(),
            cents,
        }
    }

    fn message(self, order: String) -> Message {
        let Asked { sku, quantity, .. } = &self;
        let text = format!("Your order {order} of {quantity} x {sku} is confirmed.");
        Message {
            order,
            customer: self.customer,
            text,
        }
    }
}

/// Why an order is given up: in words, and as the HTTP status that answers for it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct No {
    pub code: u16,
    pub reason: String,
}

/// The sagas of the shop.
pub struct Sagas {
    pub engine: Engine<Shop>,
    pub place_order: SagaRef<Asked, i64>,
    store: SqliteStore,
}

/// The saga's name in the journal.
pub const PLACE_ORDER: &str = "place_order";

impl Sagas {
    /// Opens the journal, and goes on with what an earlier process has left unfinished.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn open(shop: Shop, file: &Path) -> anyhow::Result<Sagas> {
        let store = SqliteStore::open(file).await?;
        let mut b = Engine::builder(shop, store.clone());
        // These steps only call others, so a process that dies is hardly their fault.
        b.crash_limit(20);
        let create = b.step("create_order", create, cancel).register();
        let reserve = b.step("reserve_stock", reserve, release);
        let reserve = reserve.retry(remote(4)).register();
        let charge = b.step("charge_payment", charge, refund).verify(find_charge);
        let charge = charge.retry(remote(4)).register();
        let confirm = b.step("confirm_order", confirm, nothing_to_undo).register();
        let notify = b.step("notify_customer", notify, nothing_to_undo);
        // Past the pivot there is no way back, so it has all the time in the world.
        let patiently =
            Backoff::exponential(Duration::from_millis(50)).max(Duration::from_secs(60));
        let notify = notify.retry(remote(100).backoff(patiently)).register();
        let give_up = b.step("give_up", give_up, nothing_to_undo).register();

        let place_order = b.saga(PLACE_ORDER, move |saga: Flow, asked: Asked| async move {
            let order = saga.key().to_owned();
            saga.call(create, asked.clone()).await?;
            let placed = async {
                let price = saga.call(reserve, asked.stock(&order)).await?;
                let cents = price.saturating_mul(i64::from(asked.quantity));
                saga.call(charge, asked.money(&order, cents)).await?;
                saga.pivot(confirm, cents).await?;
                Ok::<_, StepFailed>(cents)
            };
            match placed.await {
                Ok(cents) => {
                    saga.call(notify, asked.message(order)).await?;
                    Ok(cents)
                }
                Err(failed) => {
                    // The reason is written down before the way back begins.
                    saga.call(give_up, No::of(&failed)).await?;
                    Err(failed.into())
                }
            }
        });
        let engine = b.build().await.context("cannot take up the sagas")?;
        Ok(Sagas {
            engine,
            place_order,
            store,
        })
    }

    /// Lets the sagas end that can, for a while. What is left is written down and goes on with the
    /// next process.
    pub async fn end(&self) {
        let _ = timeout(LAST_GRACE, self.all_ended()).await;
        // Nothing is lost where it fails: that is what the journal is for.
        let _ = self.engine.drain().await;
        self.store.close().await;
    }

    async fn all_ended(&self) {
        let operator = self.engine.operator("orders");
        let mut last = None;
        while let Ok(page) = operator.list(Find::unfinished().after(last)).await {
            for saga in page.sagas {
                // How it ended is not asked here. One that is stuck answers at once.
                let _ = self.engine.handle::<i64>(saga.id).outcome().await;
            }
            if page.next.is_none() {
                return;
            }
            last = page.next;
        }
    }
}

/// How long sagas may take when the service is to end.
const LAST_GRACE: Duration = Duration::from_secs(15);

/// A call of another service. Its undo is tried longer: there is nobody left to hand the problem to,
/// but an operator.
fn remote(attempts: u32) -> StepRetry {
    StepRetry::attempts(attempts)
        .backoff(
            Backoff::exponential(Duration::from_millis(20))
                .max(Duration::from_millis(400))
                .jitter(),
        )
        .undo_attempts(8)
        .timeout(Duration::from_secs(10))
}

impl No {
    /// A participant's no is told with its own status. Everything else is a service's failure (424),
    /// also a step that was called off (410). Only the text of a failure comes through the journal,
    /// and the status is at its end.
    fn of(failed: &StepFailed) -> No {
        let status = failed.error.rsplit_once('(').and_then(|(_, end)| {
            let status: u16 = end.strip_suffix(')')?.parse().ok()?;
            ((400..500).contains(&status) && status != 410).then_some(status)
        });
        No {
            code: status.filter(|_| failed.clean).unwrap_or(424),
            reason: failed.error.clone(),
        }
    }
}
