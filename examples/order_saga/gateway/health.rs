//! `/health/ready`: may requests be sent here? `/health`: how is everybody?
//!
//! The first is for whoever spreads the load, and says nothing of the services behind: a gateway
//! that went out of service with each of them would take all down for one. The second is for people.
use crate::{clients, name::Name, service::Surroundings, service::log};
use axum::{Json, Router, extract::State, http::StatusCode, routing};
use seawall::Timeout;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet};

struct Health {
    http: reqwest::Client,
    services: Vec<(Name, String)>,
    limit: Timeout,
    ending: watch::Receiver<bool>,
}

pub fn routes(around: &Surroundings, http: reqwest::Client) -> anyhow::Result<Router> {
    let health = Health {
        http,
        services: around.flags.peers.clone(),
        limit: Timeout::after(Duration::from_millis(500))
            .name("health check")
            .build()?,
        ending: around.ending.clone(),
    };
    Ok(Router::new()
        .route("/health/ready", routing::get(ready))
        .route("/health", routing::get(all))
        .with_state(Arc::new(health)))
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    if *health.ending.borrow() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "ending" })),
        );
    }
    (StatusCode::OK, Json(json!({ "status": "up" })))
}

async fn all(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    let mut checks = JoinSet::new();
    for (name, url) in health.services.clone() {
        let health = health.clone();
        checks.spawn(async move { (name, health.check(&url).await) });
    }
    let mut checks = checks.join_all().await;
    checks.sort_by_key(|(name, _)| *name);
    let up = checks.iter().all(|(_, check)| check.error.is_none());
    let status = if up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let checks: Vec<Value> = checks
        .into_iter()
        .map(|(name, check)| check.json(name))
        .collect();
    let word = if up { "up" } else { "down" };
    (status, Json(json!({ "status": word, "checks": checks })))
}

struct Check {
    took: Duration,
    error: Option<String>,
}

impl Check {
    fn json(self, name: Name) -> Value {
        json!({
            "name": name.as_str(),
            "status": if self.error.is_none() { "up" } else { "down" },
            // To the microsecond.
            "time_ms": self.took.as_micros() as f64 / 1e3,
            "error": self.error,
        })
    }
}

impl Health {
    async fn check(&self, url: &str) -> Check {
        let begun = log::now();
        let asked = self
            .limit
            .run(|| self.http.get(format!("{url}/health/ready")).send())
            .await;
        let error = match asked {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answered {}", answer.status().as_u16())),
            Err(seawall::Error::Inner(error)) => Some(clients::broken(&error).to_owned()),
            Err(seawall::Error::Rejected(refused)) => Some(refused.to_string()),
        };
        let took = begun.elapsed();
        Check { took, error }
    }
}
