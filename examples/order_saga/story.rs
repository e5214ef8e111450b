//! The story: nine scenes, most of them a failure and what becomes of it. The scenes are in
//! `story/scenes.rs` (orders), `story/outages.rs` (services that fail) and `story/sagas.rs` (what has
//! to end well in spite of it).
mod outages;
mod sagas;
mod scenes;

use crate::name::Name;
use crate::shopper::{Answer, Shopper};
use crate::{End, clients, report, say, service::log, system::System};
use serde_json::{Value, json};
use std::{fmt::Display, time::Duration};

/// Tells it.
pub async fn tell(system: &mut System) -> anyhow::Result<End> {
    say("Six services, each a process with an SQLite file of its own, that talk over HTTP alone:");
    for (name, url, pid) in system.services() {
        say(format_args!("  {name:<14} {url}  pid {}", pid.unwrap_or(0)));
    }
    let mut stage = Stage::new(system)?;
    stage.what_is_left().await?;
    scenes::good_order(&mut stage).await?;
    scenes::out_of_stock(&mut stage).await?;
    scenes::declined_card(&mut stage).await?;
    outages::payments_down(&mut stage).await?;
    outages::slow_inventory(&mut stage).await?;
    sagas::lost_answer(&mut stage).await?;
    sagas::orders_killed(&mut stage).await?;
    sagas::stuck_refund(&mut stage).await?;
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
        say(format_args!(
            "   {key}: {quantity} x {sku} -> {}",
            in_short(&answer)
        ));
        for what in answer.trail() {
            say(format_args!("     - {what}"));
        }
        Ok(answer)
    }

    /// Asks for an order again that was answered `before`, and tells what is new.
    async fn again(&mut self, who: &Shopper, before: &Answer) -> anyhow::Result<Answer> {
        let key = before.text("key").to_owned();
        let sku = before.text("sku").to_owned();
        let quantity = before.body.get("quantity").and_then(Value::as_u64);
        let quantity = quantity.and_then(|n| u32::try_from(n).ok());
        let answer = who.order(&key, &sku, quantity.unwrap_or(0)).await?;
        say(format_args!("   {key} again -> {}", in_short(&answer)));
        for what in answer.trail().skip(before.trail().count()) {
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

    /// Looks again and again, for a few seconds.
    async fn until<T>(
        &self,
        otherwise: &str,
        look: impl AsyncFn(&Stage<'a>) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let begun = log::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(seen) = look(self).await? {
                return Ok(seen);
            }
            clients::pause(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{otherwise}")
    }

    /// An earlier run may have been killed when a saga was stuck, before anybody could see to it.
    async fn what_is_left(&self) -> anyhow::Result<()> {
        for saga in self.all_stuck().await? {
            let id = saga.get("id").unwrap_or(&Value::Null);
            let answer = self.sign(id, "retry", "payments is mended").await?;
            say(format_args!(
                "An earlier run has left saga {id} stuck. It is tried again: {answer}"
            ));
        }
        Ok(())
    }

    /// The sagas that wait for a person.
    async fn all_stuck(&self) -> anyhow::Result<Vec<Value>> {
        let url = format!("{}/sagas/stuck", self.system.url(Name::Orders));
        let all: Value = self.http.get(&url).send().await?.json().await?;
        let sagas = all.get("sagas").and_then(Value::as_array);
        Ok(sagas.cloned().unwrap_or_default())
    }

    /// That of this order among them, once it is there.
    async fn stuck(&self, key: &str) -> anyhow::Result<Value> {
        self.until("nothing is stuck", async |stage: &Stage<'_>| {
            let mine = |saga: &Value| saga.get("key").is_some_and(|its| its == key);
            Ok(stage.all_stuck().await?.into_iter().find(mine))
        })
        .await
    }

    /// All that has happened to a saga, as a table.
    async fn saga(&self, id: &Value) -> anyhow::Result<String> {
        let url = format!("{}/sagas/{id}", self.system.url(Name::Orders));
        Ok(self.http.get(url).send().await?.text().await?)
    }

    /// The same, once it has ended.
    async fn ended(&self, id: &Value) -> anyhow::Result<String> {
        self.until("the saga does not end", async |stage: &Stage<'_>| {
            let told = stage.saga(id).await?;
            let ended = told.lines().any(|line| line.contains(" compensated "));
            Ok(ended.then_some(told))
        })
        .await
    }

    /// Signs for what is to be done with a stuck saga.
    async fn sign(&self, id: &Value, what: &str, note: &str) -> anyhow::Result<String> {
        let url = format!("{}/sagas/{id}/{what}", self.system.url(Name::Orders));
        let signed = json!({ "by": "grace", "note": note });
        let answer = self.http.post(url).json(&signed).send().await?;
        let code = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        Ok(match body.get("error").and_then(Value::as_str) {
            Some(why) => format!("{code} {why}"),
            None => format!("{code}"),
        })
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

/// `201 confirmed`.
fn in_short(answer: &Answer) -> String {
    let status = match answer.text("status") {
        "" => answer.text("error"),
        status => status,
    };
    format!("{} {status}", answer.status.as_u16())
}

/// No faults.
fn none() -> Value {
    json!({})
}
