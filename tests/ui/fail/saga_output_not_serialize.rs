//~ `Receipt` cannot be kept in a saga's journal
use seawall::saga::{Abort, Engine, Flow, MemoryStore};

struct Receipt;

fn main() {
    let mut b = Engine::builder((), MemoryStore::new());
    b.saga("order", async |_: Flow, _: u64| Ok::<_, Abort>(Receipt));
}
