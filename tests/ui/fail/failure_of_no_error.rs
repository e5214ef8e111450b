//~ `?` couldn't convert the error
use seawall::saga::{Failure, StepContext};
use std::sync::Arc;

struct Declined;

fn ask() -> Result<u64, Declined> {
    Err(Declined)
}

async fn charge(_: Arc<()>, _: StepContext, _: u64) -> Result<u64, Failure> {
    Ok(ask()?)
}

fn main() {
    let _ = charge;
}
