use super::IdempotencyError;
use super::books::{APPLICATION, TABLES, VERSION};
use super::service::Idempotent;
use super::store::{Rules, Store};
use crate::error::Check;
use crate::saga::wall::{Wall, span_ms};
use http::request::Parts;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io, sync::Arc};
use tower_layer::Layer;

/// Keeps what each `Idempotency-Key` was answered, for the service under it.
///
/// See the [module](crate::saga::idempotency).
///
/// A keyed request runs in a task that outlives its caller: a client that hangs up in the middle does
/// not cut the handler off, and finds the answer when it comes again. The file is written by a thread
/// of the layer's own, never by a worker of the runtime; requests that come at the same time share
/// a commit. Clones, and the services that they make, share both; thread and file are given up when
/// the last of them and its last running request are gone.
///
/// Several processes of one machine may share the file. On one that is shared over a network SQLite
/// does not keep its promises.
#[derive(Clone, Debug)]
pub struct IdempotencyLayer(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) config: IdempotencyConfig,
}

impl IdempotencyLayer {
    /// Begins one, on a file of its own, which is made where it is missing.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(path: impl Into<PathBuf>) -> IdempotencyConfig {
        IdempotencyConfig {
            path: path.into(),
            lease: Duration::from_secs(30),
            keep: Duration::from_secs(30 * 24 * 60 * 60),
            body_limit: 1024 * 1024,
            required: true,
            caller: None,
            wall: Wall::SYSTEM,
        }
    }
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = Idempotent<S>;

    fn layer(&self, inner: S) -> Idempotent<S> {
        Idempotent::new(inner, self.clone())
    }
}

type Caller = Arc<dyn Fn(&Parts) -> String + Send + Sync>;

/// The settings of an [`IdempotencyLayer`].
///
/// # Defaults
/// - [`lease`](IdempotencyConfig::lease): 30 s
/// - [`keep`](IdempotencyConfig::keep): 30 days
/// - [`body_limit`](IdempotencyConfig::body_limit): 1 MiB
/// - POST and PATCH need a key, unless [`optional`](IdempotencyConfig::optional)
/// - [`caller`](IdempotencyConfig::caller): one for all
/// - [`clock`](IdempotencyConfig::clock): the system's wall clock
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built"]
pub struct IdempotencyConfig {
    path: PathBuf,
    lease: Duration,
    keep: Duration,
    pub(super) body_limit: usize,
    pub(super) required: bool,
    pub(super) caller: Option<Caller>,
    wall: Wall,
}

impl IdempotencyConfig {
    /// How long a request that a dead process had in hand is answered 409. At least 1 s.
    ///
    /// Counted from the process's last sign of life; then it may run again. While a process lives
    /// it renews its marks, so a handler may take longer. It is told by the wall clock: between
    /// processes, one that is set ahead ends it early. The same for all that share the file.
    /// Default: 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long answers and tombstones are kept. Longer than zero.
    ///
    /// Then the key is new again: a step may come after its undo, and the undo of a step that is
    /// forgotten is answered 204, as there is nothing to undo, and its effect stays. So longer than
    /// any saga may take, the wait for an operator included. What is older leaves with later
    /// requests, some at a time.
    ///
    /// Default: 30 days, since a saga that is stuck waits for a person, and may do so for weeks. A saga
    /// that sleeps or waits for longer between a step and its undo needs more.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// The longest body of a keyed request, and of its answer, in bytes.
    ///
    /// Both are read whole and kept. At least 1. Default: 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// POST and PATCH may come without a key, and are passed on unguarded.
    ///
    /// Default: they are answered 400.
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Tells callers apart by the head of their request: the subject of a checked token, say.
    ///
    /// Keys of different callers never meet.
    ///
    /// Without it, whoever knows (or guesses) another's key and payload gets the answer that was meant
    /// for the other, cookies included, and may shut the other's keys. Default: one caller.
    pub fn caller(mut self, caller: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        self.caller = Some(Arc::new(caller));
        self
    }

    /// Tells the time of leases and retention, for tests. Default: the system's wall clock.
    pub fn clock(mut self, tell: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall = Wall::of(tell);
        self
    }

    /// Opens the file and starts its thread.
    ///
    /// Blocks for as long as the disk takes. The file is made readable for its owner alone (0600),
    /// where there are such rights.
    ///
    /// # Errors
    /// Settings that cannot be; a file that cannot be opened, is another application's, or was
    /// written by a newer release.
    pub fn build(self) -> Result<IdempotencyLayer, IdempotencyError> {
        let mut check = Check::new("idempotency".into());
        let (lease, limit) = (self.lease, self.body_limit);
        check
            .that(
                lease >= Duration::from_secs(1),
                "lease",
                lease,
                "at least 1s",
            )
            .positive("keep", self.keep)
            .that(limit > 0, "body_limit", limit, "at least 1 byte");
        check.done()?;
        let path = &self.path;
        let open = |source: Box<dyn std::error::Error + Send + Sync>| IdempotencyError::Open {
            path: path.clone(),
            source,
        };
        make(path).map_err(|e| open(e.into()))?;
        let db = connect(path).map_err(|e| match e {
            Wrong::Sqlite(e) => open(e.into()),
            Wrong::Foreign => IdempotencyError::Foreign { path: path.clone() },
            Wrong::Newer(found) => IdempotencyError::NewerSchema {
                path: path.clone(),
                found,
                known: VERSION,
            },
        })?;
        let owner = getrandom::u64().map_err(|e| open(e.to_string().into()))?;
        let rules = Rules {
            owner: owner.cast_signed(),
            lease_ms: span_ms(self.lease),
            keep_ms: span_ms(self.keep),
            wall: self.wall.clone(),
        };
        let store = Store::start(db, rules).map_err(|e| open(e.into()))?;
        let config = self;
        Ok(IdempotencyLayer(Arc::new(Shared { store, config })))
    }
}

impl fmt::Debug for IdempotencyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyConfig")
            .field("path", &self.path)
            .field("lease", &self.lease)
            .field("keep", &self.keep)
            .field("body_limit", &self.body_limit)
            .field("required", &self.required)
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

/// SQLite would make it readable for others too. Its WAL takes over the rights of the file.
///
/// One that exists is never opened here: closing it again would drop the locks that another layer of
/// this process has on it (POSIX locks are like that), and another process could take its WAL away.
fn make(path: &Path) -> io::Result<()> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

enum Wrong {
    Sqlite(rusqlite::Error),
    Foreign,
    Newer(i64),
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Wrong {
        Wrong::Sqlite(error)
    }
}

fn connect(path: &Path) -> Result<Connection, Wrong> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("SELECT application_id FROM pragma_application_id")?;
    let version = number("SELECT user_version FROM pragma_user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION && (application != 0 || version != 0 || tables != 0) {
        return Err(Wrong::Foreign);
    }
    if version > VERSION {
        return Err(Wrong::Newer(version));
    }
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.execute_batch(TABLES)?;
    tx.commit()?;
    use_wal(&mut db)?;
    // A mark that a power cut takes back is a handler that ran and is not known of.
    db.pragma_update(None, "synchronous", "full")?;
    Ok(db)
}

/// Where several make the file at once, all but one of them may be told that it is locked, without a wait.
/// The lock of a transaction they do wait for, and after it the mode has mostly been changed for them.
fn use_wal(db: &mut Connection) -> rusqlite::Result<()> {
    let mut tries = 100_u32;
    loop {
        match db.pragma_update(None, "journal_mode", "wal") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 => {
                tries = tries.saturating_sub(1);
                db.transaction_with_behavior(TransactionBehavior::Immediate)?
                    .commit()?;
            }
            done => return done,
        }
    }
}
