//! Documents with parts that a bench writes: each stands between `<!-- NAME -->` and
//! `<!-- /NAME -->`, and whoever measures it again replaces it. The rest is written by people.
use crate::sagas::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Where every figure is.
pub const BENCHMARKS: &str = "docs/benchmarks.md";
/// Where a few are.
pub const README: &str = "README.md";

/// Writes the part `name` of a document of the crate.
pub fn write(document: &str, name: &str, text: &str) -> Result<(), Error> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(document);
    let whole = fs::read_to_string(&path)?;
    let whole = replaced(&whole, name, text)
        .ok_or_else(|| format!("{document} has no part between <!-- {name} --> and its end"))?;
    fs::write(&path, whole)?;
    eprintln!("wrote the part `{name}` of {document}");
    Ok(())
}

fn replaced(whole: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = whole.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    let text = text.trim();
    Some(format!("{before}{begin}\n{text}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn a_part_is_replaced_and_the_rest_is_left() {
        let whole = "a\n<!-- b -->\nold\n<!-- /b -->\nc";
        let new = replaced(whole, "b", "new").unwrap();
        assert_eq!(new, "a\n<!-- b -->\n\nnew\n\n<!-- /b -->\nc");
        assert_eq!(replaced(&new, "b", "new").unwrap(), new);
        assert_eq!(replaced(whole, "d", "new"), None);
    }
}
