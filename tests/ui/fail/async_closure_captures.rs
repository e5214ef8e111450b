//~ async closure does not implement `Fn` because it captures state from its environment
use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    let charge = b.step("charge", charge, nothing_to_undo).register();
    b.saga("order", async move |saga: Flow, cents: u64| {
        Ok::<_, Abort>(saga.call(charge, cents).await?)
    });
}
