//! Why a store did not do it.
use super::SagaId;
use std::sync::Arc;

/// Why a store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else owns the saga by now. Nothing was written.
    #[error("fenced: another owner has taken the saga over; nothing was written")]
    Fenced,
    /// There is no such saga, or no longer.
    #[error("there is no saga {0}; one that has ended is deleted after its retention")]
    NotFound(SagaId),
    /// The saga has ended. Nothing was written.
    #[error("saga {0} has ended")]
    Ended(SagaId),
    /// A request that the store cannot take. Nothing was written, and the store goes on.
    #[error(
        "{field} has {value} bytes, at most {most} can be stored; nothing was written, make it shorter"
    )]
    TooLarge {
        /// What.
        field: &'static str,
        /// Its size in bytes.
        value: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// A read failed. The store goes on.
    #[error(
        "the store could not be read: {0}; it goes on, so ask again, and check the disk if it stays"
    )]
    Read(Arc<str>),
    /// It was closed; after a failed write by itself, since what is on the disk is uncertain then.
    /// Every later request fails as well: open the store anew, which recovers all that was
    /// acknowledged.
    #[error("the store is closed: {0}")]
    Closed(Arc<str>),
    /// A copy of it could not be made, and nothing of the copy is left. The store goes on.
    #[error("the backup was not made: {0}")]
    Backup(Arc<str>),
    /// It could not be opened.
    #[error("the store could not be opened: {0}")]
    Open(Arc<str>),
}
