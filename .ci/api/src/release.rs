//! What was released, and what has gone since. An entry of the changelog's `[Unreleased]` that begins
//! with **breaking:** names each such item, its type or its module, in a span of code.
use crate::{Result, snapshot::only_in};
use std::{fs, path::Path};

const RELEASED: &str = "tests/golden/released_api.txt";

/// Called at a release, when the version in Cargo.toml is the new one.
pub fn write(root: &Path, now: &str) -> Result<()> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .ok_or("Cargo.toml has no version")?;
    let text = format!("# {}\n{now}", version.trim_matches('"'));
    Ok(fs::write(root.join(RELEASED), text)?)
}

pub fn compare(root: &Path, now: &str) -> Result<Vec<String>> {
    let released = fs::read_to_string(root.join(RELEASED))?;
    let (version, released) = released.split_once('\n').ok_or("the release is empty")?;
    let changelog = fs::read_to_string(root.join("CHANGELOG.md"))?;
    let told = told(&changelog);
    let gone = only_in(released, now).filter(|line| !path(line).any(|name| told.contains(&name)));
    Ok(gone
        .map(|line| {
            format!(
                "- {line}\n  is gone since {}, and no entry of CHANGELOG.md, [Unreleased], that begins \
                 with **breaking:** names it, its type or its module",
                version.trim_start_matches("# "),
            )
        })
        .collect())
}

/// The names in the entries that tell of something breaking.
fn told(changelog: &str) -> Vec<&str> {
    let unreleased = changelog
        .split("\n## ")
        .find(|part| part.starts_with("[Unreleased]"));
    let entries = unreleased.unwrap_or_default().split("\n- ");
    let spans = entries
        .filter(|entry| entry.starts_with("**breaking:**"))
        .flat_map(|entry| entry.split('`').skip(1).step_by(2));
    spans.flat_map(names).collect()
}

/// The names in the path that a line declares: of `pub fn seawall::Retry::name(&self)`, `Retry` and
/// `name`; of an impl, those of the type.
fn path(line: &str) -> impl Iterator<Item = &str> {
    let from = if line.starts_with("impl") {
        line.rfind(" for ").unwrap_or_default()
    } else {
        0
    };
    let path = line[from..]
        .find("seawall::")
        .map_or("", |at| &line[from + at..]);
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    // Half of the crate is in `saga`.
    names(&path[..end.unwrap_or(path.len())]).filter(|name| !["seawall", "saga"].contains(name))
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{path, told};

    #[test]
    fn only_what_a_breaking_entry_of_this_release_names_has_been_told() {
        let log = "# Log\n\n## [Unreleased]\n\n- `A` is new.\n- **breaking:** `b::C` is\n  gone, not D.\n\n## [0.1.0]\n\n- **breaking:** `E`\n";
        assert_eq!(told(log), ["b", "C"]);
    }

    #[test]
    fn a_line_is_named_by_what_it_declares() {
        let names = |line| path(line).collect::<Vec<_>>();
        assert_eq!(
            names("pub fn seawall::saga::Retry::name(&self, seawall::Name)"),
            ["Retry", "name"]
        );
        assert_eq!(names("impl seawall::Policy for seawall::Hedge"), ["Hedge"]);
        assert_eq!(names("impl<T> seawall::Builder<T>"), ["Builder"]);
    }
}
