use super::{Entry, Refused, entry::Names};
use crate::saga::{
    engine::core::Core,
    journal::{Damage, OpState, Parent, Reading},
    status::{Plain, SagaStatus, Utc},
    store::{Claimed, SagaId},
};
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

/// A saga to show: `.await` it, or ask for the payloads first.
///
/// # Errors
/// [`Refused::NotFound`], [`Refused::Store`].
///
/// # Cancel safety
/// It only reads.
#[must_use = "nothing is read until it is awaited"]
pub struct Show {
    core: Arc<Core>,
    id: SagaId,
    payloads: bool,
}

/// A saga's whole life, as its journal tells it.
///
/// `Display` is a table for people. Payloads are neither in it nor in `Debug`, unless they were
/// [asked for](Show::with_payloads).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timeline {
    /// How it stands.
    pub saga: SagaStatus,
    /// Whose child it is.
    pub parent: Option<Parent>,
    /// Its children that have not answered yet.
    pub children: Vec<ChildSaga>,
    /// What happened, in order: everything that can be read. After
    /// [`continue_as`](crate::saga::Flow::continue_as) the first row and the present run.
    pub entries: Vec<Entry>,
    /// Rows that cannot be read, in their order.
    pub damage: Vec<Damage>,
}

/// A child that has not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildSaga {
    /// The number of the operation that waits for it.
    pub op: u32,
    /// The child's registered name.
    pub saga: String,
    /// The child's key.
    pub key: String,
    /// Its number, once it exists.
    pub id: Option<SagaId>,
}

impl Show {
    pub(super) fn new(core: Arc<Core>, id: SagaId) -> Self {
        Show {
            core,
            id,
            payloads: false,
        }
    }

    /// With inputs, commands, outputs and messages, which may be private. Default: without.
    pub fn with_payloads(mut self) -> Self {
        self.payloads = true;
        self
    }

    async fn run(self) -> Result<Timeline, Refused> {
        let kept = self.core.store.load(self.id, true).await?;
        let reading = Reading::of(&kept.uid, &kept.rows);
        let children = self.children(&reading).await?;
        Ok(self.timeline(&kept, reading, children))
    }

    async fn children(&self, reading: &Reading) -> Result<Vec<ChildSaga>, Refused> {
        let mut children = Vec::new();
        for (op, known) in &reading.view.ops {
            if let (Some((saga, _, key)), OpState::Intent) = (&known.child, &known.state) {
                let id = self.core.store.find(saga, key).await?;
                let (op, saga, key) = (*op, saga.clone(), key.clone());
                children.push(ChildSaga { op, saga, key, id });
            }
        }
        Ok(children)
    }

    fn timeline(self, kept: &Claimed, reading: Reading, children: Vec<ChildSaga>) -> Timeline {
        let saga = SagaStatus::of(&self.core, kept, &reading);
        let mut names = Names::default();
        let read = reading.read.iter();
        let mut entries: Vec<_> = read.map(|read| Entry::of(read, &mut names)).collect();
        if !self.payloads {
            for entry in &mut entries {
                entry.payload = None;
            }
        }
        Timeline {
            saga,
            parent: reading.view.parent,
            children,
            entries,
            damage: reading.damage,
        }
    }
}

impl IntoFuture for Show {
    type Output = Result<Timeline, Refused>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Show({})", self.id)
    }
}

const HEAD: [&str; 7] = ["time (UTC)", "row", "op", "event", "step", "try", "about"];

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.saga)?;
        if let Some(Parent { saga, key, op }) = &self.parent {
            let (saga, key) = (Plain(saga), Plain(key));
            writeln!(f, "  child of saga `{saga}` key `{key}`, operation {op}")?;
        }
        for ChildSaga { op, saga, key, id } in &self.children {
            let (saga, key) = (Plain(saga), Plain(key));
            match id {
                Some(id) => writeln!(f, "  operation {op} is saga {id} `{saga}` key `{key}`")?,
                None => writeln!(f, "  operation {op} is to be saga `{saga}` key `{key}`")?,
            }
        }
        let rows: Vec<[String; 7]> = self.entries.iter().map(cells).collect();
        let mut widths = HEAD.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        line(f, &widths, &HEAD)?;
        let mut damage = self.damage.iter().peekable();
        for (entry, row) in self.entries.iter().zip(&rows) {
            while let Some(damage) = damage.next_if(|damage| damage.seq < entry.seq) {
                writeln!(f, "!! {}", Plain(&damage.to_string()))?;
            }
            line(f, &widths, row)?;
        }
        for damage in damage {
            writeln!(f, "!! {}", Plain(&damage.to_string()))?;
        }
        Ok(())
    }
}

fn cells(entry: &Entry) -> [String; 7] {
    let number = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
    let step = entry.step.as_deref().unwrap_or_default();
    [
        Utc(entry.at_ms).to_string(),
        entry.seq.to_string(),
        number(entry.op),
        entry.event.to_owned(),
        Plain(step).to_string(),
        number(entry.attempt),
        entry.says(),
    ]
}

/// Numbers to the right, text to the left, nothing after the last column.
fn line<T: AsRef<str>>(
    f: &mut fmt::Formatter<'_>,
    widths: &[usize; 7],
    cells: &[T; 7],
) -> fmt::Result {
    let mut text = String::new();
    for (place, (width, cell)) in widths.iter().zip(cells).enumerate() {
        use fmt::Write as _;
        let cell = cell.as_ref();
        match place {
            1 | 2 | 5 => write!(text, "{cell:>width$}  ")?,
            6 => text.push_str(cell),
            _ => write!(text, "{cell:<width$}  ")?,
        }
    }
    writeln!(f, "{}", text.trim_end())
}
