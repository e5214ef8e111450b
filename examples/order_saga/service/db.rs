//! One SQLite file, one thread that owns it. Handlers send it work and await the answer.
use anyhow::{Context as _, anyhow};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{path::Path, sync::mpsc, thread, time::Duration};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A service's database. Clones share it.
#[derive(Clone)]
pub struct Db {
    jobs: mpsc::Sender<Job>,
}

impl Db {
    /// Opens the file, making it and its tables where they are missing.
    pub fn open(path: &Path, schema: &str) -> anyhow::Result<Db> {
        let mut connection = connect(path, schema)
            .with_context(|| format!("cannot use the database `{}`", path.display()))?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || {
                for job in inbox {
                    job(&mut connection);
                }
            })?;
        Ok(Db { jobs })
    }

    /// Runs `work` in one transaction: all of it is in the file when this returns, or nothing is.
    ///
    /// Work that was sent is done, also when nobody waits for it any more.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.transact(move |tx| work(tx)).await
    }

    /// The same for work that has errors of its own. Any of them undoes all that was written.
    pub async fn transact<T, E>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Into<anyhow::Error> + Send + 'static,
    {
        self.run(move |connection| {
            // Not the default, which takes the write lock too late to wait for it.
            let mut tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&mut tx)?;
            tx.commit()?;
            Ok::<T, E>(value)
        })
        .await
    }

    /// Runs `work`, which only reads.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.run(move |connection| work(connection)).await
    }

    async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting any more; the work counts all the same.
            let _ = answer.send(work(connection));
        });
        let gone = || anyhow!("the database thread has ended");
        self.jobs.send(job).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?.map_err(Into::into)
    }
}

fn connect(path: &Path, schema: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Readers do not stop the writer; a commit is on disk when it returns.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(schema)?;
    Ok(connection)
}
