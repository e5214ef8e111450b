//! What it takes to compile each crate alone: seconds on this machine, and how many crates.
use crate::sagas::Error;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A crate, or the crates that one takes together, as a manifest names them.
pub struct Taken {
    pub who: &'static str,
    /// Lines of `[dependencies]`; `PATH` is where our crate is.
    pub dependencies: &'static str,
    /// The package beside this one whose lockfile has the versions.
    pub lock: &'static str,
}

const fn peer(who: &'static str, dependencies: &'static str) -> Taken {
    Taken {
        who,
        dependencies,
        lock: "peers",
    }
}

const fn saga(who: &'static str, dependencies: &'static str) -> Taken {
    Taken {
        who,
        dependencies,
        lock: "saga_peers",
    }
}

/// With the features that the tables are measured with.
pub const TAKEN: [Taken; 13] = [
    peer("seawall", r#"seawall = { path = "PATH" }"#),
    peer(
        "tokio alone (rt, sync, time), which most of them have",
        r#"tokio = { version = "1", default-features = false, features = ["rt", "sync", "time"] }"#,
    ),
    peer(
        "tower (limit, load-shed, retry, timeout, util)",
        r#"tower = { version = "0.5", features = ["limit", "load-shed", "retry", "timeout", "util"] }"#,
    ),
    peer(
        "tower-resilience, the same five",
        r#"tower-resilience = { version = "0.13", features = ["bulkhead", "circuitbreaker", "ratelimiter", "retry", "timelimiter"] }"#,
    ),
    peer(
        "by hand: tokio, backon, failsafe, governor",
        r#"tokio = { version = "1", default-features = false, features = ["rt", "sync", "time"] }
backon = { version = "1.6", default-features = false, features = ["std", "tokio-sleep"] }
failsafe = "1.3"
governor = { version = "0.10", default-features = false, features = ["std", "quanta"] }"#,
    ),
    peer(
        "backon",
        r#"backon = { version = "1.6", default-features = false, features = ["std", "tokio-sleep"] }"#,
    ),
    peer(
        "circuitbreaker-rs (async)",
        r#"circuitbreaker-rs = { version = "0.1.1", features = ["async"] }"#,
    ),
    peer("failsafe", r#"failsafe = "1.3""#),
    peer(
        "governor",
        r#"governor = { version = "0.10", default-features = false, features = ["std", "quanta"] }"#,
    ),
    peer("recloser", r#"recloser = "1.4""#),
    peer(
        "seawall with durable sagas on SQLite, which it compiles too",
        r#"seawall = { path = "PATH", features = ["sqlite"] }"#,
    ),
    saga(
        "cano (recovery, on redb)",
        r#"cano = { version = "0.15", features = ["recovery"] }"#,
    ),
    saga("steno", r#"steno = "0.5""#),
];

/// duroxide needs OpenSSL's headers and pkg-config, which are no crates.
pub const DUROXIDE: Taken = saga(
    "duroxide (sqlite)",
    r#"duroxide = { version = "0.1.32", features = ["sqlite"] }"#,
);

/// How many crates and how many seconds.
pub struct Built {
    pub crates: usize,
    pub seconds: f64,
}

impl Taken {
    /// Builds a program that only depends on it, in a new folder with a target of its own. Its crates
    /// are fetched before the clock runs.
    pub fn build(&self, folder: &Path) -> Result<Built, Error> {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let ours = packages.join("..").canonicalize()?;
        let ours = ours.to_str().ok_or("a path that is no text")?;
        let dependencies = self.dependencies.replace("PATH", ours);
        let manifest = format!(
            "[package]\nname = \"fresh\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\n{dependencies}\n"
        );
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::write(folder.join("src/main.rs"), "fn main() {}\n")?;
        let lock = packages.join(self.lock).join("Cargo.lock");
        fs::copy(lock, folder.join("Cargo.lock"))?;
        cargo(folder, &["fetch", "-q"])?;
        let tree = ["tree", "--prefix", "none", "-e", "normal,build"];
        let tree = cargo(folder, &[&tree[..], &["--format", "{p}"]].concat())?;
        let crates: BTreeSet<&str> = tree
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .map(|line| line.trim_end_matches(" (proc-macro)"))
            .filter(|line| !line.is_empty() && !line.starts_with("fresh "))
            .collect();
        let start = Instant::now();
        cargo(folder, &["build", "-q", "--release", "--offline"])?;
        Ok(Built {
            crates: crates.len(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// cargo, as `cargo bench` runs this program, but with no word of this build.
fn cargo(folder: &Path, words: &[&str]) -> Result<String, Error> {
    let program = std::env::var_os("CARGO").map_or("cargo".into(), PathBuf::from);
    let done = Command::new(program)
        .args(words)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("cargo {words:?}: {said}").into());
    }
    Ok(String::from_utf8(done.stdout)?)
}
