//~ type must satisfy the static lifetime
//~ implementation of `Deserialize` is not general enough
use seawall::saga::{Failure, Step, StepContext};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Reserve<'a> {
    sku: &'a str,
}

impl Step<()> for Reserve<'_> {
    const NAME: &'static str = "reserve";
    type Output = usize;
    async fn run(&self, _: &(), _: &StepContext) -> Result<usize, Failure> {
        Ok(self.sku.len())
    }
}

fn main() {}
