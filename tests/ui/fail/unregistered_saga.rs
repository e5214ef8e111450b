//~ expected `SagaRef<
use seawall::saga::{Engine, StartError};

async fn place(engine: &Engine<()>) -> Result<(), StartError> {
    engine.start("order", "order-42", 7u64).await?;
    Ok(())
}

fn main() {
    let _ = place;
}
