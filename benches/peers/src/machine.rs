//! What a figure was measured on, with which versions, and when.
use std::fs;
use std::process::Command;

/// The processor, the compiler, the day, and who else wanted the processor, in a line.
pub fn line() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{}, {cores} cores, load {load}, {}, {}.",
        processor().unwrap_or_else(|| "an unknown processor".into()),
        said_by("rustc", &["--version"]),
        said_by("date", &["-u", "+%-d %B %Y, %H:%M UTC"])
    )
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = info.lines().find(|line| line.starts_with("model name"))?;
    Some(model.split(':').nth(1)?.trim().to_owned())
}

fn said_by(program: &str, words: &[&str]) -> String {
    match Command::new(program).args(words).output() {
        Ok(said) => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        Err(e) => format!("{program}: {e}"),
    }
}

/// These crates with their versions in the lockfile of a package beside this one, in a line.
pub fn versions(package: &str, crates: &[&str]) -> String {
    let path = format!("{}/../{package}/Cargo.lock", env!("CARGO_MANIFEST_DIR"));
    let lock = fs::read_to_string(path).unwrap_or_default();
    let each = crates.iter().map(|name| {
        let version = lock
            .split("[[package]]")
            .find(|p| p.contains(&format!("\nname = \"{name}\"\n")))
            .and_then(|p| p.split("\nversion = \"").nth(1)?.split('"').next());
        format!("{name} {}", version.unwrap_or("?"))
    });
    each.collect::<Vec<_>>().join(", ")
}
