//! The format of the journal is frozen here: a file for each event, and whole journals of sagas that
//! meet everything. Files of a released version stay in the tree and are read by every later one.
//!
//! `SEAWALL_WRITE_GOLDEN=1` writes them anew: a change of a file that was released is a change of the
//! format.
mod code;
mod events;
mod file;
mod scenarios;
mod told;

use std::{fs, path::PathBuf};

fn path(folder: &str, name: &str) -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.extend([
        "tests",
        "golden",
        "journal",
        folder,
        &format!("{name}.json"),
    ]);
    path
}

/// The golden file, which is `now` from here on where they are written.
fn golden(folder: &str, name: &str, now: &str) -> String {
    let path = path(folder, name);
    if std::env::var_os("SEAWALL_WRITE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
    }
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of the files in a folder.
fn names(folder: &str) -> Vec<String> {
    let folder = path(folder, "x");
    let files = fs::read_dir(folder.parent().unwrap()).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".json").unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Line by line, so that a difference is found in a long file.
fn same(name: &str, now: &str, golden: &str) {
    for (place, (now, golden)) in now.lines().zip(golden.lines()).enumerate() {
        assert_eq!(now, golden, "{name}, line {}", place + 1);
    }
    assert_eq!(now.lines().count(), golden.lines().count(), "{name}");
}
