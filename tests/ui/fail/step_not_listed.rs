//~ step `Charge` is not listed in this saga's `type Steps = (Reserve,)`
use seawall::saga::{Abort, Context, Failure, Saga, Step, StepContext};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Reserve;

impl Step<()> for Reserve {
    const NAME: &'static str = "reserve";
    type Output = ();
    async fn run(&self, _: &(), _: &StepContext) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Charge;

impl Step<()> for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
    async fn run(&self, _: &(), _: &StepContext) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Order;

impl Saga<()> for Order {
    const NAME: &'static str = "order";
    type Output = ();
    type Steps = (Reserve,);
    async fn run(&self, saga: &Context<(), Self>) -> Result<(), Abort> {
        saga.step(Reserve).await?;
        saga.step(Charge).await?;
        Ok(())
    }
}

fn main() {}
