//~ type mismatch in function arguments
use seawall::saga::{Engine, Failure, MemoryStore, Outcome, StepContext};
use std::sync::Arc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

async fn release(_: Arc<()>, _: StepContext, _: String, _: Outcome<u64>) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, release).register();
}
