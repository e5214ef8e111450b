//~ Into<Failure>` is not satisfied
//~ std::error::Error` is not implemented for `Declined`
use seawall::saga::{Engine, MemoryStore, StepCall, nothing_to_undo};
use std::{future::Ready, task::{Context, Poll}};
use tower_service::Service;

struct Declined;

#[derive(Clone)]
struct Payments;

impl Service<StepCall<u64>> for Payments {
    type Response = u64;
    type Error = Declined;
    type Future = Ready<Result<u64, Declined>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Declined>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, call: StepCall<u64>) -> Self::Future {
        std::future::ready(Ok(*call.request()))
    }
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.service("charge", Payments, nothing_to_undo).register();
}
