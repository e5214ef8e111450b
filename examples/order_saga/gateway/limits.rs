//! So many calls per second for each client.
use crate::service::{log, problem::Problem};
use axum::http::StatusCode;
use seawall::RateLimit;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// One rate limit for each client seen lately.
pub struct Limits {
    per_second: u32,
    clients: Mutex<HashMap<String, (RateLimit, Instant)>>,
}

/// How many clients are remembered. Beyond, whoever was quiet for longest begins anew.
const MOST: usize = 10_000;

impl Limits {
    pub fn new(per_second: u32) -> Limits {
        Limits {
            per_second,
            clients: Mutex::default(),
        }
    }

    /// The limit of this client. Only those with a valid token get here, so nobody can make us
    /// remember names at will.
    pub fn of(&self, client: &str) -> Result<RateLimit, Problem> {
        let now = log::now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((limit, seen)) = clients.get_mut(client) {
            *seen = now;
            return Ok(limit.clone());
        }
        if clients.len() >= MOST {
            let quietest = clients.iter().min_by_key(|(_, (_, seen))| *seen);
            if let Some(quietest) = quietest.map(|(id, _)| id.clone()) {
                clients.remove(&quietest);
            }
        }
        let limit = RateLimit::per_second(self.per_second)
            .burst(self.per_second)
            .name("client")
            .build()
            .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
        clients.insert(client.to_owned(), (limit.clone(), now));
        Ok(limit)
    }
}
