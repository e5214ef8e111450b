//! A customer: someone with a token, on the other side of the gateway.
use crate::{name::Name, system::System};
use axum::http::StatusCode;
use reqwest::Method;
use seawall::{BuildError, Pipeline, Retry, Timeout, dialect::Http, retry::Backoff};
use serde_json::{Value, json};
use std::time::Duration;

/// Talks to the gateway. Clones share connections.
#[derive(Clone)]
pub struct Shopper {
    http: reqwest::Client,
    gateway: String,
    token: String,
    guard: Pipeline<Http>,
}

/// An answer of the gateway.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Value,
}

impl Answer {
    /// The text at `key`, or nothing.
    pub fn text(&self, key: &str) -> &str {
        self.body
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// What an order has been through.
    pub fn trail(&self) -> impl Iterator<Item = &str> {
        let trail = self.body.get("trail").and_then(Value::as_array);
        trail.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Shopper {
    pub fn new(system: &System, http: &reqwest::Client, customer: &str) -> anyhow::Result<Shopper> {
        Ok(Shopper {
            http: http.clone(),
            gateway: system.url(Name::Gateway).to_owned(),
            token: system.token(customer, crate::ALL_SCOPES)?,
            guard: guard()?,
        })
    }

    /// The same customer with another token; `None` for no token at all.
    pub fn with_token(&self, token: Option<String>) -> Shopper {
        Shopper {
            token: token.unwrap_or_default(),
            ..self.clone()
        }
    }

    /// One request, sent once, whatever comes of it.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        read(self.request(Method::GET, path).send().await?).await
    }

    /// Orders. The key makes it one order, however often it has to be sent.
    pub async fn order(&self, key: &str, sku: &str, quantity: u32) -> anyhow::Result<Answer> {
        let answer = self
            .guard
            .run(|| {
                self.request(Method::POST, "/api/orders")
                    .header("idempotency-key", key)
                    // Several requests about one order can be told from the rest in every log.
                    .header("x-correlation-id", key)
                    .json(&json!({ "sku": sku, "quantity": quantity }))
                    .send()
            })
            .await?;
        read(answer).await
    }

    /// Orders, and asks again for as long as the answer is that it is being seen to (202). Each of
    /// these is waited for at the other end.
    pub async fn order_to_its_end(
        &self,
        key: &str,
        sku: &str,
        quantity: u32,
    ) -> anyhow::Result<Answer> {
        let mut answer = self.order(key, sku, quantity).await?;
        for _ in 0..MOST_QUESTIONS {
            if answer.status != StatusCode::ACCEPTED {
                break;
            }
            answer = self.order(key, sku, quantity).await?;
        }
        Ok(answer)
    }

    /// Changes her mind.
    pub async fn cancel(&self, key: &str) -> anyhow::Result<Answer> {
        let path = format!("/api/orders/{key}/cancel");
        read(self.request(Method::POST, &path).send().await?).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.gateway));
        match self.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        }
    }
}

/// Beyond an order's own deadline.
const MOST_QUESTIONS: u32 = 40;

fn guard() -> Result<Pipeline<Http>, BuildError> {
    Pipeline::builder("gateway")
        .with(Retry::attempts(3).backoff(Backoff::exponential(Duration::from_millis(100))))
        .with(Timeout::after(Duration::from_secs(30)))
        .classify(Http)
        .build()
}

async fn read(answer: reqwest::Response) -> anyhow::Result<Answer> {
    let header = answer.headers().get("retry-after");
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer {
        status: answer.status(),
        retry_after: seconds.map(Duration::from_secs),
        body: answer.json().await.unwrap_or_default(),
    })
}
