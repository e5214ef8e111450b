//~ `Receipt` cannot be kept in a saga's journal
use seawall::saga::{Engine, Failure, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

struct Receipt;

async fn charge(_: Arc<()>, _: StepContext, _: u64) -> Result<Receipt, Failure> {
    Ok(Receipt)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo).register();
}
