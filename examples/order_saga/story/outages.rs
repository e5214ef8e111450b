use super::{Stage, none};
use crate::clients::pause;
use crate::service::log::{millis, now};
use crate::{name::Name, say};
use axum::http::StatusCode;
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

pub(super) async fn payments_down(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("Payments is killed (kill -9): the breaker opens, and an order waits");
    stage.system.kill(Name::Payments).await?;
    let ada = stage.ada.clone();
    // Four attempts each; the breaker opens at the eighth failure in a row.
    for _ in 0..2 {
        let answer = stage.order(&ada, "lamp", 1).await?;
        stage.expect(
            answer.status == StatusCode::FAILED_DEPENDENCY,
            "who took the money?",
        );
    }
    let (state, _) = stage.payments_breaker().await?;
    say(format_args!(
        "   The breaker is {state}: calls cost microseconds now, not timeouts. What it turns away is\n   \
         no attempt, so the next order is not given up:"
    ));
    stage.expect(state == "open", "the breaker is not open");
    let answer = stage.order(&ada, "lamp", 1).await?;
    say(format_args!("     {}", answer.text("reason")));
    stage.expect(answer.status == StatusCode::ACCEPTED, "it did not wait");

    stage.system.restart(Name::Payments).await?;
    say("   Payments is back. The breaker lets one call through to see, and closes:");
    let answer = stage.again(&ada, &answer).await?;
    stage.expect(answer.status == StatusCode::CREATED, "payments is not back");
    let (state, changes) = stage.payments_breaker().await?;
    say(format_args!("   The breaker went {changes}."));
    stage.expect(state == "closed", "the breaker is not closed");
    Ok(())
}

pub(super) async fn slow_inventory(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.title("Inventory takes 3 s for everything: 24 ask it, 12 ask users");
    stage
        .faults(Name::Inventory, json!({ "delay_ms": 3_000 }))
        .await?;
    let mut asked = JoinSet::new();
    for n in 0..36 {
        let (who, name, path) = match n % 3 {
            0 => (stage.emil.clone(), Name::Users, "/api/users/emil"),
            _ => (stage.ada.clone(), Name::Inventory, "/api/catalog"),
        };
        asked.spawn(async move {
            let begun = now();
            let answer = who.get(path).await;
            (name, answer, begun.elapsed())
        });
    }
    let mut tally: BTreeMap<(Name, String), (u32, Duration)> = BTreeMap::new();
    while let Some(ended) = asked.join_next().await {
        let (name, answer, took) = ended?;
        let answer = answer?;
        let what = match answer.status {
            StatusCode::OK => "answered".to_owned(),
            status => format!("{}: {}", status.as_u16(), reason(answer.text("error"))),
        };
        stage.expect(
            (name == Name::Users) == (answer.status == StatusCode::OK),
            format_args!("{name} {what}"),
        );
        let (count, longest) = tally.entry((name, what)).or_default();
        *count += 1;
        *longest = took.max(*longest);
    }
    for ((name, what), (count, longest)) in tally {
        let longest = millis(longest);
        say(format_args!(
            "   {count:>2} x {name:<9} within {longest:>7}  {what}"
        ));
    }
    stage.faults(Name::Inventory, none()).await?;

    // The gateway's own breaker has opened; it finds out by itself.
    let begun = now();
    let ada = stage.ada.clone();
    let mut answer = ada.get("/api/catalog").await?;
    while answer.status != StatusCode::OK && since(begun) < Duration::from_secs(5) {
        pause(Duration::from_millis(100)).await;
        answer = ada.get("/api/catalog").await?;
    }
    let took = millis(since(begun));
    say(format_args!(
        "   Inventory is quick again: the catalog is back after {took}."
    ));
    stage.expect(answer.status == StatusCode::OK, "the catalog is not back");
    Ok(())
}

/// A refusal without what differs from call to call.
fn reason(text: &str) -> &str {
    text.split(['(', ';']).next().unwrap_or_default().trim()
}

fn since(begun: Instant) -> Duration {
    begun.elapsed()
}
