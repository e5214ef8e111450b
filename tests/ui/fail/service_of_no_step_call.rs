//~ the trait bound `Payments: Service<StepCall<_>>` is not satisfied
use seawall::saga::{Engine, MemoryStore, nothing_to_undo};
use tower_service::Service;

#[derive(Clone)]
struct Payments;

impl Service<u64> for Payments {
    type Response = u64;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<u64, std::io::Error>>;
    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, cents: u64) -> Self::Future {
        std::future::ready(Ok(cents))
    }
}

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.service("charge", Payments, nothing_to_undo).register();
}
