//~ Result<_, Failure>
//~ Result<_, String>
use seawall::saga::{Engine, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, String> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo).register();
}
