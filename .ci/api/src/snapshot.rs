//! The whole public API as text, one item a line, under the path it is found at.
use crate::rustdoc::Api;
use std::collections::HashSet;

pub fn text(api: &Api) -> String {
    let mut seen = HashSet::new();
    let mut text = String::new();
    for item in &api.items {
        // An item that is exported twice is shown twice, but what is in it only once. What `derive`
        // writes is known from its `impl` line.
        let again = !seen.insert(item.id) && !item.parent.is_some_and(|id| api.is_module(id));
        if again || api.is_derived(item) || item.line.contains(" core::marker::StructuralPartialEq")
        {
            continue;
        }
        text.push_str(&item.line);
        text.push('\n');
    }
    text
}

/// What is gone, and what is new. A line that has changed is both.
pub fn compare(was: &str, now: &str) -> Vec<String> {
    let mut changes: Vec<_> = only_in(was, now).map(|line| format!("- {line}")).collect();
    changes.extend(only_in(now, was).map(|line| format!("+ {line}")));
    if changes.is_empty() && was != now {
        changes.push("the order of lines has changed".into());
    }
    if !changes.is_empty() {
        changes.push(
            "the public API is not what tests/golden/public_api.txt says; if that is meant: \
             cargo run --manifest-path .ci/api/Cargo.toml -- --write"
                .into(),
        );
    }
    changes
}

pub fn only_in<'a>(one: &'a str, other: &str) -> impl Iterator<Item = &'a str> {
    let other: HashSet<String> = other.lines().map(str::to_owned).collect();
    one.lines().filter(move |line| !other.contains(*line))
}
