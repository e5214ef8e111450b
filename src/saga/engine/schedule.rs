//! Brings sagas from the store into memory when they are due and there is room, fair between their
//! names.
use super::{
    core::{Core, Pass},
    drive::Task,
    timer,
};
use crate::saga::{
    journal::{Phase, Reading, StuckKind},
    store::{Claim, Expired, Query, Status, StoreError, Summary},
};
use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::Poll,
    time::Duration,
};
use tokio::sync::Semaphore;

/// Journals that one claim loads at most.
const BATCH: usize = 64;

/// After a look that the store has failed.
const AGAIN: Duration = Duration::from_secs(1);

/// What retention keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) age: Duration,
    pub(super) at_most: Option<u64>,
}

/// Ended sagas that are deleted in one go.
const DELETE: usize = 256;
/// Between looks for sagas to delete.
const LOOK: Duration = Duration::from_secs(60);

/// Runs for as long as the engine does.
pub(super) async fn schedule(core: Arc<Core>) {
    loop {
        if core.is_draining() || core.is_closed().is_some() {
            return;
        }
        let next_due = match claim(&core).await {
            Ok(next_due) => next_due,
            Err(StoreError::Closed(cause)) => return core.close(&StoreError::Closed(cause)),
            // The next look may be luckier.
            Err(_) => Some(core.later(AGAIN)),
        };
        let mut timer = next_due.map(|due| timer::until(due, core.now()));
        let mut woken = pin!(core.wake.notified());
        poll_fn(|cx| match (&mut timer, woken.as_mut().poll(cx)) {
            (_, Poll::Ready(())) => Poll::Ready(()),
            (Some(timer), Poll::Pending) => timer.as_mut().poll(cx),
            (None, Poll::Pending) => Poll::Pending,
        })
        .await;
    }
}

/// Claims what there is room for. When to look again.
async fn claim(core: &Arc<Core>) -> Result<Option<i64>, StoreError> {
    let (mut pass, mut next_due) = (Pass::Fair, None);
    let mut freed = core.freed();
    loop {
        let room = core.room(pass);
        if room.places == 0 {
            if !core.note_backlog(freed) {
                (pass, freed) = (Pass::Fair, core.freed());
                continue;
            }
            // A place that comes free wakes us.
            return Ok(Some(core.later(Duration::from_secs(1))));
        }
        let limit = room.places.min(room.batch).min(BATCH);
        let narrowed = !room.except.is_empty();
        let claim = Claim {
            owner: core.owner,
            now: core.now(),
            limit,
            except: room.except,
        };
        let Some(taking) = core.take() else {
            return Ok(None);
        };
        let claims = core.store.claim(claim).await?;
        let found = claims.sagas.len();
        for claimed in claims.sagas {
            let place = core.extra_place(&claimed.name);
            core.spawn(Task::Old(Box::new(claimed), Vec::new()), place);
        }
        drop(taking);
        if found == limit {
            // There may be more; those that were just taken get their turn first.
            tokio::task::yield_now().await;
            continue;
        }
        next_due = [next_due, claims.next_due].into_iter().flatten().min();
        pass = match pass {
            Pass::Fair if !core.max_of.is_empty() => Pass::Capped,
            Pass::Fair | Pass::Capped if narrowed => Pass::Rest,
            _ if narrowed && !core.note_backlog(freed) => {
                freed = core.freed();
                Pass::Fair
            }
            _ => {
                core.backlog.store(narrowed, SeqCst);
                return Ok(next_due);
            }
        };
    }
}

/// Sagas that were parked for their code, which may be registered by now.
pub(super) async fn take_up_parked(core: Arc<Core>) {
    let prefix = format!("{}: ", StuckKind::Code.as_str());
    let mut after = None;
    // Of these, so many are in memory at a time.
    let turns = Arc::new(Semaphore::new(BATCH));
    while !core.is_draining() {
        let query = Query {
            statuses: vec![Status::Stuck],
            reason_contains: Some(prefix.clone()),
            after,
            ..Query::new(BATCH)
        };
        let found = match core.heard(core.store.list(query).await) {
            Ok(found) => found,
            Err(StoreError::Closed(_)) => return,
            // The next look may be luckier.
            Err(_) => {
                timer::pause(AGAIN).await;
                continue;
            }
        };
        let Some(last) = found.last() else {
            return;
        };
        after = Some(last.id);
        for summary in found {
            let by_code = summary
                .reason
                .as_ref()
                .is_some_and(|reason| reason.starts_with(&prefix));
            if !by_code || !may_fit(&core, &summary).await {
                continue;
            }
            let Ok(turn) = turns.clone().acquire_owned().await else {
                return;
            };
            let Some(_taking) = core.take() else {
                return;
            };
            let seized = core.store.seize(core.owner, summary.id).await;
            if let Ok(claimed) = core.heard(seized) {
                let place = core.extra_place(&summary.name).with(turn);
                core.spawn(Task::Fits(Box::new(claimed)), place);
            }
        }
    }
}

/// Whether there is code for it. On its way back a saga needs its steps alone.
async fn may_fit(core: &Core, summary: &Summary) -> bool {
    if core.registered(&summary.name, summary.version).is_some() {
        return true;
    }
    let kept = core.store.load(summary.id, false).await;
    kept.is_ok_and(|kept| Reading::of(&kept.uid, &kept.rows).view.phase == Phase::Backward)
}

/// Deletes ended sagas whose time is over: a few at a time, so that writers hardly wait.
pub(super) async fn retain(core: Arc<Core>, retention: Retention) {
    loop {
        let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        let expired = Expired {
            ended_before: core.now().saturating_sub(age),
            keep_at_most: retention.at_most,
            limit: DELETE,
        };
        match core.store.delete_ended(expired).await {
            Ok(DELETE..) => tokio::task::yield_now().await,
            Err(error @ StoreError::Closed(_)) => return core.close(&error),
            Ok(_) | Err(_) => timer::pause(LOOK).await,
        }
    }
}
