//~ `Mail` is not a saga step for the application `()`
use seawall::saga::{Abort, Context, Saga};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Mail;

#[derive(Serialize, Deserialize)]
struct Order;

impl Saga<()> for Order {
    const NAME: &'static str = "order";
    type Output = ();
    type Steps = ();
    async fn run(&self, saga: &Context<(), Self>) -> Result<(), Abort> {
        saga.step(Mail).await?;
        Ok(())
    }
}

fn main() {}
