//~ future cannot be sent between threads safely
use seawall::saga::{Engine, Failure, MemoryStore, StepContext, nothing_to_undo};
use std::{rc::Rc, sync::Arc};

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    let cents = Rc::new(cents);
    std::future::ready(()).await;
    Ok(*cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.step("charge", charge, nothing_to_undo).register();
}
