use super::*;
use crate::saga::journal::Row;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A store in memory: for tests. Clones share it, so a second engine finds what a first one left.
///
/// Rows are kept encoded, so a test meets what a database would. Nothing outlives the process.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    last: i64,
    sagas: BTreeMap<SagaId, Kept>,
    ids: HashMap<(String, String), SagaId>,
    /// By saga: name and key. Read letters keep their place, without the body.
    inbox: HashMap<(String, String), Vec<Held>>,
    arrivals: i64,
}

struct Held {
    mail: Mail,
    at: i64,
    read: bool,
}

struct Kept {
    name: String,
    key: String,
    version: u32,
    uid: [u8; 16],
    status: Status,
    owner: Option<Owner>,
    epoch: u32,
    due: Option<i64>,
    reason: Option<String>,
    crashes: u32,
    alone: Alone,
    created: i64,
    changed: i64,
    run_from: u32,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alone {
    No,
    Running,
    Crashed,
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
        for saga in self.0.lock().sagas.values_mut() {
            if saga.owner.take().is_some() {
                saga.crashes = saga.crashes.saturating_add(1);
                saga.due = Some(0);
                if saga.alone == Alone::Running {
                    saga.alone = Alone::Crashed;
                }
            }
        }
    }

    /// The rows of a saga's journal, to look at or to damage.
    pub fn with_rows<T>(&self, id: SagaId, f: impl FnOnce(&mut Vec<Row>) -> T) -> Option<T> {
        self.0
            .lock()
            .sagas
            .get_mut(&id)
            .map(|saga| f(&mut saga.rows))
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
    fn has_mail(&self, name: &str, key: &str) -> bool {
        self.inbox
            .get(&(name.to_owned(), key.to_owned()))
            .is_some_and(|letters| letters.iter().any(|held| !held.read))
    }

    fn post(&mut self, letter: Letter) -> Posted {
        let place = (letter.saga, letter.key);
        let id = self.ids.get(&place).copied();
        let saga = id.and_then(|id| self.sagas.get_mut(&id));
        if saga.as_ref().is_some_and(|saga| saga.status.is_final()) {
            return Posted::Ended;
        }
        let letters = self.inbox.entry(place).or_default();
        if letters.iter().any(|held| held.mail.id == letter.id) {
            return Posted::Duplicate;
        }
        self.arrivals = self.arrivals.saturating_add(1);
        let (arrival, name, body) = (self.arrivals, letter.name, letter.body);
        let mail = Mail {
            arrival,
            id: letter.id,
            name,
            body,
        };
        letters.push(Held {
            mail,
            at: letter.at,
            read: false,
        });
        if let Some(saga) = saga.filter(|saga| saga.status == Status::Waiting) {
            saga.due = Some(0);
        }
        Posted::New(id)
    }
}

impl Store for MemoryStore {
    fn create(&self, new: NewSaga) -> BoxFuture<'_, Result<Created, StoreError>> {
        let mut inner = self.0.lock();
        let place = (new.name.clone(), new.key.clone());
        let created = if let Some(&id) = inner.ids.get(&place) {
            Created::Exists { id }
        } else {
            inner.last = inner.last.saturating_add(1);
            let id = SagaId(inner.last);
            let mail = inner.has_mail(&new.name, &new.key);
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
            inner.ids.insert(place, id);
            inner.sagas.insert(id, saga);
            Created::New { id, mail }
        };
        ready(Ok(created))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let Some(saga) = inner.sagas.get_mut(&append.id) else {
            return ready(Err(StoreError::Fenced));
        };
        let seq = saga.rows.last().map_or(0, |row| row.seq.saturating_add(1));
        if saga.epoch != append.row.epoch || seq != append.row.seq {
            return ready(Err(StoreError::Fenced));
        }
        let place = (saga.name.clone(), saga.key.clone());
        let mut mail = false;
        for held in inner.inbox.get_mut(&place).into_iter().flatten() {
            if append.consumed.contains(&held.mail.arrival) {
                held.read = true;
                held.mail.body.clear();
            }
            mail |= !held.read;
        }
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
        for letter in append.letters {
            inner.post(letter);
        }
        ready(Ok(()))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claims, StoreError>> {
        let mut inner = self.0.lock();
        let mut due: Vec<_> = inner
            .sagas
            .iter()
            .filter(|(_, saga)| saga.owner.is_none() && !claim.except.contains(&saga.name))
            .filter(|(_, saga)| matches!(saga.status, Status::Running | Status::Waiting))
            .filter_map(|(id, saga)| saga.due.map(|due| (due, *id)))
            .collect();
        due.sort_unstable();
        let mut claims = Claims::default();
        for (at, id) in due {
            if at > claim.now || claims.sagas.len() >= claim.limit {
                claims.next_due = Some(at);
                break;
            }
            if let Some(saga) = inner.sagas.get_mut(&id) {
                claims.sagas.push(saga.take(id, claim.owner));
            }
        }
        ready(Ok(claims))
    }

    fn seize(&self, owner: Owner, id: SagaId) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        ready(match self.0.lock().sagas.get_mut(&id) {
            None => Err(StoreError::NotFound(id)),
            Some(saga) if saga.status.is_final() => Err(StoreError::Ended(id)),
            Some(saga) => Ok(saga.take(id, owner)),
        })
    }

    fn release(&self, owner: Owner, id: Option<SagaId>) -> BoxFuture<'_, Result<(), StoreError>> {
        for (number, saga) in &mut self.0.lock().sagas {
            if saga.owner == Some(owner) && id.is_none_or(|id| id == *number) {
                saga.owner = None;
                saga.due = Some(0);
            }
        }
        ready(Ok(()))
    }

    fn run_alone(&self, id: SagaId, epoch: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(match self.0.lock().sagas.get_mut(&id) {
            Some(saga) if saga.epoch == epoch => {
                saga.alone = Alone::Running;
                Ok(())
            }
            _ => Err(StoreError::Fenced),
        })
    }

    fn load(&self, id: SagaId, whole: bool) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        let inner = self.0.lock();
        let saga = inner.sagas.get(&id).ok_or(StoreError::NotFound(id));
        ready(saga.map(|saga| saga.claimed(id, saga.status, whole)))
    }

    fn find(&self, name: &str, key: &str) -> BoxFuture<'_, Result<Option<SagaId>, StoreError>> {
        let place = (name.to_owned(), key.to_owned());
        ready(Ok(self.0.lock().ids.get(&place).copied()))
    }

    fn inbox(&self, id: SagaId) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        let inner = self.0.lock();
        let Some(saga) = inner.sagas.get(&id) else {
            return ready(Err(StoreError::NotFound(id)));
        };
        let letters = inner.inbox.get(&(saga.name.clone(), saga.key.clone()));
        let unread = letters.into_iter().flatten().filter(|held| !held.read);
        ready(Ok(unread.map(|held| held.mail.clone()).collect()))
    }

    fn inbox_put(&self, letter: Letter) -> BoxFuture<'_, Result<Posted, StoreError>> {
        ready(Ok(self.0.lock().post(letter)))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        let inner = self.0.lock();
        let found = inner
            .sagas
            .iter()
            .filter(|(id, _)| query.after.is_none_or(|after| **id > after))
            .map(|(id, saga)| Summary {
                id: *id,
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
        let mut counts = Counts::default();
        for saga in self.0.lock().sagas.values() {
            counts.add(saga.status, 1);
            if !saga.status.is_final() {
                let oldest = counts.oldest_unfinished_ms.unwrap_or(saga.created);
                counts.oldest_unfinished_ms = Some(oldest.min(saga.created));
            }
        }
        ready(Ok(counts))
    }

    fn delete_ended(&self, expired: Expired) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        let mut ended: Vec<_> = inner
            .sagas
            .iter()
            .filter(|(_, saga)| saga.status.is_final())
            .map(|(id, saga)| (saga.changed, *id))
            .collect();
        ended.sort_unstable();
        let kept = expired.keep_at_most.and_then(|n| usize::try_from(n).ok());
        let beyond = ended.len().saturating_sub(kept.unwrap_or(usize::MAX));
        let gone: Vec<_> = ended
            .into_iter()
            .enumerate()
            .filter(|(place, (changed, _))| *place < beyond || *changed < expired.ended_before)
            .take(expired.limit)
            .map(|(_, (_, id))| id)
            .collect();
        for id in &gone {
            if let Some(saga) = inner.sagas.remove(id) {
                let place = (saga.name, saga.key);
                inner.ids.remove(&place);
                inner.inbox.remove(&place);
            }
        }
        let ids = &inner.ids;
        inner.inbox.retain(|place, letters| {
            let is_awaited = ids.contains_key(place);
            letters.retain(|held| held.at >= expired.ended_before || (is_awaited && !held.read));
            !letters.is_empty()
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
