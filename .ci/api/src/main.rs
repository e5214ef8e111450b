//! What the crate promises, read from rustdoc: run from anywhere in the repository.
//!
//! ```text
//! cargo run --manifest-path .ci/api/Cargo.toml               compare and list; exits 1 if something is amiss
//! cargo run --manifest-path .ci/api/Cargo.toml -- --write    write tests/golden/public_api.txt anew
//! cargo run --manifest-path .ci/api/Cargo.toml -- --release  the same, and call that what is released
//! ```
//!
//! 1. The public API is what `tests/golden/public_api.txt` says (`snapshot.rs`).
//! 2. What is gone since the last release stands in the changelog as breaking (`release.rs`).
//! 3. Every public item is documented with the facts a user needs (`facts.rs`).
//! 4. Every public type is in the table of auto traits (`auto_traits.rs`).
mod auto_traits;
mod declared;
mod facts;
mod release;
mod rustdoc;
mod snapshot;

use std::{error::Error, fs, path::Path, process::ExitCode};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match check() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(amiss) => {
            println!("{amiss} amiss");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// How many things are amiss. Each has been printed.
fn check() -> Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let order = std::env::args().nth(1);
    let api = rustdoc::read(&root)?;
    let now = snapshot::text(&api);

    let golden = root.join("tests/golden/public_api.txt");
    match order.as_deref() {
        None => {}
        Some("--write") => fs::write(&golden, &now)?,
        Some("--release") => {
            fs::write(&golden, &now)?;
            release::write(&root, &now)?;
        }
        Some(other) => return Err(format!("`{other}` is neither --write nor --release").into()),
    }
    let mut amiss = snapshot::compare(&fs::read_to_string(&golden)?, &now);
    amiss.extend(release::compare(&root, &now)?);
    amiss.extend(facts::missing(&api));
    amiss.extend(auto_traits::missing(&root, &api)?);
    for line in &amiss {
        println!("{line}");
    }
    println!(
        "{} public items in {} lines",
        api.items.len(),
        now.lines().count()
    );
    Ok(amiss.len())
}
