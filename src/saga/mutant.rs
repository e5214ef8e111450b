//! Faults that `.ci/mutants` puts into the engine, to see that a test notices each of them. In every
//! other build they are not there.

/// Whether the engine is to have this fault.
#[cfg(not(seawall_mutants))]
pub(in crate::saga) const fn mutant(_: &str) -> bool {
    false
}

/// Whether the engine is to have this fault.
#[cfg(seawall_mutants)]
pub(in crate::saga) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("SEAWALL_MUTANT").ok());
    chosen.as_deref() == Some(name)
}
