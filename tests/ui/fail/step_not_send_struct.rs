//~ future cannot be sent between threads safely
use seawall::saga::{Failure, Step, StepContext};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

#[derive(Serialize, Deserialize)]
struct Charge(u64);

impl Step<()> for Charge {
    const NAME: &'static str = "charge";
    type Output = u64;
    async fn run(&self, _: &(), _: &StepContext) -> Result<u64, Failure> {
        let cents = Rc::new(self.0);
        std::future::ready(()).await;
        Ok(*cents)
    }
}

fn main() {}
