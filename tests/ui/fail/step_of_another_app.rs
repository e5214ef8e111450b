//~ `Mail` is not a saga step for the application `Shop`
use seawall::saga::{Abort, Context, Failure, Saga, Step, StepContext};
use serde::{Deserialize, Serialize};

struct Shop;

#[derive(Serialize, Deserialize)]
struct Mail;

impl Step<()> for Mail {
    const NAME: &'static str = "mail";
    type Output = ();
    async fn run(&self, _: &(), _: &StepContext) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Order;

impl Saga<Shop> for Order {
    const NAME: &'static str = "order";
    type Output = ();
    type Steps = (Mail,);
    async fn run(&self, _: &Context<Shop, Self>) -> Result<(), Abort> {
        Ok(())
    }
}

fn main() {}
