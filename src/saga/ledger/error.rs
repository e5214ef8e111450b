use super::KeyError;

/// Why a [`Ledger`](super::Ledger) could not answer.
///
/// After any of them the transaction is as it was before the call, and nothing new is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A key that cannot be kept. It will not fit the next time either: answer 400.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A payload, or an answer, that serde_json does not take: a map with keys that are no strings,
    /// say. Trying again does not help.
    #[error("a payload or an answer cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// A row that this code cannot read: the type of the answer has changed since, or another hand
    /// has been at the table. The row is left as it is, and other keys are not concerned.
    #[error(
        "the {what} that `seawall_ledger` keeps for key `{key}` of action `{action}` cannot be \
         read; run the release that wrote it, or mend the row by hand"
    )]
    #[non_exhaustive]
    Unreadable {
        /// The ledger's action.
        action: &'static str,
        /// The key of the row.
        key: String,
        /// Which column: `answer` or `state`.
        what: &'static str,
        /// What serde_json says of it.
        source: Option<serde_json::Error>,
    },
    /// The tables are those of a newer release. Nothing has been changed: run that release.
    #[error(
        "the ledger's tables are of version {found}, and this release knows versions up to \
         {known}; run the newer release on this file"
    )]
    #[non_exhaustive]
    NewerSchema {
        /// The version of the file.
        found: i64,
        /// The newest version that this release can read.
        known: i64,
    },
    /// SQLite failed: busy, full, not there, or the tables have not been made
    /// ([`create_tables`](super::Ledger::create_tables)). The call may come again.
    #[error("SQLite could not keep the ledger; the call may come again")]
    Sqlite(#[from] rusqlite::Error),
}
