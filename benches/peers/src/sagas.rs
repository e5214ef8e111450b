//! Durable sagas of three steps: how many end per second, ours beside other crates' and beside the
//! rows alone; what they cost while nobody looks; and how soon a restart goes on with them.
pub mod disk;
pub mod footprint;
pub mod live;
mod load;
pub mod ours;
pub mod peer;
pub mod raw;
pub mod restart;
pub mod rows;
pub mod store;
pub mod table;
pub mod waiting;

use std::time::Duration;

/// Somebody who runs three-step sagas, in rounds.
pub trait Contender {
    /// Runs sagas with so many clients for so long, and gives how many ended per second.
    fn round(&mut self, clients: usize, span: Duration) -> Result<f64, Error>;
}

/// What ends the bench.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
