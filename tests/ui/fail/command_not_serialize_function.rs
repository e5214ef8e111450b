//~ `Charge` cannot be kept in a saga's journal
use seawall::saga::{Engine, Failure, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

struct Charge {
    cents: u64,
}

async fn charge(_: Arc<()>, _: StepContext, charge: Charge) -> Result<u64, Failure> {
    Ok(charge.cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo).register();
}
