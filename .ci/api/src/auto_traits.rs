//! Public types that the table of auto traits does not have.
use crate::{Result, rustdoc::Api};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

const TABLE: &str = "tests/golden/auto_traits.txt";

/// The table names a type by one of its paths in the crate, with some arguments where it is generic.
pub fn missing(root: &Path, api: &Api) -> Result<Vec<String>> {
    let table = fs::read_to_string(root.join(TABLE))?;
    let listed: HashSet<&str> = table.lines().map(bare).collect();
    let mut types: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for item in &api.items {
        let line = item.line.trim_start_matches("#[non_exhaustive] ");
        let path = ["pub struct ", "pub enum ", "pub union "]
            .iter()
            .find_map(|kind| line.strip_prefix(kind)?.strip_prefix("seawall::"));
        if let Some(path) = path {
            types.entry(item.id.0).or_default().push(bare(path));
        }
    }
    let missing = types
        .values()
        .filter(|paths| !paths.iter().any(|path| listed.contains(path)));
    Ok(missing
        .map(|paths| format!("{TABLE} has no row for {}", paths.join(" = ")))
        .collect())
}

/// Without arguments, fields and whatever follows.
fn bare(path: &str) -> &str {
    path.split(['<', '(', ' ']).next().unwrap_or(path)
}
