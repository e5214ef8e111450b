//! The facts that a user needs of every public item, as far as a program can tell that they are there:
//!
//! - what it does: one line for whatever stands in a list (modules, types, traits, functions,
//!   constants), as a paragraph of its own; anything at all for variants and fields, which are read
//!   in their type's page;
//! - semantics: how a policy takes the ends of a call is a table in its module's docs; every module
//!   has an example that runs;
//! - units: a bare number says what it counts or measures, by a name or in the docs;
//! - defaults: a setter says what holds without it, and its type lists that under `# Defaults`;
//! - errors: `# Errors` where a `Result` comes back, `# Cancel safety` where a future does, or at the
//!   future itself;
//! - sources: a module with an algorithm or a protocol tells under `# Sources` whose it is.
use crate::{declared::Declared, rustdoc::Api};
use rustdoc_types::Id;
use std::collections::{HashMap, HashSet};

/// Modules with an algorithm or a protocol that somebody else thought out, beside those of policies.
const WITH_SOURCES: [&str; 6] = [
    "seawall::dialect",
    "seawall::saga",
    "seawall::saga::idempotency",
    "seawall::saga::journal",
    "seawall::saga::ledger",
    "seawall::value",
];

/// What a bare number may count or measure.
const UNITS: [&str; 34] = [
    "attempt",
    "attempts",
    "bits",
    "buckets",
    "burst",
    "bytes",
    "calls",
    "checksum",
    "code",
    "crashes",
    "epoch",
    "factor",
    "failures",
    "letters",
    "milliseconds",
    "ms",
    "nanoseconds",
    "number",
    "numbers",
    "permits",
    "places",
    "probes",
    "rate",
    "ratio",
    "retries",
    "rows",
    "sagas",
    "seconds",
    "seed",
    "share",
    "steps",
    "times",
    "version",
    "weight",
];

const NUMBERS: [&str; 10] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f32", "f64",
];

pub fn missing(api: &Api) -> Vec<String> {
    let with = Traits::of(api);
    let mut seen = HashSet::new();
    let mut types = Vec::new();
    let mut setters: HashMap<Id, Vec<String>> = HashMap::new();
    let mut missing = Vec::new();
    for public in &api.named {
        let skip = public.line.starts_with("impl") || api.is_of_a_trait_impl(public);
        let Some(item) = api
            .item(public.id)
            .filter(|_| !skip && seen.insert(public.id))
        else {
            continue;
        };
        let it = Declared::of(&public.line);
        let docs = item.docs.as_deref().unwrap_or_default();
        let mut say =
            |what: &str| missing.push(format!("{}: {} lacks {what}", api.place(item), it.path));

        if !summary(&it, docs) {
            say("one line of its own that says what it does");
        }
        if !units(&it, docs) {
            say("a unit: what does the number count?");
        }
        // What holds for all methods of a trait may stand at the trait.
        let of_trait = api.docs_of_trait(public);
        let told = |section: &str| docs.contains(section) || of_trait.contains(section);
        if it.is_function() && it.returns.contains("core::result::Result<") && !told("# Errors") {
            say("# Errors");
        }
        let waits = is_async(&it) || with.future.contains(&public.id);
        if waits && !told("# Cancel safety") {
            say("# Cancel safety");
        }
        if it.is_setter() {
            if !docs.to_lowercase().contains("default") && !docs.contains("ithout") {
                say("what holds without it (\"Default: ..\")");
            }
            if let Some(of) = public.parent.and_then(|block| with.impl_of.get(&block)) {
                setters.entry(*of).or_default().push(it.name().to_owned());
            }
        }
        if it.kind == "mod" {
            let holds =
                ["seawall", "seawall::pipeline", "seawall::policy"].contains(&it.path.as_str());
            let policies = !holds && with.policies_in.contains(&public.id);
            module(&it.path, docs, policies, say);
        }
        if it.is_type() {
            types.push((public.id, it.path, item));
        }
    }
    for (id, path, item) in types {
        let docs = item.docs.as_deref().unwrap_or_default();
        let list = docs.split("# Defaults").nth(1).unwrap_or_default();
        let setters = setters.remove(&id).unwrap_or_default();
        // One setter says all of it itself.
        let absent = setters
            .iter()
            .filter(|_| setters.len() > 1)
            .filter(|name| !list.contains(&format!("`{name}`")));
        missing.extend(
            absent.map(|name| format!("{}: {path} lacks `{name}` in # Defaults", api.place(item))),
        );
    }
    missing
}

/// Who implements what matters here.
struct Traits {
    /// The type of each `impl` block.
    impl_of: HashMap<Id, Id>,
    /// Types that can be awaited.
    future: HashSet<Id>,
    /// Modules with a type that is a policy.
    policies_in: HashSet<Id>,
}

impl Traits {
    fn of(api: &Api) -> Self {
        let blocks = || {
            api.named
                .iter()
                .filter(|item| item.line.starts_with("impl"))
        };
        let having = |name: &str| -> HashSet<Id> {
            let name = format!("{name} for ");
            blocks()
                .filter(|block| block.line.contains(&name))
                .filter_map(|block| block.parent)
                .collect()
        };
        let mut future = having("core::future::future::Future");
        future.extend(having("core::future::into_future::IntoFuture"));
        let policies = having("seawall::policy::Policy");
        let types = api.named.iter().filter(|item| policies.contains(&item.id));
        Traits {
            impl_of: blocks()
                .filter_map(|block| Some((block.id, block.parent?)))
                .collect(),
            future,
            policies_in: types.filter_map(|item| item.parent).collect(),
        }
    }
}

fn summary(it: &Declared, docs: &str) -> bool {
    let first = docs.trim().split("\n\n").next().unwrap_or_default();
    match it.kind {
        // The field of a tuple is told with the tuple.
        "field" if it.name().starts_with(|c: char| c.is_ascii_digit()) => true,
        "field" | "variant" => !first.is_empty(),
        _ => !first.is_empty() && !first.contains('\n'),
    }
}

fn units(it: &Declared, docs: &str) -> bool {
    let words = |text: &str| {
        text.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| UNITS.contains(&word))
    };
    it.having(&NUMBERS)
        .iter()
        .all(|name| words(name) || words(docs))
}

fn is_async(it: &Declared) -> bool {
    it.is_function()
        && (it.is_async
            || it.returns.starts_with("impl core::future::future::Future")
            || it.returns.starts_with("seawall::saga::store::BoxFuture<"))
}

fn module(path: &str, docs: &str, has_policy: bool, mut say: impl FnMut(&str)) {
    let mut blocks = docs.split("```").skip(1).step_by(2);
    if !blocks.any(|block| matches!(block.lines().next(), Some("" | "rust"))) {
        say("an example that runs");
    }
    if (has_policy || WITH_SOURCES.contains(&path)) && !docs.contains("# Sources") {
        say("# Sources");
    }
    let is_head =
        |line: &str| line.starts_with("| ") && (line.contains("ends") || line.contains("outcome"));
    if has_policy && !docs.lines().any(is_head) {
        say("a table of how it takes the ends of a call");
    }
}
