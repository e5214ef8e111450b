mod letters;
mod shelf;

use super::*;
use crate::saga::journal::Row;
use letters::Letters;
use parking_lot::Mutex;
use shelf::{Alone, Kept, Shelf};
use std::{collections::HashMap, sync::Arc};

/// A store in memory: for tests. Clones share it, so a second engine finds what a first one left.
///
/// Rows are kept encoded, so a test meets what a database would. Nothing outlives the process.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    sagas: Shelf,
    /// By the saga's name and key.
    inbox: HashMap<(String, String), Letters>,
    arrivals: i64,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// What a store finds when it is opened after its process has died.
    ///
    /// No saga has an owner, and each that had one has crashed once more.
    pub fn owners_died(&self) {
        let mut inner = self.0.lock();
        let owned: Vec<_> = inner.sagas.of(Status::Running).collect();
        for id in owned {
            inner.sagas.change(id, |saga| {
                if saga.owner.take().is_some() {
                    saga.crashes = saga.crashes.saturating_add(1);
                    saga.due = Some(0);
                    if saga.alone == Alone::Running {
                        saga.alone = Alone::Crashed;
                    }
                }
            });
        }
    }

    /// The rows of a saga's journal, to look at or to damage.
    pub fn with_rows<T>(&self, id: SagaId, f: impl FnOnce(&mut Vec<Row>) -> T) -> Option<T> {
        self.0.lock().sagas.rows(id).map(f)
    }
}

impl Kept {
    fn claimed(&self, id: SagaId, status: Status, whole: bool) -> Claimed {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.seq >= self.run_from || (whole && row.seq == 0));
        Claimed {
            id,
            name: self.name.clone(),
            key: self.key.clone(),
            version: self.version,
            uid: self.uid,
            epoch: self.epoch,
            status,
            crashes: self.crashes,
            crashed_alone: self.alone == Alone::Crashed,
            created: self.created,
            rows: rows.cloned().collect(),
        }
    }

    fn take(&mut self, id: SagaId, owner: Owner) -> Claimed {
        let status = self.status;
        self.owner = Some(owner);
        self.epoch = self.epoch.saturating_add(1);
        self.status = Status::Running;
        self.due = None;
        self.reason = None;
        self.claimed(id, status, false)
    }

    fn follow(&mut self, next: Next, at: i64, mail: bool) {
        let (status, due) = match next {
            Next::Keep => return,
            Next::Leave { status, due } => (status, if mail { Some(0) } else { due }),
            Next::Park { reason } => {
                self.reason = Some(reason);
                (Status::Stuck, None)
            }
            Next::End { status } => (status, None),
        };
        self.status = status;
        self.due = due;
        self.owner = None;
        self.changed = at;
    }
}

impl Inner {
    fn has_mail(&self, place: &(String, String)) -> bool {
        self.inbox.get(place).is_some_and(Letters::has_unread)
    }

    fn post(&mut self, letter: Letter) -> Posted {
        let place = (letter.saga.clone(), letter.key.clone());
        let id = self.sagas.id(&place);
        let status = id.and_then(|id| self.sagas.get(id)).map(|saga| saga.status);
        if status.is_some_and(Status::is_final) {
            return Posted::Ended;
        }
        let arrival = self.arrivals.saturating_add(1);
        if !self.inbox.entry(place).or_default().put(arrival, letter) {
            return Posted::Duplicate;
        }
        self.arrivals = arrival;
        if let (Some(id), Some(Status::Waiting)) = (id, status) {
            self.sagas.change(id, |saga| saga.due = Some(0));
        }
        Posted::New(id)
    }
}

impl Store for MemoryStore {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        let mut inner = self.0.lock();
        let place = (new.name.clone(), new.key.clone());
        if let Some(id) = inner.sagas.id(&place) {
            return ready(Ok(Created::Exists { id }));
        }
        let mail = inner.has_mail(&place);
        let mut saga = Kept {
            name: new.name,
            key: new.key,
            version: new.version,
            uid: new.uid,
            status: Status::Running,
            owner: Some(new.owner),
            epoch: 1,
            due: None,
            reason: None,
            crashes: 0,
            alone: Alone::No,
            created: new.row.at,
            changed: new.row.at,
            run_from: 0,
            rows: Vec::new(),
        };
        saga.follow(new.next, new.row.at, mail);
        saga.rows.push(new.row);
        let id = inner.sagas.add(saga);
        ready(Ok(Created::New { id, mail }))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let Some(saga) = inner.sagas.get(append.id) else {
            return ready(Err(StoreError::Fenced));
        };
        let seq = saga.rows.last().map_or(0, |row| row.seq.saturating_add(1));
        if saga.epoch != append.row.epoch || seq != append.row.seq {
            return ready(Err(StoreError::Fenced));
        }
        let mut mail = false;
        if !append.consumed.is_empty() || append.next != Next::Keep {
            let place = (saga.name.clone(), saga.key.clone());
            if let Some(letters) = inner.inbox.get_mut(&place) {
                letters.read(&append.consumed);
                mail = letters.has_unread();
            }
        }
        inner.sagas.change(append.id, |saga| {
            if append.new_run {
                saga.run_from = seq;
                saga.rows.retain(|row| row.seq == 0);
            }
            if append.clear_crashes {
                (saga.crashes, saga.alone) = (0, Alone::No);
            }
            let at = append.row.at;
            saga.rows.push(append.row);
            saga.follow(append.next, at, mail);
        });
        for letter in append.letters {
            inner.post(letter);
        }
        ready(Ok(()))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        let mut inner = self.0.lock();
        let due = inner
            .sagas
            .due(claim.limit.saturating_add(1), &claim.except);
        let mut claims = Claims::default();
        for (at, id) in due {
            if at > claim.now || claims.sagas.len() >= claim.limit {
                claims.next_due = Some(at);
                break;
            }
            let taken = inner.sagas.change(id, |saga| saga.take(id, claim.owner));
            claims.sagas.extend(taken);
        }
        ready(Ok(claims))
    }

    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        let mut inner = self.0.lock();
        let taken = inner.sagas.change(id, |saga| match saga.status.is_final() {
            true => Err(StoreError::Ended(id)),
            false => Ok(saga.take(id, owner)),
        });
        ready(taken.unwrap_or(Err(StoreError::NotFound(id))))
    }

    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut inner = self.0.lock();
        let ids = match id {
            Some(id) => vec![id],
            None => inner.sagas.of(Status::Running).collect(),
        };
        for id in ids {
            inner.sagas.change(id, |saga| {
                if saga.owner == Some(owner) {
                    saga.owner = None;
                    saga.due = Some(0);
                }
            });
        }
        ready(Ok(()))
    }

    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut inner = self.0.lock();
        let noted = inner.sagas.change(id, |saga| {
            let is_owner = saga.epoch == epoch;
            if is_owner {
                saga.alone = Alone::Running;
            }
            is_owner
        });
        ready(match noted {
            Some(true) => Ok(()),
            _ => Err(StoreError::Fenced),
        })
    }

    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        let inner = self.0.lock();
        let saga = inner.sagas.get(id).ok_or(StoreError::NotFound(id));
        ready(saga.map(|saga| saga.claimed(id, saga.status, whole)))
    }

    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        let place = (name.to_owned(), key.to_owned());
        ready(Ok(self.0.lock().sagas.id(&place)))
    }

    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        let inner = self.0.lock();
        let Some(saga) = inner.sagas.get(id) else {
            return ready(Err(StoreError::NotFound(id)));
        };
        let letters = inner.inbox.get(&(saga.name.clone(), saga.key.clone()));
        let unread = letters.into_iter().flat_map(Letters::unread);
        ready(Ok(unread.cloned().collect()))
    }

    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        ready(Ok(self.0.lock().post(letter)))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        let inner = self.0.lock();
        let found = inner
            .sagas
            .after(query.after)
            .map(|(id, saga)| Summary {
                id,
                name: saga.name.clone(),
                key: saga.key.clone(),
                version: saga.version,
                status: saga.status,
                reason: saga.reason.clone(),
                created_ms: saga.created,
                changed_ms: saga.changed,
                due_ms: saga.due.filter(|_| saga.status == Status::Waiting),
            })
            .filter(|saga| query.fits(saga))
            .take(query.limit)
            .collect();
        ready(Ok(found))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        let (inner, mut counts) = (self.0.lock(), Counts::default());
        for &status in Status::ALL {
            let n = u64::try_from(inner.sagas.count(status)).unwrap_or(u64::MAX);
            counts.add(status, n);
            if !status.is_final() {
                // Numbers rise, so the first of each status is its oldest.
                let first = inner.sagas.of(status).next();
                let first = first.and_then(|id| inner.sagas.get(id));
                let oldest = counts.oldest_unfinished_ms.into_iter();
                counts.oldest_unfinished_ms = oldest.chain(first.map(|saga| saga.created)).min();
            }
        }
        ready(Ok(counts))
    }

    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let ended = inner.sagas.ended();
        let kept = expired.keep_at_most.and_then(|n| usize::try_from(n).ok());
        let beyond = ended.len().saturating_sub(kept.unwrap_or(usize::MAX));
        let gone: Vec<_> = ended
            .enumerate()
            .take_while(|(place, (changed, _))| *place < beyond || *changed < expired.ended_before)
            .take(expired.limit)
            .map(|(_, (_, id))| id)
            .collect();
        for id in &gone {
            if let Some(place) = inner.sagas.remove(*id) {
                inner.inbox.remove(&place);
            }
        }
        let sagas = &inner.sagas;
        inner.inbox.retain(|place, letters| {
            letters.forget(expired.ended_before, sagas.id(place).is_some())
        });
        ready(Ok(gone.len()))
    }

    fn heartbeat(&self, _: Owner) -> BoxFuture<'_, Result<Option<i64>, StoreError>> {
        ready(Ok(None))
    }
}

impl Query {
    /// Whether a saga is what is looked for; its place in the paging aside.
    pub fn fits(&self, saga: &Summary) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&saga.status))
            && self.name.as_ref().is_none_or(|name| *name == saga.name)
            && self
                .key_prefix
                .as_ref()
                .is_none_or(|p| saga.key.starts_with(p.as_str()))
            && self
                .created_before
                .is_none_or(|before| saga.created_ms < before)
            && self.reason_contains.as_ref().is_none_or(|part| {
                saga.reason
                    .as_ref()
                    .is_some_and(|reason| reason.contains(part.as_str()))
            })
    }
}

impl Counts {
    /// Takes `n` more sagas of `status` in.
    pub fn add(&mut self, status: Status, n: u64) {
        let count = match status {
            Status::Running => &mut self.running,
            Status::Waiting => &mut self.waiting,
            Status::Stuck => &mut self.stuck,
            Status::Finished => &mut self.finished,
            Status::Compensated => &mut self.compensated,
            Status::CompensatedWithExceptions => &mut self.compensated_with_exceptions,
            Status::Forced => &mut self.forced,
        };
        *count = count.saturating_add(n);
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}
