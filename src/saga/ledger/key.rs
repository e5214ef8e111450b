use std::fmt::Write as _;

/// A key, or the name of an action, that cannot be kept: empty, or longer than 255 bytes.
///
/// ```
/// use seawall::saga::{Ledger, ledger::{Effect, LedgerError}};
///
/// let mut db = rusqlite::Connection::open_in_memory()?;
/// Ledger::create_tables(&db)?;
/// let mut tx = db.transaction()?;
/// let error = Ledger::new("charge")
///     .apply(&mut tx, "", &(), |_| Ok::<_, LedgerError>(Effect::Applied(())))
///     .unwrap_err();
/// assert_eq!(error.to_string(), "key is \"\" (0 bytes), but has to be 1 to 255 bytes long");
/// # Ok::<_, LedgerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value} ({length} bytes), but has to be 1 to 255 bytes long")]
#[non_exhaustive]
pub struct KeyError {
    /// `key`, `step` or `action`.
    pub field: &'static str,
    /// How it begins, quoted; at most 40 characters of it.
    pub value: String,
    /// Its length in bytes.
    pub length: usize,
}

/// Bytes that a key may have, at most.
const LONGEST: usize = 255;
/// Characters of a wrong key that are shown.
const SHOWN: usize = 40;

/// Is it of a length that can be kept?
pub(in crate::saga) fn check(field: &'static str, value: &str) -> Result<(), KeyError> {
    let length = value.len();
    if (1..=LONGEST).contains(&length) {
        return Ok(());
    }
    let mut shown = String::new();
    let begin: String = value.chars().take(SHOWN).collect();
    let more = if begin.len() < length { "…" } else { "" };
    let _ = write!(shown, "{begin:?}{more}");
    Err(KeyError {
        field,
        value: shown,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_bytes() {
        assert!(check("key", "k").is_ok());
        assert!(check("key", &"k".repeat(255)).is_ok());
        assert!(check("key", "").is_err());
        // Bytes count, not characters.
        let error = check("step", &"ä".repeat(128)).unwrap_err();
        assert_eq!((error.field, error.length), ("step", 256));
        assert_eq!(error.value, format!("\"{}\"…", "ä".repeat(40)));
    }
}
