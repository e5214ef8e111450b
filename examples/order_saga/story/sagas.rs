//! What sagas are for: an answer that is lost, a process that dies, a compensation that fails.
use super::{Stage, none};
use crate::{clients::pause, name::Name, say, shopper::Answer};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

pub(super) async fn lost_answer(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("Payments charges the card, and its answer is lost: the saga asks before it acts");
    let plan = json!({ "lose_answers": 1 });
    stage.faults(Name::Payments, plan).await?;
    let ada = stage.ada.clone();
    let answer = stage.order(&ada, "teapot", 1).await?;
    stage.faults(Name::Payments, none()).await?;
    let asked = answer
        .trail()
        .any(|what| what.starts_with("payments has charged"));
    let charges = answer
        .trail()
        .filter(|what| what.starts_with("charge: "))
        .count();
    stage.expect(
        answer.status == StatusCode::CREATED && asked && charges == 1,
        "the charge was not found out",
    );
    Ok(())
}

pub(super) async fn orders_killed(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("Orders is killed (kill -9) in the middle of a payment");
    let (key, customer) = in_the_middle(stage, json!({ "delay_ms": 400 })).await?;
    stage.system.kill(Name::Orders).await?;
    let answer = customer.await??;
    say(format_args!(
        "   The customer is answered {}. The card is charged all the same.",
        answer.status.as_u16()
    ));
    stage.expect(
        answer.status == StatusCode::BAD_GATEWAY,
        "somebody has answered for the dead",
    );
    stage.faults(Name::Payments, none()).await?;
    let before = stage.system.data.log(Name::Orders).len();
    stage.system.restart(Name::Orders).await?;
    say("   Orders is started again, and its journal knows of a charge without an outcome:");
    let ada = stage.ada.clone();
    let again = ada.order(&key, "lamp", 1).await?;
    let about = format!("order {key}: ");
    let log = stage.system.data.log(Name::Orders);
    for line in log.get(before..).unwrap_or_default().lines() {
        if let Some((_, what)) = line.split_once(&about) {
            say(format_args!("     - {what}"));
        }
    }
    let (code, status) = (again.status.as_u16(), again.text("status"));
    say(format_args!(
        "   The customer asks again with the same key: {code} {status}."
    ));
    stage.expect(
        again.status == StatusCode::CREATED,
        "the order was not finished",
    );
    Ok(())
}

pub(super) async fn stuck_refund(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("A refund that stays refused: the saga is stuck, and a person decides");
    let plan = json!({ "delay_ms": 400, "refuse_undos": 1_000 });
    let (key, customer) = in_the_middle(stage, plan).await?;
    let ada = stage.ada.clone();
    let cancelled = ada.cancel(&key).await?;
    say(format_args!(
        "   The customer cancels while her card is being charged: {} {}.",
        cancelled.status.as_u16(),
        cancelled.text("status")
    ));
    customer.await??;

    let stuck = stage.stuck(&key).await?;
    let id = stuck.get("id").unwrap_or(&Value::Null);
    say("   The refund is tried eight times. What the person who is paged sees:");
    let timeline = stage.saga(id).await?;
    for line in timeline.lines() {
        say(format_args!("     {line}"));
    }
    stage.faults(Name::Payments, none()).await?;
    let note = "refunded by bank transfer, ticket 771";
    let unsigned = stage.sign(id, "skip", "").await?;
    let signed = stage.sign(id, "skip", note).await?;
    say(format_args!("   She skips it without a note: {unsigned}"));
    say(format_args!(
        "   She skips it with the note `{note}`: {signed}"
    ));
    let timeline = stage.ended(id).await?;
    let told = timeline
        .lines()
        .skip_while(|line| !line.contains("skipped"));
    for line in told {
        say(format_args!("     {line}"));
    }
    stage.expect(
        timeline.contains("compensated_with_exceptions"),
        "the saga has not ended",
    );
    Ok(())
}

/// An order whose payment is under way, and the customer who waits for it.
async fn in_the_middle(
    stage: &mut Stage<'_>,
    payments: Value,
) -> anyhow::Result<(String, JoinHandle<anyhow::Result<Answer>>)> {
    stage.faults(Name::Payments, payments).await?;
    let (key, ada) = (stage.key(), stage.ada.clone());
    let of = key.clone();
    let customer = tokio::spawn(async move { ada.order(&of, "lamp", 1).await });
    let reserved = format!("order {key}: reserved");
    stage
        .until("nothing was reserved", async |stage: &Stage<'_>| {
            let log = stage.system.data.log(Name::Orders);
            Ok(log.contains(&reserved).then_some(()))
        })
        .await?;
    // It is about to be written down that the card is to be charged; the charge itself takes longer.
    pause(Duration::from_millis(100)).await;
    say(format_args!(
        "   {key}: 1 x lamp, and payments is at it ..."
    ));
    Ok((key, customer))
}
