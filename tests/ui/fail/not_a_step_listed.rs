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
    type Steps = (Mail,);
    async fn run(&self, _: &Context<(), Self>) -> Result<(), Abort> {
        Ok(())
    }
}

fn main() {}
