use crate::saga::{
    journal::{Event, Raw, Read, Settlement},
    status::{Plain, Utc},
};
use std::{collections::BTreeMap, fmt};

/// One event of a saga's life.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Entry {
    /// When, UTC ms.
    pub at_ms: i64,
    /// The number of the journal row it is in. Events of one row became durable together.
    pub seq: u32,
    /// The epoch of the owner that wrote it: one more with each time the saga was taken over.
    pub epoch: u32,
    /// What happened, by the journal's name for it.
    pub event: &'static str,
    /// The number of the operation it is about.
    pub op: Option<u32>,
    /// The name of that step.
    pub step: Option<String>,
    /// Attempts used by then.
    pub attempt: Option<u32>,
    /// What else there is to say, payloads aside.
    pub about: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Who did it, where a person did.
    pub by: Option<String>,
    /// Their note.
    pub note: Option<String>,
    /// The input, command, output or message; only on
    /// [request](super::Show::with_payloads).
    pub payload: Option<Raw>,
}

/// Steps' names, which only their first events tell.
#[derive(Default)]
pub(super) struct Names(BTreeMap<u32, String>);

impl Entry {
    pub(super) fn of(read: &Read, names: &mut Names) -> Entry {
        let mut entry = Entry {
            at_ms: read.at,
            seq: read.seq,
            epoch: read.epoch,
            ..Entry::default()
        };
        entry.take(&read.event, names);
        entry.step = entry.op.and_then(|op| names.0.get(&op).cloned());
        entry
    }

    fn take(&mut self, event: &Event, names: &mut Names) {
        match event {
            Event::Started {
                input,
                deadline,
                parent,
                ..
            } => {
                self.set("started", None).payload = Some(input.clone());
                let deadline = deadline.map(|at| format!("given up at {} UTC", Utc(at)));
                let parent = parent.as_ref().map(|parent| {
                    let (saga, key, op) = (&parent.saga, &parent.key, parent.op);
                    format!("child of `{saga}` key `{key}`, operation {op}")
                });
                let about: Vec<_> = deadline.into_iter().chain(parent).collect();
                self.about = Some(about.join("; ")).filter(|about| !about.is_empty());
            }
            Event::Step {
                op,
                name,
                cmd,
                pivot,
            } => {
                names.0.insert(*op, name.clone());
                self.set("step", Some(*op)).payload = Some(cmd.clone());
                self.about = pivot.then(|| "pivot".to_owned());
            }
            Event::Child {
                op,
                name,
                saga,
                version,
                key,
                cmd,
            } => {
                names.0.insert(*op, name.clone());
                self.set("child", Some(*op)).payload = Some(cmd.clone());
                self.about = Some(format!("saga `{saga}` version {version} key `{key}`"));
            }
            Event::Done { op, out, attempt } => {
                self.set("done", Some(*op)).payload = Some(out.clone());
                self.attempt = Some(*attempt);
            }
            Event::Failed {
                op,
                clean,
                error,
                attempt,
            } => {
                self.set("failed", Some(*op)).attempt = Some(*attempt);
                let applied = if *clean {
                    "not applied"
                } else {
                    "may have been applied"
                };
                self.about = Some(applied.to_owned());
                self.error = Some(error.clone());
            }
            Event::Timer { op, at } => {
                self.set("timer", Some(*op)).about = Some(format!("until {} UTC", Utc(*at)));
            }
            Event::Fired { op } => drop(self.set("fired", Some(*op))),
            Event::Wait { op, name, until } => {
                let until = until.map(|at| format!(" until {} UTC", Utc(at)));
                let until = until.unwrap_or_default();
                self.set("wait", Some(*op)).about = Some(format!("for signal `{name}`{until}"));
            }
            Event::Signal { id, name, body } => {
                self.set("signal", None).payload = Some(body.clone());
                self.about = Some(format!("`{name}` id `{id}`"));
            }
            Event::TimedOut { op } => drop(self.set("timed_out", Some(*op))),
            Event::Unwait { op } => drop(self.set("unwait", Some(*op))),
            Event::Patch { op, name } => {
                self.set("patch", Some(*op)).about = Some(format!("`{name}`"));
            }
            Event::Retry {
                op,
                attempt,
                not_before,
                error,
                refused_by,
                undo,
                ..
            } => {
                self.set("retry", Some(*op)).attempt = Some(*attempt);
                let what = if *undo { "its undo again" } else { "again" };
                let held = refused_by
                    .as_ref()
                    .map(|policy| format!(", held by `{policy}`"));
                let (from, held) = (Utc(*not_before), held.unwrap_or_default());
                self.about = Some(format!("{what} from {from} UTC{held}"));
                self.error = Some(error.clone());
            }
            Event::UndoAsked { op, target } => {
                self.set("undo_asked", Some(*target)).about = Some(format!("as operation {op}"));
            }
            other => self.take_end(other),
        }
    }

    /// What leads to the end, and what operators do.
    fn take_end(&mut self, event: &Event) {
        match event {
            Event::Undone { op } => drop(self.set("undone", Some(*op))),
            Event::Cancelled { by, note } => self.set("cancelled", None).signed(by, note),
            Event::Abort { reason, by, note } => {
                match (by, note) {
                    (Some(by), Some(note)) => self.set("abort", None).signed(by, note),
                    _ => self.set("abort", None).about = Some(reason.clone()),
                };
            }
            Event::Skipped { op, by, note } => self.set("skipped", Some(*op)).signed(by, note),
            Event::Settled {
                op,
                verdict,
                by,
                note,
            } => {
                self.set("settled", Some(*op)).signed(by, note);
                let verdict = match verdict {
                    Settlement::Done(out) => {
                        self.payload = Some(out.clone());
                        "as done"
                    }
                    Settlement::NotApplied => "as not applied",
                    Settlement::Undone => "as undone",
                };
                self.about = Some(verdict.to_owned());
            }
            Event::Stuck { why, kind, op } => {
                self.set("stuck", *op).about = Some(kind.as_str().to_owned());
                self.error = Some(why.clone());
            }
            Event::Resumed { by, note } => self.set("resumed", None).signed(by, note),
            Event::Forced { by, note } => self.set("forced", None).signed(by, note),
            Event::Finished { out } => self.set("finished", None).payload = Some(out.clone()),
            Event::Continued {} => {
                self.set("continued", None).about = Some("as a new run".to_owned());
            }
            Event::Compensated { exceptions, .. } => {
                let list: Vec<_> = exceptions.iter().map(u32::to_string).collect();
                let except =
                    (!list.is_empty()).then(|| format!("except for operation {}", list.join(", ")));
                self.set("compensated", None).about = except;
            }
            _ => {}
        }
    }

    fn set(&mut self, event: &'static str, op: Option<u32>) -> &mut Self {
        (self.event, self.op) = (event, op);
        self
    }

    fn signed(&mut self, by: &str, note: &str) {
        (self.by, self.note) = (Some(by.to_owned()), Some(note.to_owned()));
    }

    /// The last column of the table.
    pub(super) fn says(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.about.clone());
        parts.extend(self.error.clone());
        if let (Some(by), Some(note)) = (&self.by, &self.note) {
            parts.push(format!("by {by}: {note}"));
        }
        parts.extend(
            self.payload
                .as_ref()
                .map(|payload| payload.get().to_owned()),
        );
        Plain(&parts.join(": ")).to_string()
    }
}

/// One line, as in the table.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Utc(self.at_ms), self.event)?;
        if let Some(op) = self.op {
            write!(f, " operation {op}")?;
        }
        if let Some(step) = &self.step {
            write!(f, " `{}`", Plain(step))?;
        }
        if let Some(attempt) = self.attempt {
            write!(f, " attempt {attempt}")?;
        }
        match &*self.says() {
            "" => Ok(()),
            says => write!(f, ": {says}"),
        }
    }
}
