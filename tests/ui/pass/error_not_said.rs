//! The error of a saga is known without being said.
use seawall::saga::{Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    let charge = b.step("charge", charge, nothing_to_undo).register();
    b.saga("order", move |saga: Flow, cents: u64| async move {
        let paid = saga.call(charge, cents).await?;
        Ok(paid)
    });
}
