//~ Deserialize` is not general enough
use seawall::saga::{Engine, Failure, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn reserve(_: Arc<()>, _: StepContext, sku: &'static str) -> Result<usize, Failure> {
    Ok(sku.len())
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("reserve", reserve, nothing_to_undo).register();
}
