use crate::BuildError;
use std::path::PathBuf;

/// Why an [`IdempotencyLayer`](super::IdempotencyLayer) could not be built.
///
/// Nothing has been started, and a file that was there is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyError {
    /// Settings that cannot be, all of them.
    #[error(transparent)]
    Settings(#[from] BuildError),
    /// The file, or the thread for it, could not be had.
    #[error(
        "the keys cannot be kept in `{}`; it has to be an SQLite file that this process may \
         write, in a folder that it may write",
        path.display()
    )]
    #[non_exhaustive]
    Open {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is a database of somebody else's.
    #[error(
        "`{}` is another application's database; give the keys a file of their own",
        path.display()
    )]
    #[non_exhaustive]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer release has been at the file. Run that one.
    #[error(
        "`{}` is of version {found}, and this release knows versions up to {known}; \
         run the newer release on this file",
        path.display()
    )]
    #[non_exhaustive]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this release can read.
        known: i64,
    },
}
