//! What the steps do, each with its way back. Any of them may be called again, under the same key.
use super::{Asked, No, visit::Visit};
use crate::clients::pause;
use crate::inventory::{Reserve, Reserved};
use crate::notifications::Message;
use crate::orders::Shop;
use crate::payments::{Charge, Charged, eur};
use seawall::saga::{Failure, FailureKind, Outcome, StepContext, Verdict};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

fn visit(shop: &Shop, cx: &StepContext) -> Visit {
    shop.visits.of(cx.saga_key())
}

pub async fn create(shop: Arc<Shop>, cx: StepContext, asked: Asked) -> Result<(), Failure> {
    let order = asked.order(cx.saga_key());
    match shop.book.create(&order).await? {
        // The saga of that order has ended so long ago that it is forgotten, but the order is not.
        Some(known) if !known.is_same(&order) => {
            let no = format!("the key {} was used for another order (422)", order.key);
            Err(Failure::refused(no))
        }
        _ => {
            visit(&shop, &cx).add("created");
            Ok(())
        }
    }
}

pub async fn cancel(
    shop: Arc<Shop>,
    cx: StepContext,
    _: Asked,
    _: Outcome<()>,
) -> Result<(), Failure> {
    let key = cx.saga_key();
    shop.book.cancel(key).await?;
    let order = shop.book.find(key.to_owned()).await?;
    if order.is_some_and(|order| order.reason == "in progress") {
        // Nobody has said why: its time was up, or an operator wanted it.
        let why = "it could not be placed in time, and was given up".to_owned();
        shop.book.close(key, "cancelled", 424, why).await?;
    }
    visit(&shop, &cx).add("cancelled");
    shop.visits.end(key);
    Ok(())
}

pub async fn reserve(shop: Arc<Shop>, cx: StepContext, asked: Reserve) -> Result<i64, Failure> {
    let visit = visit(&shop, &cx);
    let reserving = shop
        .inventory
        .step(&cx, &visit.ids, "/reservations", &asked);
    let Reserved { price_cents } = visit.watch("reserve", reserving).await?;
    visit.add(format!("reserved {} x {}", asked.quantity, asked.sku));
    Ok(price_cents)
}

pub async fn release(
    shop: Arc<Shop>,
    cx: StepContext,
    _: Reserve,
    _: Outcome<i64>,
) -> Result<(), Failure> {
    let visit = visit(&shop, &cx);
    let releasing = shop
        .inventory
        .undo(cx.step_key(), &visit.ids, "/reservations");
    visit.watch("undo of reserve", releasing).await?;
    visit.add("released");
    Ok(())
}

pub async fn charge(shop: Arc<Shop>, cx: StepContext, asked: Charge) -> Result<(), Failure> {
    let visit = visit(&shop, &cx);
    let charging = shop
        .payments
        .step::<Charged>(&cx, &visit.ids, "/charges", &asked);
    visit.watch("charge", charging).await?;
    visit.add(format!("charged {}", eur(asked.cents)));
    Ok(())
}

pub async fn refund(
    shop: Arc<Shop>,
    cx: StepContext,
    _: Charge,
    _: Outcome<()>,
) -> Result<(), Failure> {
    let visit = visit(&shop, &cx);
    let refunding = shop.payments.undo(cx.step_key(), &visit.ids, "/charges");
    visit.watch("undo of charge", refunding).await?;
    visit.add("refunded");
    Ok(())
}

/// Asks payments what became of a charge, until it is known. The engine lets it go on for as long as
/// an attempt may take, asks a few times, and leaves the rest to an operator.
///
/// That the charge is not there proves little: it may still be on its way, and come when we have gone
/// back without it. So after a few looks its key is shut, as an undo does. Only then it never will be
/// applied.
pub async fn find_charge(shop: Arc<Shop>, cx: StepContext, asked: Charge) -> Verdict<()> {
    let visit = visit(&shop, &cx);
    let (key, path, mut looks) = (cx.step_key(), "/charges", 0);
    loop {
        let finding = shop.payments.find::<Charged>(key, &visit.ids, path);
        match visit.watch("asking payments", finding).await {
            Ok(Some(Charged { charged_cents })) if charged_cents == asked.cents => {
                visit.add(format!("payments has charged {}, once", eur(charged_cents)));
                return Verdict::Applied(());
            }
            // Another sum: whatever that is, a person should look at it.
            Ok(Some(_)) => return Verdict::CannotTell,
            Ok(None) => looks += 1,
            Err(_) => {}
        }
        if looks >= LOOKS {
            let shutting = shop.payments.undo(key, &visit.ids, path);
            if visit
                .watch("calling the charge off", shutting)
                .await
                .is_ok()
            {
                visit.add("payments knows of no charge, and was told to make none");
                return Verdict::NotApplied;
            }
        }
        pause(Duration::from_millis(100)).await;
    }
}

/// Beyond the time that a call may be late.
const LOOKS: u32 = 4;

/// The pivot. Its participant is the order's own log, where the customer may have been first.
pub async fn confirm(shop: Arc<Shop>, cx: StepContext, cents: i64) -> Result<(), Failure> {
    let key = cx.saga_key();
    shop.book.confirm(key, cents).await?;
    let order = shop.book.find(key.to_owned()).await?;
    let order = order.ok_or_else(|| Failure::never_applied("there is no such order"))?;
    if order.status != "confirmed" {
        let no = format!("{} ({})", order.reason, order.code);
        return Err(Failure::never_applied(no));
    }
    visit(&shop, &cx).add("confirmed");
    Ok(())
}

/// Whether the customer could be told. A no of notifications stops nothing.
pub async fn notify(shop: Arc<Shop>, cx: StepContext, message: Message) -> Result<bool, Failure> {
    let visit = visit(&shop, &cx);
    let telling = shop
        .notifications
        .step::<Value>(&cx, &visit.ids, "/messages", &message);
    let told = match visit.watch("notify", telling).await {
        Ok(_) => true,
        Err(failure) if failure.kind() == FailureKind::NeverApplied => false,
        Err(failure) => return Err(failure),
    };
    if told {
        visit.add("notified");
    }
    shop.visits.end(cx.saga_key());
    Ok(told)
}

/// Writes down why. An order that its customer has cancelled says so already.
pub async fn give_up(shop: Arc<Shop>, cx: StepContext, no: No) -> Result<(), Failure> {
    let key = cx.saga_key();
    let order = shop.book.find(key.to_owned()).await?;
    if order.is_some_and(|order| order.status == "pending") {
        shop.book
            .close(key, "cancelled", no.code, no.reason)
            .await?;
    }
    Ok(())
}
