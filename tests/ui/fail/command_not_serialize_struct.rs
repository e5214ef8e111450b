//~ `Charge` type
//~ #[derive(serde::Serialize)]
//~ #[derive(serde::Deserialize)]
use seawall::saga::{Failure, Step, StepContext};

struct Charge {
    cents: u64,
}

impl Step<()> for Charge {
    const NAME: &'static str = "charge";
    type Output = u64;
    async fn run(&self, _: &(), _: &StepContext) -> Result<u64, Failure> {
        Ok(self.cents)
    }
}

fn main() {}
