use super::{Find, Refused, find};
use crate::saga::{
    engine::{core::Core, operate::Command},
    journal::Reading,
    status::{Plain, Utc},
    store::{SagaId, Summary},
};
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

/// What is done to each.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Retry,
    Skip,
    Abort,
    Cancel,
    ForceEnd,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            What::Retry => "retry",
            What::Skip => "skip",
            What::Abort => "abort",
            What::Cancel => "cancel",
            What::ForceEnd => "force_end",
        }
    }
}

/// One command to a page of sagas: `.await` it, or make it a [dry run](Bulk::dry_run) first.
///
/// It takes the page that [`Find`] gives, one saga after the other; for the next page give
/// [`BulkPage::next`] to [`Find::after`]. A saga that refuses does not stop the others.
///
/// # Errors
/// [`Refused::Unsigned`], [`Refused::TooLong`], [`Refused::Limit`], and [`Refused::Store`] where the
/// page could not be listed: nothing was done.
///
/// # Cancel safety
/// Dropped, some of the page is done and the rest is not; the same again, or a dry run, tells.
#[must_use = "nothing is done until it is awaited"]
pub struct Bulk {
    core: Arc<Core>,
    find: Find,
    what: What,
    by: String,
    note: String,
    dry: bool,
}

/// What came of a page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BulkPage {
    /// The command.
    pub command: &'static str,
    /// Nothing was done: it says what would be.
    pub dry_run: bool,
    /// Each saga of the page, by number.
    pub results: Vec<BulkResult>,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<SagaId>,
}

/// What came of one saga.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BulkResult {
    /// The saga as it was listed.
    pub saga: Summary,
    /// The number of the operation whose compensation is skipped, with [`skip_all`](super::Operator::skip_all).
    pub op: Option<u32>,
    /// `Ok`: it was done, or in a dry run would be.
    pub outcome: Result<(), Refused>,
}

impl Bulk {
    pub(super) fn new(core: Arc<Core>, find: Find, what: What, by: String, note: String) -> Self {
        Bulk {
            core,
            find,
            what,
            by,
            note,
            dry: false,
        }
    }

    /// Writes nothing, and lists what would be done to whom, as the sagas stand now.
    ///
    /// Also who would refuse. Default: it is done.
    pub fn dry_run(mut self) -> Self {
        self.dry = true;
        self
    }

    async fn run(self) -> Result<BulkPage, Refused> {
        self.command(0).check()?;
        let page = find::page(&self.core, self.find.clone()).await?;
        let mut results = Vec::with_capacity(page.sagas.len());
        for saga in page.sagas {
            let (op, outcome) = match self.stuck_at(saga.id).await {
                Ok(op) => (op, self.one(saga.id, op).await),
                Err(refused) => (None, Err(refused)),
            };
            results.push(BulkResult { saga, op, outcome });
        }
        Ok(BulkPage {
            command: self.what.as_str(),
            dry_run: self.dry,
            results,
            next: page.next,
        })
    }

    async fn one(&self, id: SagaId, op: Option<u32>) -> Result<(), Refused> {
        let command = self.command(op.unwrap_or_default());
        match self.dry {
            true => self.core.would(id, &command).await,
            false => self.core.command(id, command).await,
        }
    }

    /// What a skip is about.
    async fn stuck_at(&self, id: SagaId) -> Result<Option<u32>, Refused> {
        if !matches!(self.what, What::Skip) {
            return Ok(None);
        }
        let kept = self.core.store.load(id, false).await?;
        let Reading { view, damage, .. } = Reading::of(&kept.uid, &kept.rows);
        if kept.status.is_final() {
            return Err(Refused::Ended);
        }
        if let Some(damage) = damage.first() {
            let why = damage.to_string();
            return Err(Refused::Damaged { why });
        }
        match (view.stuck_op, view.stuck) {
            (Some(op), _) => Ok(Some(op)),
            (None, None) => Err(Refused::NotStuck),
            (None, Some(_)) => Err(Refused::Operation {
                op: 0,
                what: "skipped",
                why: "the saga is not stuck at a compensation".to_owned(),
            }),
        }
    }

    fn command(&self, op: u32) -> Command {
        let (by, note) = (self.by.clone(), self.note.clone());
        match self.what {
            What::Retry => Command::Retry { by, note },
            What::Skip => Command::Skip { op, by, note },
            What::Abort => Command::Abort { by, note },
            What::Cancel => Command::cancel(by, note),
            What::ForceEnd => Command::Force { by, note },
        }
    }
}

impl IntoFuture for Bulk {
    type Output = Result<BulkPage, Refused>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("what", &self.what)
            .field("find", &self.find)
            .field("by", &self.by)
            .field("note", &self.note)
            .field("dry_run", &self.dry)
            .finish()
    }
}

/// A line for each saga.
impl fmt::Display for BulkPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for BulkResult { saga, op, outcome } in &self.results {
            let did = match (outcome, self.dry_run) {
                (Ok(()), false) => "done",
                (Ok(()), true) => "would",
                (Err(_), _) => "refused",
            };
            write!(f, "{did}: {}", self.command)?;
            if let Some(op) = op {
                write!(f, " operation {op} of")?;
            }
            let (name, key) = (Plain(&saga.name), Plain(&saga.key));
            let (id, since) = (saga.id, Utc(saga.created_ms));
            write!(
                f,
                " saga {id} `{name}` key `{key}` from {since}, {}",
                saga.status
            )?;
            if let Some(reason) = &saga.reason {
                write!(f, " ({})", Plain(reason))?;
            }
            match outcome {
                Ok(()) => writeln!(f)?,
                Err(refused) => writeln!(f, ": {}", Plain(&refused.to_string()))?,
            }
        }
        match self.next {
            Some(next) => writeln!(f, "more after saga {next}"),
            None => writeln!(f, "no more"),
        }
    }
}
