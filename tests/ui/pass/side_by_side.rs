//! Steps side by side, of one type and of several.
use futures_util::future::try_join_all;
use seawall::saga::{Abort, Engine, Failure, Flow, MemoryStore, StepContext, nothing_to_undo};
use std::sync::Arc;

async fn double(_: Arc<()>, _: StepContext, n: u64) -> Result<u64, Failure> {
    Ok(2 * n)
}

async fn length(_: Arc<()>, _: StepContext, s: String) -> Result<usize, Failure> {
    Ok(s.len())
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    let double = b.step("double", double, nothing_to_undo).register();
    let length = b.step("length", length, nothing_to_undo).register();
    b.saga("order", move |saga: Flow, all: Vec<u64>| async move {
        let (two, three) = tokio::try_join!(
            saga.call(double, 1),
            saga.call(length, "abc".to_owned()),
        )?;
        let each = try_join_all(all.into_iter().map(|n| saga.call(double, n))).await?;
        Ok::<_, Abort>((two, three, each))
    });
}
