//! Steps from async closures, from closures that capture, and of an application that is no `Clone`.
use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

struct Shop {
    rate: u64,
}

fn main() {
    let mut b = Engine::builder(Shop { rate: 3 }, MemoryStore::new());
    let client = String::from("client");
    let one = b
        .step(
            "one",
            async |shop: Arc<Shop>, _: StepContext, n: u64| Ok(shop.rate * n),
            async |_, _, _, _| Ok(()),
        )
        .register();
    let two = b
        .step(
            "two",
            move |_: Arc<Shop>, cx: StepContext, n: u64| {
                let client = client.clone();
                async move { Ok::<_, Failure>(format!("{client} {n} {}", cx.idempotency_key())) }
            },
            nothing_to_undo,
        )
        .register();
    b.saga("order", move |saga: Flow, n: u64| async move {
        let n = saga.call(one, n).await?;
        Ok::<_, Abort>(saga.call(two, n).await?)
    });
}
