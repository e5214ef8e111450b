//~ `Order` cannot be kept in a saga's journal
use seawall::saga::{Abort, Engine, Flow, MemoryStore};

#[derive(serde::Serialize)]
struct Order;

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.saga("order", async |_: Flow, _: Order| Ok::<_, Abort>(1));
}
