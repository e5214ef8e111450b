//! Who owns which saga.
use super::*;

pub(super) const ONE_WINS: Promise = Promise {
    text: "of any number of claims one wins (S18)",
    check: |store| Box::pin(one_wins(store)),
};

async fn one_wins(store: &dyn Store) -> Checked {
    let mut sagas = Vec::new();
    for n in 0..40 {
        sagas.push(create(store, &n.to_string(), waits(Some(n))).await?);
    }
    // All are asked before one is awaited, so that a store may do them side by side.
    let asked: Vec<_> = (1..9)
        .map(|owner| {
            store.claim(Claim {
                owner: Owner(owner),
                now: 100,
                limit: 7,
                except: Vec::new(),
            })
        })
        .collect();
    let mut won = Vec::new();
    for claims in asked {
        won.extend(ids(&done("claim", claims.await)?));
    }
    won.sort_unstable();
    same("claimed by eight owners", won, sagas)?;
    same("claim", ids(&claim(store, 100, 9).await?), [SagaId(0); 0])
}

pub(super) const WHOLE_JOURNAL: Promise = Promise {
    text: "rows added before a claim are in the journal that the claimer loads (S19)",
    check: |store| Box::pin(whole_journal(store)),
};

async fn whole_journal(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    // Asked without waiting for one another, the claim last of all.
    let rows = (1..20).map(|seq| store.append(add(id, seq, 1, Next::Keep)));
    let mut asked: Vec<_> = rows.collect();
    asked.push(store.append(add(id, 20, 1, waits(Some(5)))));
    for append in asked {
        done("append", append.await)?;
    }
    let claims = claim(store, 5, 1).await?;
    let Some(saga) = claims.sagas.first() else {
        return Err("claim: nothing is due".to_owned());
    };
    let right: Vec<_> = (0..=20).map(|seq| row(seq, 1)).collect();
    same("rows", &saga.rows, right)?;
    same("name and key", (&saga.name, &saga.key), ("order", "a"))?;
    same("version and uid", (saga.version, saga.uid), (3, UID))?;
    same("created", saga.created, 1000)?;
    same("epoch", saga.epoch, 2)?;
    same("status before", saga.status, Status::Waiting)?;
    same("status now", load(store, id).await?.status, Status::Running)?;
    fenced(
        "its last owner",
        store.append(add(id, 21, 1, Next::Keep)).await,
    )?;
    done(
        "its new owner",
        store.append(add(id, 21, 2, Next::Keep)).await,
    )
}

pub(super) const DUE_IN_ORDER: Promise = Promise {
    text: "a claim takes what is due, the earliest first, and tells when the next one is",
    check: |store| Box::pin(due_in_order(store)),
};

async fn due_in_order(store: &dyn Store) -> Checked {
    let late = create(store, "late", waits(Some(30))).await?;
    let early = create(store, "early", waits(Some(10))).await?;
    let place = Next::Leave {
        status: Status::Running,
        due: Some(20),
    };
    let middle = create(store, "middle", place).await?;
    create(store, "unset", waits(None)).await?;
    create(store, "owned", Next::Keep).await?;
    let trip = new("trip", "other name", waits(Some(5)));
    done("create", store.create(trip).await)?;
    let claim = |now, limit| {
        store.claim(Claim {
            owner: ME,
            now,
            limit,
            except: vec!["trip".to_owned()],
        })
    };
    let found = done("claim", claim(9, 9).await)?;
    same(
        "due by 9",
        (ids(&found), found.next_due),
        ([SagaId(0); 0], Some(10)),
    )?;
    let found = done("claim", claim(10, 0).await)?;
    same(
        "none at most",
        (ids(&found), found.next_due),
        ([SagaId(0); 0], Some(10)),
    )?;
    let found = done("claim", claim(25, 1).await)?;
    same(
        "one at most",
        (ids(&found), found.next_due),
        ([early], Some(20)),
    )?;
    let found = done("claim", claim(30, 9).await)?;
    let none: Option<i64> = None;
    same(
        "due by 30",
        (ids(&found), found.next_due),
        ([middle, late], none),
    )?;
    let found = super::claim(store, 30, 9).await?;
    same("of all names", found.sagas.len(), 1)
}

pub(super) const NEVER_STUCK: Promise = Promise {
    text: "a stuck saga is not claimed (S29)",
    check: |store| Box::pin(never_stuck(store)),
};

async fn never_stuck(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    done("append", store.append(add(id, 1, 1, parks())).await)?;
    create(store, "at once", parks()).await?;
    let posted = done("inbox_put", store.inbox_put(letter("a", "1")).await)?;
    same("a letter to a stuck saga", posted, Posted::New(Some(id)))?;
    done("release", store.release(ME, None).await)?;
    let found = claim(store, i64::MAX, 9).await?;
    let none: Option<i64> = None;
    same(
        "claim",
        (ids(&found), found.next_due),
        ([SagaId(0); 0], none),
    )
}

pub(super) const SEIZED: Promise = Promise {
    text: "an operator's seizure takes a saga from its owner, stuck or not, and fences it",
    check: |store| Box::pin(seized(store)),
};

async fn seized(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    let saga = done("seize", store.seize(OTHER, id).await)?;
    same(
        "epoch, status",
        (saga.epoch, saga.status),
        (2, Status::Running),
    )?;
    fenced("the owner", store.append(add(id, 1, 1, Next::Keep)).await)?;
    fenced("the owner, alone", store.run_alone(id, 1).await)?;
    done("release", store.release(ME, None).await)?;
    same("claim", ids(&claim(store, 9, 9).await?), [SagaId(0); 0])?;
    done("append", store.append(add(id, 1, 2, parks())).await)?;
    let saga = done("seize", store.seize(ME, id).await)?;
    same(
        "epoch, status",
        (saga.epoch, saga.status),
        (3, Status::Stuck),
    )?;
    same("rows", saga.rows, vec![row(0, 1), row(1, 2)])?;
    let listed = done("list", store.list(Query::new(1)).await)?;
    let listed = listed
        .first()
        .map(|saga| (saga.status, saga.reason.clone()));
    let none: Option<String> = None;
    same("its reason is gone", listed, Some((Status::Running, none)))
}

pub(super) const RELEASED: Promise = Promise {
    text: "what its owner releases is due at once, and has not crashed",
    check: |store| Box::pin(released(store)),
};

async fn released(store: &dyn Store) -> Checked {
    let first = create(store, "a", Next::Keep).await?;
    let second = create(store, "b", Next::Keep).await?;
    done("release", store.release(OTHER, None).await)?;
    done("release", store.release(OTHER, Some(first)).await)?;
    same("claim", ids(&claim(store, 9, 9).await?), [SagaId(0); 0])?;
    done("release", store.release(ME, Some(second)).await)?;
    let found = claim(store, 0, 9).await?;
    same("one released", ids(&found), [second])?;
    done("release", store.release(ME, None).await)?;
    let found = claim(store, 0, 9).await?;
    same("all released", ids(&found), [first, second])?;
    let crashes: Vec<_> = found.sagas.iter().map(|saga| saga.crashes).collect();
    same("crashes", crashes, [0, 0])
}

pub(super) const ALONE: Promise = Promise {
    text: "that a suspect runs alone is noted by its owner, and is no crash by itself",
    check: |store| Box::pin(alone(store)),
};

async fn alone(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    fenced("another epoch", store.run_alone(id, 2).await)?;
    fenced(
        "nobody",
        store.run_alone(SagaId(id.0.saturating_add(7)), 1).await,
    )?;
    done("run_alone", store.run_alone(id, 1).await)?;
    let saga = load(store, id).await?;
    same("crashes", (saga.crashes, saga.crashed_alone), (0, false))?;
    let mut on = add(id, 1, 1, Next::Keep);
    on.clear_crashes = true;
    done("append", store.append(on).await)
}
