use parking_lot::Mutex;
use std::{collections::BTreeSet, fmt};

/// A policy's or pipeline's name: a label in errors, events and metrics.
///
/// Names made from a `String` (from configuration, say) are interned and never freed, so that a
/// refusal stays small and `Copy`. Name policies after what they guard, not after keys or requests.
///
/// ```
/// use seawall::Name;
///
/// let configured = Name::from(format!("payments-{}", "eu"));
/// assert_eq!(configured.as_str(), "payments-eu");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(&'static str);

impl Name {
    /// A name known at compile time.
    pub const fn from_static(name: &'static str) -> Self {
        Name(name)
    }

    /// The text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Name(name)
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock();
        if let Some(known) = names.get(name.as_str()) {
            return Name(known);
        }
        let name = name.leak();
        names.insert(name);
        Name(name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_from_configuration_are_interned() {
        let (a, b) = (
            Name::from(String::from("from-config")),
            Name::from(String::from("from-config")),
        );
        assert!(std::ptr::eq(a.as_str(), b.as_str()));
    }
}
