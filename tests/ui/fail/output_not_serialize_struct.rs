//~ #[derive(serde::Serialize)]
//~ #[derive(serde::Deserialize)]
//~ `Receipt`
use seawall::saga::{Failure, Step, StepContext};
use serde::{Deserialize, Serialize};

struct Receipt;

#[derive(Serialize, Deserialize)]
struct Charge;

impl Step<()> for Charge {
    const NAME: &'static str = "charge";
    type Output = Receipt;
    async fn run(&self, _: &(), _: &StepContext) -> Result<Receipt, Failure> {
        Ok(Receipt)
    }
}

fn main() {}
