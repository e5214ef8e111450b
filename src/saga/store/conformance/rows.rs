//! Sagas created and rows added.
use super::*;

pub(super) const CREATED_ONCE: Promise = Promise {
    text: "a name and a key are one saga: a second one is not written (S24)",
    check: |store| Box::pin(created_once(store)),
};

async fn created_once(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    let mut again = new("order", "a", ends(Status::Finished));
    again.version = 9;
    let exists = Created::Exists { id };
    same("create again", done("", store.create(again).await)?, exists)?;
    let saga = load(store, id).await?;
    same("version", saga.version, 3)?;
    same("status", saga.status, Status::Running)?;
    same("rows", saga.rows, vec![row(0, 1)])?;
    let of_other_name = done("create", store.create(new("trip", "a", Next::Keep)).await)?;
    let found = done("find", store.find("trip", "a").await)?;
    match of_other_name {
        Created::New { id: other, .. } if other > id => same("find", found, Some(other))?,
        other => return Err(format!("same key, other name: {other:?} after {id}")),
    }
    same("find", done("", store.find("order", "a").await)?, Some(id))?;
    let nobody: Option<SagaId> = None;
    same("find", done("", store.find("order", "b").await)?, nobody)
}

pub(super) const FENCED: Promise = Promise {
    text: "an append with another epoch or a taken seq writes nothing (S17)",
    check: |store| Box::pin(fencing(store)),
};

async fn fencing(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    done("append", store.append(add(id, 1, 1, Next::Keep)).await)?;
    let seized = done("seize", store.seize(OTHER, id).await)?;
    same("epoch", seized.epoch, 2)?;
    let stale = [Next::Keep, waits(Some(0)), parks(), ends(Status::Finished)];
    for next in stale {
        let mut old = add(id, 2, 1, next.clone());
        old.letters = vec![letter("b", "from a stale owner")];
        (old.new_run, old.clear_crashes) = (true, true);
        fenced(
            &format!("append of epoch 1, {next:?}"),
            store.append(old).await,
        )?;
        let taken = store.append(add(id, 1, 2, next.clone())).await;
        fenced(&format!("append of a taken seq, {next:?}"), taken)?;
    }
    fenced(
        "append with a gap",
        store.append(add(id, 3, 2, Next::Keep)).await,
    )?;
    let nobody = SagaId(id.0.saturating_add(7));
    fenced(
        "append to nobody",
        store.append(add(nobody, 1, 1, Next::Keep)).await,
    )?;
    let saga = load(store, id).await?;
    same("rows", saga.rows, vec![row(0, 1), row(1, 1)])?;
    same("status", saga.status, Status::Running)?;
    same("epoch", saga.epoch, 2)?;
    let b = create(store, "b", Next::Keep).await?;
    same("mail", unread(store, b).await?, [""; 0])?;
    done("append", store.append(add(id, 2, 2, Next::Keep)).await)
}

pub(super) const ENDED: Promise = Promise {
    text: "an ended saga keeps its status and its journal (S14)",
    check: |store| Box::pin(ended(store)),
};

async fn ended(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    let end = ends(Status::CompensatedWithExceptions);
    done("append", store.append(add(id, 1, 1, end)).await)?;
    let at_once = create(store, "b", ends(Status::Forced)).await?;
    match store.seize(ME, id).await {
        Err(StoreError::Ended(ended)) => same("seize", ended, id)?,
        other => return Err(format!("seize of an ended saga: {other:?}")),
    }
    same(
        "claim",
        ids(&claim(store, i64::MAX, 9).await?),
        [SagaId(0); 0],
    )?;
    let saga = load(store, id).await?;
    same("status", saga.status, Status::CompensatedWithExceptions)?;
    same("rows", saga.rows, vec![row(0, 1), row(1, 1)])?;
    same("status", load(store, at_once).await?.status, Status::Forced)?;
    match store.load(SagaId(at_once.0.saturating_add(7)), true).await {
        Err(StoreError::NotFound(_)) => Ok(()),
        other => Err(format!("load of nobody: {other:?}")),
    }
}

pub(super) const RUNS: Promise = Promise {
    text: "a new run drops the rows of the one before but the first of all",
    check: |store| Box::pin(runs(store)),
};

async fn runs(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    done("append", store.append(add(id, 1, 1, Next::Keep)).await)?;
    let mut run = add(id, 2, 1, Next::Keep);
    run.new_run = true;
    done("append", store.append(run).await)?;
    done("append", store.append(add(id, 3, 1, waits(Some(0)))).await)?;
    let whole = vec![row(0, 1), row(2, 1), row(3, 1)];
    same("load, whole", load(store, id).await?.rows, whole)?;
    let run = vec![row(2, 1), row(3, 1)];
    same("load", done("", store.load(id, false).await)?.rows, &run)?;
    let claimed = claim(store, 0, 1).await?;
    same(
        "claim",
        claimed.sagas.first().map(|saga| &saga.rows),
        Some(run),
    )
}
