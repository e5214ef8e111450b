//! What the compiler says of the usual mistakes, and that what should compile does.
//!
//! Each file of `tests/ui/fail` opens with what its errors have to contain (`//~`): our own words,
//! or such of rustc's as have long been the same. Beside it stands all that is said, to be read as a
//! newcomer does; it is compared only with the compiler that wrote it (`tests/ui/rustc.txt`), since
//! others word it differently. `SEAWALL_BLESS=1` writes it anew.
//!
//! All files are binaries of one package that is checked once, with no feature but `saga`: that is
//! quicker by far than to build the crate for each, or with what its other tests need.
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const PACKAGE: &str = r#"[package]
name = "ui"
version = "0.0.0"
edition = "2024"
autobins = false

[workspace]

[dependencies]
seawall = { path = "SEAWALL", features = ["saga"] }
futures-util = { version = "0.3", default-features = false, features = ["std"] }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros"] }
tower-layer = "0.3"
tower-service = "0.3"
"#;

/// What was said of the programs, by their names.
#[derive(Default)]
struct Said {
    errors: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
}

/// The programs in a folder, by name.
fn programs(kind: &str) -> BTreeMap<String, PathBuf> {
    let folder = Path::new(ROOT).join("tests/ui").join(kind);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    sources
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

fn check(programs: &BTreeMap<String, PathBuf>) -> Said {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    fs::create_dir_all(&package).unwrap();
    let mut manifest = PACKAGE.replace("SEAWALL", ROOT);
    for (name, path) in programs {
        let path = path.display();
        write!(manifest, "[[bin]]\nname = \"{name}\"\npath = \"{path}\"\n").unwrap();
    }
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The same versions as ours, which are there.
    let lock = Path::new(ROOT).join("Cargo.lock");
    fs::copy(lock, package.join("Cargo.lock")).unwrap();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(&package)
        .env("CARGO_INCREMENTAL", "0")
        .args(["check", "--bins", "--keep-going", "--offline", "--quiet"])
        .args(["--message-format", "json", "--target-dir", "target"])
        .output()
        .unwrap();
    let mut said = Said::default();
    for line in output.stdout.split(|&byte| byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let name = line["target"]["name"].as_str().unwrap_or_default();
        let Some(program) = programs.get(name) else {
            continue;
        };
        if line["reason"] == "compiler-artifact" {
            said.accepted.insert(name.to_owned());
        }
        // Those without a place count the others.
        if line["message"]["spans"]
            .as_array()
            .is_some_and(|spans| !spans.is_empty())
        {
            let errors = said.errors.entry(name.to_owned()).or_default();
            if !errors.is_empty() {
                errors.push('\n');
            }
            tell(&line["message"], program, "", errors);
        }
    }
    let log = String::from_utf8_lossy(&output.stderr);
    let came_to_something = !said.accepted.is_empty() && !said.errors.is_empty();
    assert!(came_to_something, "cargo check came to nothing:\n{log}");
    said
}

/// A message with the lines of the program that it is about. Notes on other files are left out: these
/// are ours, and say which bound asked.
fn tell(message: &Value, program: &Path, indent: &str, out: &mut String) {
    let spans = message["spans"].as_array().unwrap();
    let is_here = |span: &&Value| Path::new(span["file_name"].as_str().unwrap()) == program;
    let text = message["message"].as_str().unwrap().replace(ROOT, "..");
    // What else implements a trait depends on the features of the day; a path to more, on the folder.
    let is_of_today = [
        "the following other types",
        "the full name",
        "consider using `--verbose`",
    ]
    .iter()
    .any(|start| text.starts_with(start));
    if is_of_today || !spans.is_empty() && !spans.iter().any(|span| is_here(&span)) {
        return;
    }
    let code = message["code"]["code"].as_str().unwrap_or_default();
    let code = match code.starts_with('E') {
        true => format!("[{code}]"),
        false => String::new(),
    };
    let level = message["level"].as_str().unwrap();
    writeln!(out, "{indent}{level}{code}: {text}").unwrap();
    for span in spans.iter().filter(is_here) {
        let (line, excerpt) = (span["line_start"].as_u64().unwrap(), &span["text"][0]);
        let column = |at: &str| excerpt[at].as_u64().unwrap() as usize - 1;
        let (from, to) = (column("highlight_start"), column("highlight_end"));
        let new = span["suggested_replacement"].as_str();
        let note = match span["label"].as_str() {
            Some(label) => label.to_owned(),
            None => new.map_or(String::new(), |new| format!("+ `{}`", new.trim())),
        };
        let source = excerpt["text"].as_str().unwrap();
        writeln!(out, "{line:>4} | {source}").unwrap();
        let mark = format!(
            "     | {:from$}{:^<2$} {note}",
            "",
            "^",
            to.max(from + 1) - from
        );
        writeln!(out, "{}", mark.trim_end()).unwrap();
    }
    for child in message["children"].as_array().unwrap() {
        tell(child, program, "  ", out);
    }
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    version.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn mistakes_are_told_readably_and_right_programs_compile() {
    let (wrong, right) = (programs("fail"), programs("pass"));
    let said = check(&wrong.clone().into_iter().chain(right.clone()).collect());
    let written_by = Path::new(ROOT).join("tests/ui/rustc.txt");
    let bless = std::env::var_os("SEAWALL_BLESS").is_some();
    if bless {
        fs::write(&written_by, rustc() + "\n").unwrap();
    }
    let same_compiler = fs::read_to_string(&written_by).unwrap().trim() == rustc();
    let mut failed = String::new();
    for name in right.keys() {
        let text = said.errors.get(name).map_or("", String::as_str);
        if !said.accepted.contains(name) || !text.is_empty() {
            let why = "has to compile, without warnings";
            writeln!(failed, "--- {name} {why}:\n{text}").unwrap();
        }
    }
    for (name, path) in &wrong {
        let text = said.errors.get(name);
        let Some(text) = text.filter(|_| !said.accepted.contains(name)) else {
            writeln!(failed, "--- {name} must not compile, and does").unwrap();
            continue;
        };
        let source = fs::read_to_string(path).unwrap();
        let lines = source.lines();
        let words: Vec<&str> = lines.map_while(|line| line.strip_prefix("//~ ")).collect();
        assert!(!words.is_empty(), "{name} does not say what it is told");
        for word in words.into_iter().filter(|word| !text.contains(word)) {
            writeln!(failed, "--- {name} is not told `{word}`:\n{text}").unwrap();
        }
        let kept = path.with_extension("stderr");
        if bless {
            fs::write(kept, text).unwrap();
        } else if same_compiler && fs::read_to_string(kept).unwrap_or_default() != *text {
            let why = "is told something else than before";
            writeln!(failed, "--- {name} {why}:\n{text}").unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
}
