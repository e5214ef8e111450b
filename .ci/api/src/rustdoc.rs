//! What rustdoc knows of the crate with all features on: its items, one line of Rust for each.
use crate::Result;
use public_api::Builder;
use rustdoc_types::{Attribute, Crate, Id, Impl, Item, ItemEnum};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub struct Api {
    krate: Crate,
    /// In the order of the module tree, an item once for each path it has.
    pub items: Vec<Public>,
    /// The same, with the names of parameters.
    pub named: Vec<Public>,
}

/// A public item under one of its paths, as it is declared.
pub struct Public {
    pub id: Id,
    pub parent: Option<Id>,
    pub line: String,
}

pub fn read(root: &Path) -> Result<Api> {
    let json = build(root)?;
    let krate = serde_json::from_str(&fs::read_to_string(&json)?).map_err(|error| {
        format!("rustdoc's JSON is of another version than .ci/api/Cargo.toml reads: {error}")
    })?;
    Ok(Api {
        krate,
        items: list(&json, false)?,
        named: list(&json, true)?,
    })
}

/// `.ci/rustdoc` is rustdoc with its unstable options, of which JSON is one.
fn build(root: &Path) -> Result<PathBuf> {
    let built = Command::new("cargo")
        .current_dir(root)
        .args(["rustdoc", "-q", "--locked", "--lib", "--all-features"])
        .args(["--target-dir", "target", "--"])
        .args(["-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTDOC", root.join(".ci/rustdoc"))
        .status()?;
    if !built.success() {
        return Err("rustdoc failed".into());
    }
    Ok(root.join("target/doc/seawall.json"))
}

fn list(json: &Path, names: bool) -> Result<Vec<Public>> {
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .include_function_parameter_names(names)
        .build()?;
    let items = api.items().map(|item| Public {
        id: item.id(),
        parent: item.parent_id(),
        line: item.to_string(),
    });
    Ok(items.collect())
}

impl Api {
    pub fn item(&self, id: Id) -> Option<&Item> {
        self.krate.index.get(&id)
    }

    pub fn is_module(&self, id: Id) -> bool {
        self.item(id)
            .is_some_and(|item| matches!(item.inner, ItemEnum::Module(_)))
    }

    /// Whether an item stands in the impl of a trait, where its docs are the trait's.
    pub fn is_of_a_trait_impl(&self, item: &Public) -> bool {
        let block = item.parent.and_then(|id| self.item(id));
        block.is_some_and(|block| {
            matches!(
                &block.inner,
                ItemEnum::Impl(Impl {
                    trait_: Some(_),
                    ..
                })
            )
        })
    }

    /// The docs of the trait that an item stands in, if it does.
    pub fn docs_of_trait(&self, item: &Public) -> &str {
        let around = item.parent.and_then(|id| self.item(id));
        let around = around.filter(|around| matches!(around.inner, ItemEnum::Trait(_)));
        around
            .and_then(|around| around.docs.as_deref())
            .unwrap_or_default()
    }

    /// The file and the line of an item.
    pub fn place(&self, item: &Item) -> String {
        item.span.as_ref().map_or_else(String::new, |span| {
            format!("{}:{}", span.filename.display(), span.begin.0)
        })
    }

    /// Whether an item stands in an impl that `derive` wrote.
    pub fn is_derived(&self, item: &Public) -> bool {
        let block = item.parent.and_then(|id| self.item(id));
        block.is_some_and(|block| block.attrs.contains(&Attribute::AutomaticallyDerived))
    }
}
