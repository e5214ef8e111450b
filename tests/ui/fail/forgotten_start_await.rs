//~ unused `Starting` that must be used
//~ nothing is started until it is awaited
#![deny(unused_must_use)]
use seawall::saga::{Engine, SagaRef};

fn place(engine: &Engine<()>, order: SagaRef<u64, u64>) {
    engine.start(order, "order-42", 7);
}

fn main() {
    let _ = place;
}
