//! What a guarded call costs: one operation that is ready at once, behind each policy, ours and
//! others'. A case runs it in a loop and looks at the answer as a caller would.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench table` prints the table,
//! `--bench groups` runs criterion. Sagas have a module and a bench of their own.
pub mod case;
pub mod cases;
pub mod guards;
pub mod heap;
pub mod measure;
mod operation;
pub mod sagas;

use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);
