//! The order saga: five steps forward, and the way back from each.
//!
//! | step | where | compensation |
//! |---|---|---|
//! | create order | here | cancel |
//! | reserve stock | inventory | release |
//! | charge payment | payments | refund |
//! | confirm | here | – from here on the order stands |
//! | notify | notifications | – a customer who is not told has still bought |
//!
//! A compensation is registered *before* its step is called. A call that fails may have been
//! applied: the answer was lost, or came too late. So the undo is sent whenever that cannot be ruled
//! out, and participants accept an undo of what they have never seen, and remember it (`Ledger`).
mod step;

use crate::clients::{Participant, StepError, Why};
use crate::inventory::{Reserve, Reserved};
use crate::name::Name;
use crate::notifications::Message;
use crate::orders::{Order, Shop};
use crate::payments::{Charge, eur};
use crate::service::{ids::Ids, log::log};
use axum::http::StatusCode;
use seawall::retry::Backoff;
use seawall::saga::{Scope, ScopeError, ScopeSaga};
use seawall::{BuildError, Event, Retry};
use std::{fmt, sync::Arc, time::Duration};
use step::{Step, Trail, Undoing};
use tokio::task::JoinSet;

/// How orders are undone: patiently, since there is nobody left to hand the problem to.
fn scope() -> Result<Scope, BuildError> {
    Scope::new("place order")
        .undo_attempts(UNDO_ATTEMPTS)
        .undo_backoff(undo_backoff())
        .undo_timeout(Duration::from_secs(2))
        .observer(|_: seawall::Name, event: &Event<'_>| {
            if let Event::Undo { step, outcome, .. } = event {
                log!(Name::Orders, "undo of `{step}`: {outcome:?}");
            }
        })
        .build()
}

/// Sees an order through. Gives it as it ended, and what happened on the way.
pub async fn place(
    shop: &Arc<Shop>,
    ids: Ids,
    order: Order,
) -> anyhow::Result<(Order, Vec<String>)> {
    let trail = Trail::default();
    let placed = scope()?
        .run(async |saga| forward(&saga, shop, &ids, &order, &trail).await)
        .await;
    match &placed {
        Ok(()) => notify(shop, &ids, &order, &trail).await,
        Err(failed) => match failed.error() {
            Failed::Known(known) if known.is_same(&order) => {}
            Failed::Known(_) => return Ok((another(order), trail.take())),
            _ => close(shop, &order, failed).await?,
        },
    }
    let ended = shop.book.find(order.key.clone()).await?;
    Ok((ended.unwrap_or(order), trail.take()))
}

/// All or nothing.
async fn forward(
    saga: &ScopeSaga,
    shop: &Arc<Shop>,
    ids: &Ids,
    order: &Order,
    trail: &Trail,
) -> Result<(), Failed> {
    let (key, sku, quantity) = (&order.key, &order.sku, order.quantity);
    let step = |name, at: &Participant, path| Step::new(key, name, at, path, ids, trail);

    if let Some(known) = shop.book.create(order).await? {
        return Err(Failed::Known(Box::new(known)));
    }
    saga.on_abort("create order", cancel(shop, key, trail));
    trail.add("created");

    let reserve = step("reserve", &shop.inventory, "/reservations");
    saga.on_abort("reserve stock", reserve.undone_by("released"));
    let reserved: Reserved = reserve
        .run(&Reserve {
            order: key.clone(),
            sku: sku.clone(),
            quantity,
        })
        .await?;
    trail.add(format!("reserved {quantity} x {sku}"));

    let cents = reserved.price_cents.saturating_mul(i64::from(quantity));
    let charge = step("charge", &shop.payments, "/charges");
    saga.on_abort("charge payment", charge.undone_by("refunded"));
    charge
        .run::<serde_json::Value>(&Charge {
            order: key.clone(),
            customer: order.customer.clone(),
            cents,
        })
        .await?;
    trail.add(format!("charged {}", eur(cents)));

    shop.book.confirm(key, cents).await?;
    trail.add("confirmed");

    Ok(())
}

/// Outside the scope, past the point of no return: what fails here is noted, and undoes nothing.
async fn notify(shop: &Shop, ids: &Ids, order: &Order, trail: &Trail) {
    let (key, sku, quantity) = (&order.key, &order.sku, order.quantity);
    let step = Step::new(key, "notify", &shop.notifications, "/messages", ids, trail);
    let told = step
        .run::<serde_json::Value>(&Message {
            order: key.clone(),
            customer: order.customer.clone(),
            text: format!("Your order {key} of {quantity} x {sku} is confirmed."),
        })
        .await;
    if told.is_ok() {
        trail.add("notified");
    }
}

/// The compensation of "create order".
fn cancel(
    shop: &Arc<Shop>,
    key: &str,
    trail: &Trail,
) -> impl FnMut() -> Undoing<anyhow::Error> + Send + use<> {
    let (shop, key, trail) = (shop.clone(), key.to_owned(), trail.clone());
    move || {
        let (shop, key, trail) = (shop.clone(), key.clone(), trail.clone());
        Box::pin(async move {
            shop.book.cancel(&key).await?;
            trail.add("cancelled");
            Ok(())
        })
    }
}

/// Undoes what a process that is no more has left half done.
///
/// The scope above lives in memory and dies with its process. But the orders are written down, and
/// an undo may be sent for a step that was never reached, so this is all it takes.
pub async fn recover(shop: &Arc<Shop>) -> anyhow::Result<()> {
    let mut undoing = JoinSet::new();
    for order in shop.book.unfinished().await? {
        undoing.spawn(undo(shop.clone(), order));
        if undoing.len() >= AT_A_TIME {
            undoing.join_next().await.transpose()?.transpose()?;
        }
    }
    while let Some(undone) = undoing.join_next().await {
        undone??;
    }
    Ok(())
}

async fn undo(shop: Arc<Shop>, order: Order) -> anyhow::Result<()> {
    let patiently = Retry::attempts(UNDO_ATTEMPTS)
        .name("recovery")
        .backoff(undo_backoff())
        .build()?;
    let (key, ids, trail) = (&order.key, Ids::fresh(), Trail::default());
    let step = |name, at, path| Step::new(key, name, at, path, &ids, &trail);
    let charge = step("charge", &shop.payments, "/charges");
    let reserve = step("reserve", &shop.inventory, "/reservations");
    patiently.run(charge.undone_by("refunded")).await?;
    patiently.run(reserve.undone_by("released")).await?;
    let why = "undone after a restart".to_owned();
    shop.book.close(key, "cancelled", 424, why).await?;
    log!(Name::Orders, "order {key} was left unfinished: undone");
    Ok(())
}

/// Orders undone side by side after a restart.
const AT_A_TIME: usize = 256;

/// More than the faults of a bulk run last.
const UNDO_ATTEMPTS: u32 = 10;

fn undo_backoff() -> Backoff {
    Backoff::exponential(Duration::from_millis(50)).max(Duration::from_millis(400))
}

/// Why an order does not go forward.
#[derive(Debug)]
enum Failed {
    /// The key is taken: by this very order, or by another.
    Known(Box<Order>),
    Step(StepError),
    /// Our own database.
    Book(anyhow::Error),
}

impl From<StepError> for Failed {
    fn from(error: StepError) -> Failed {
        Failed::Step(error)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Failed {
        Failed::Book(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Known(order) => write!(f, "order {} is {}", order.key, order.status),
            Failed::Step(error) => error.fmt(f),
            Failed::Book(error) => write!(f, "{error:#}"),
        }
    }
}

/// Writes down how an order that was not confirmed has ended.
async fn close(shop: &Shop, order: &Order, failed: &ScopeError<Failed>) -> anyhow::Result<()> {
    let (status, code) = match failed.error() {
        _ if !failed.is_undone() => ("stuck", StatusCode::FAILED_DEPENDENCY),
        // The business said no: the participant's own status tells best.
        Failed::Step(StepError {
            why: Why::Answered { status, .. },
            ..
        }) if status.is_client_error() => ("cancelled", *status),
        _ => ("cancelled", StatusCode::FAILED_DEPENDENCY),
    };
    let reason = failed.error().to_string();
    log!(Name::Orders, "order {} is {status}: {failed}", order.key);
    shop.book
        .close(&order.key, status, code.as_u16(), reason)
        .await
}

/// The answer to a key that belongs to another order.
fn another(order: Order) -> Order {
    Order {
        status: "refused".to_owned(),
        code: 422,
        reason: format!("the key {} was used for another order", order.key),
        ..order
    }
}
