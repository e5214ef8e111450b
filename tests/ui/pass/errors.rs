//! `?` on errors of every kind, in steps and in sagas.
use seawall::saga::{Abort, Failure, Flow, StepContext, StepFailed, StepRef};
use std::sync::Arc;

async fn step(_: Arc<()>, _: StepContext, n: u64) -> Result<u64, Failure> {
    let n: u64 = n.to_string().parse()?;
    let boxed: Result<(), Box<dyn std::error::Error + Send + Sync>> = Ok(());
    boxed?;
    if n == 0 {
        return Err("zero".into());
    }
    other(n).await?;
    Ok(n)
}

async fn other(n: u64) -> Result<(), Failure> {
    std::io::Result::Ok(())?;
    (n < 7).then_some(()).ok_or(Failure::refused("too many"))
}

async fn saga(saga: Flow, step: StepRef<u64, u64>) -> Result<u64, Abort> {
    match saga.call(step, 7).await {
        Ok(n) => Ok(n),
        Err(StepFailed { clean: true, .. }) => Err(Abort::new("declined")),
        Err(other) => Err(other)?,
    }
}

fn main() {
    let (_, _) = (step, saga);
}
