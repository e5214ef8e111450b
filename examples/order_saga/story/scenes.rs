use super::{Stage, none};
use crate::{name::Name, say};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(super) async fn good_order(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("A good order");
    let ada = stage.ada.clone();
    let answer = stage.order(&ada, "kettle", 2).await?;
    stage.expect(
        answer.status == StatusCode::CREATED,
        "the order was not confirmed",
    );

    let key = answer.text("key");
    say(format_args!(
        "   Its correlation id, {key}, is in every log:"
    ));
    for (name, ..) in stage.system.services() {
        let log = stage.system.data.log(name);
        let line = log
            .lines()
            .find(|line| line.contains(&format!("correlation={key}")));
        // Nobody asks users for an order.
        if let Some(line) = line {
            say(format_args!("     {line}"));
        }
    }
    let again = ada.order(key, "kettle", 2).await?;
    say(format_args!(
        "   Sent again with the same key: {} {}, and nothing happens twice.",
        again.status.as_u16(),
        again.text("status")
    ));
    Ok(())
}

pub(super) async fn out_of_stock(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("Out of stock");
    let ada = stage.ada.clone();
    let answer = stage.order(&ada, "telescope", 1_000).await?;
    stage.expect(
        answer.status == StatusCode::CONFLICT,
        "there were 1,000 telescopes",
    );
    Ok(())
}

pub(super) async fn declined_card(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("A declined card: what was reserved is released");
    let emil = stage.emil.clone();
    let answer = stage.order(&emil, "chair", 1).await?;
    let declined = StatusCode::PAYMENT_REQUIRED;
    stage.expect(answer.status == declined, "the card was not declined");
    stage.expect(
        answer.trail().any(|what| what == "released"),
        "nothing was released",
    );
    Ok(())
}

pub(super) async fn at_the_door(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("At the gateway");
    let ada = stage.ada.clone();

    let stranger = ada.with_token(None).get("/api/orders/o-0001").await?;
    show(
        stage,
        "without a token",
        stranger.status,
        StatusCode::UNAUTHORIZED,
    );

    let reader = stage.system.token("ada", "products:read")?;
    let answer = ada.with_token(Some(reader)).get("/api/users/ada").await?;
    show(
        stage,
        "with a token for products only",
        answer.status,
        StatusCode::FORBIDDEN,
    );

    let mut calls = JoinSet::new();
    for _ in 0..MANY {
        let ada = ada.clone();
        calls.spawn(async move { ada.get("/api/catalog/lamp").await });
    }
    let (mut refused, mut after) = (0, None);
    while let Some(answer) = calls.join_next().await {
        let answer = answer??;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            after = answer.retry_after;
        }
    }
    let after = after.unwrap_or_default();
    say(format_args!(
        "   429 {refused} of {MANY} calls at once (Retry-After: {after:?})"
    ));
    stage.expect(refused > 0, "there is no limit");

    // Another customer has a limit of her own.
    stage.faults(Name::Users, json!({ "down": true })).await?;
    let emil = stage.emil.clone();
    let mine = stage.key();
    emil.order(&mine, "teapot", 1).await?;
    let answer = emil.get(&format!("/api/orders/{mine}/overview")).await?;
    let missing = answer
        .body
        .get("missing")
        .map(Value::to_string)
        .unwrap_or_default();
    let what = format!("order, user and products at once, users down (missing: {missing})");
    show(stage, &what, answer.status, StatusCode::OK);
    stage.expect(missing == r#"["user"]"#, "the missing part is not marked");

    let health = emil.get("/health").await?;
    let checks = health.body.get("checks").and_then(Value::as_array);
    let down = checks
        .into_iter()
        .flatten()
        .find(|check| !check["error"].is_null());
    let down = down.map(|check| format!("{} {}", check["name"], check["error"]));
    let what = format!("health of all (down: {})", down.unwrap_or_default());
    show(stage, &what, health.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.faults(Name::Users, none()).await
}

/// More than one client may have in a second.
const MANY: u32 = 150;

fn show(stage: &mut Stage<'_>, what: &str, got: StatusCode, expected: StatusCode) {
    say(format_args!("   {} {what}", got.as_u16()));
    stage.expect(got == expected, format_args!("not {}", expected.as_u16()));
}
