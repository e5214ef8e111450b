//~ unused `StepBuilder` that must be used
//~ a step is there once it is registered
#![deny(unused_must_use)]
use seawall::saga::{Engine, Failure, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo);
}
