//! The struct form, with a step that borrows from itself across an await.
use seawall::saga::{Abort, Context, Engine, Failure, MemoryStore, Outcome, Saga, Step, StepContext};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Reserve {
    sku: String,
}

impl Step<u32> for Reserve {
    const NAME: &'static str = "reserve";
    type Output = String;
    async fn run(&self, app: &u32, cx: &StepContext) -> Result<String, Failure> {
        let sku = self.sku.as_str();
        std::future::ready(app).await;
        Ok(format!("{sku} under {}", cx.idempotency_key()))
    }
    async fn undo(&self, _: &u32, _: &StepContext, _: Outcome<String>) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Order {
    sku: String,
}

impl Saga<u32> for Order {
    const NAME: &'static str = "order";
    type Output = String;
    type Steps = (Reserve,);
    async fn run(&self, saga: &Context<u32, Self>) -> Result<String, Abort> {
        let sku = self.sku.clone();
        Ok(saga.step(Reserve { sku }).await?)
    }
}

fn main() {
    Engine::builder(7, MemoryStore::new()).register::<Order>();
}
