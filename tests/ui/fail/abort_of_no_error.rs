//~ `?` couldn't convert the error
use seawall::saga::{Abort, Flow};

struct Declined;

fn check(_: u64) -> Result<(), Declined> {
    Err(Declined)
}

async fn order(_: Flow, cents: u64) -> Result<(), Abort> {
    check(cents)?;
    Ok(())
}

fn main() {
    let _ = order;
}
