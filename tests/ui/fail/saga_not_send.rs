//~ future cannot be sent between threads safely
use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

use std::rc::Rc;

async fn charge(_: Arc<()>, _: StepContext, cents: u64) -> Result<u64, Failure> {
    Ok(cents)
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    let charge = b.step("charge", charge, nothing_to_undo).register();
    b.saga("order", move |saga: Flow, cents: u64| async move {
        let cents = Rc::new(cents);
        saga.call(charge, *cents).await?;
        Ok::<_, Abort>(*cents)
    });
}
