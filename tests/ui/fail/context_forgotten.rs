//~ to take 3 arguments
use seawall::saga::{Engine, Failure, MemoryStore, nothing_to_undo};
use std::sync::Arc;

async fn charge(_: Arc<()>, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo).register();
}
