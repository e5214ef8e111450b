//! The story: seven scenes, each a failure and what becomes of it. The scenes are in
//! `story/scenes.rs` (orders) and `story/outages.rs` (services that fail).
mod outages;
mod scenes;

use crate::name::Name;
use crate::shopper::{Answer, Shopper};
use crate::{End, clients, report, say, system::System};
use serde_json::{Value, json};
use std::fmt::Display;

/// Tells it.
pub async fn tell(system: &mut System) -> anyhow::Result<End> {
    say("Six services, each a process with an SQLite file of its own, that talk over HTTP alone:");
    for (name, url, pid) in system.services() {
        say(format_args!("  {name:<14} {url}  pid {}", pid.unwrap_or(0)));
    }
    let mut stage = Stage::new(system)?;
    scenes::good_order(&mut stage).await?;
    scenes::out_of_stock(&mut stage).await?;
    scenes::declined_card(&mut stage).await?;
    outages::payments_down(&mut stage).await?;
    outages::slow_inventory(&mut stage).await?;
    scenes::stubborn_refund(&mut stage).await?;
    scenes::at_the_door(&mut stage).await?;
    say("");
    Ok(if stage.surprises == 0 {
        End::Well
    } else {
        End::Badly
    })
}

/// What a scene plays on.
struct Stage<'a> {
    system: &'a mut System,
    http: reqwest::Client,
    ada: Shopper,
    emil: Shopper,
    next: u32,
    scene: u32,
    /// How often something else happened than the story says.
    surprises: u32,
}

impl<'a> Stage<'a> {
    fn new(system: &'a mut System) -> anyhow::Result<Stage<'a>> {
        let http = clients::connections()?;
        Ok(Stage {
            ada: Shopper::new(system, &http, "ada")?,
            emil: Shopper::new(system, &http, "emil")?,
            next: report::next_order(&system.data)?,
            system,
            http,
            scene: 0,
            surprises: 0,
        })
    }

    fn title(&mut self, title: &str) {
        self.scene += 1;
        say(format_args!("\n{}. {title}", self.scene));
    }

    fn key(&mut self) -> String {
        let key = report::order_key(self.next);
        self.next += 1;
        key
    }

    /// Places an order and tells what came of it.
    async fn order(&mut self, who: &Shopper, sku: &str, quantity: u32) -> anyhow::Result<Answer> {
        let key = self.key();
        let answer = who.order(&key, sku, quantity).await?;
        let code = answer.status.as_u16();
        let status = match answer.text("status") {
            "" => answer.text("error"),
            status => status,
        };
        say(format_args!(
            "   {key}: {quantity} x {sku} -> {code} {status}"
        ));
        for what in answer.trail() {
            say(format_args!("     - {what}"));
        }
        Ok(answer)
    }

    /// The scene is not as told unless this holds.
    fn expect(&mut self, holds: bool, what: impl Display) {
        if !holds {
            self.surprises += 1;
            say(format_args!("   UNEXPECTED: {what}"));
        }
    }

    /// Makes a service fail, or stops it: `json!({})`.
    async fn faults(&self, of: Name, plan: Value) -> anyhow::Result<()> {
        let url = format!("{}/admin/faults", self.system.url(of));
        self.http
            .post(url)
            .json(&plan)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// How the breaker in front of payments stands, and through which states it went.
    async fn payments_breaker(&self) -> anyhow::Result<(String, String)> {
        let url = format!("{}/guards", self.system.url(Name::Orders));
        let guards: Value = self.http.get(url).send().await?.json().await?;
        let text = |pointer| {
            guards
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let changes = guards
            .pointer("/payments/changes")
            .and_then(Value::as_array);
        let changes: Vec<_> = changes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        Ok((text("/payments/state").to_owned(), changes.join(", then ")))
    }
}

/// No faults.
fn none() -> Value {
    json!({})
}
