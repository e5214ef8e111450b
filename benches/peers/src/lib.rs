//! What a guarded call costs: one operation that is ready at once, behind each policy, ours and
//! others'. A case runs it in a loop and looks at the answer as a caller would.
//!
//! Four benches, by `cargo bench --manifest-path benches/peers/Cargo.toml --bench NAME`: `table`
//! prints all cases beside each other, `groups` runs them through criterion, `builds` measures what
//! it takes to compile each crate, `sagas` what a durable saga costs. With `-- --write`, all but
//! `groups` put what they print into `docs/benchmarks.md`, and a little of it into `README.md`.
pub mod builds;
pub mod case;
pub mod cases;
pub mod document;
pub mod groups;
pub mod guards;
pub mod heap;
pub mod idle;
pub mod machine;
pub mod measure;
mod operation;
pub mod sagas;
pub mod table;
pub mod targets;

use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);
