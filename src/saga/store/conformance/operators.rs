//! What people see, and what is deleted.
use super::*;

/// Eight sagas, of each status, the eighth of another name; their numbers in order.
async fn eight(store: &dyn Store) -> Result<Vec<SagaId>, String> {
    let nexts = [
        Next::Keep,
        waits(Some(70)),
        parks(),
        ends(Status::Finished),
        ends(Status::Compensated),
        ends(Status::CompensatedWithExceptions),
        ends(Status::Forced),
        Next::Keep,
    ];
    let mut sagas = Vec::new();
    for (n, next) in (0_u32..).zip(nexts) {
        let name = if n == 7 { "trip" } else { "order" };
        let mut new = new(name, &format!("{}-{n}", n % 2), next);
        new.row = Row {
            at: 1000_i64.saturating_add(n.into()),
            ..row(0, 1)
        };
        match done("create", store.create(new).await)? {
            Created::New { id, .. } => sagas.push(id),
            other => return Err(format!("create: {other:?}")),
        }
    }
    Ok(sagas)
}

async fn list(store: &dyn Store, query: Query) -> Result<Vec<SagaId>, String> {
    let found = done("list", store.list(query).await)?;
    Ok(found.into_iter().map(|saga| saga.id).collect())
}

fn any() -> Query {
    Query::new(100)
}

pub(super) const PAGES: Promise = Promise {
    text: "pages of a list follow one another by number, whatever comes in between",
    check: |store| Box::pin(pages(store)),
};

async fn pages(store: &dyn Store) -> Checked {
    let sagas = eight(store).await?;
    let (mut seen, mut after) = (Vec::new(), None);
    for page in 0..8 {
        let limit = 3;
        let found = list(
            store,
            Query {
                after,
                limit,
                ..any()
            },
        )
        .await?;
        let Some(last) = found.last() else {
            break;
        };
        after = Some(*last);
        seen.extend(found);
        if page == 0 {
            // Neither an end nor a new saga moves what is on the next page.
            let first = sagas.first().copied().unwrap_or(SagaId(0));
            let end = add(first, 1, 1, ends(Status::Finished));
            done("append", store.append(end).await)?;
        }
    }
    same("all pages", seen, &sagas)?;
    let last = sagas.last().copied();
    let beyond = list(
        store,
        Query {
            after: last,
            ..any()
        },
    )
    .await?;
    same("after the last", beyond, [SagaId(0); 0])?;
    let none = list(store, Query { limit: 0, ..any() }).await?;
    same("none at most", none, [SagaId(0); 0])
}

pub(super) const SEARCHES: Promise = Promise {
    text: "a search finds by status, name, key, age and reason what is there, and nothing else",
    check: |store| Box::pin(searches(store)),
};

async fn searches(store: &dyn Store) -> Checked {
    let sagas = eight(store).await?;
    let text = |text: &str| Some(text.to_owned());
    let of = |statuses: &[Status]| Query {
        statuses: statuses.to_vec(),
        ..any()
    };
    let cases: [(Query, &[usize]); 11] = [
        (any(), &[0, 1, 2, 3, 4, 5, 6, 7]),
        (of(&[Status::Running]), &[0, 7]),
        (of(&[Status::Stuck, Status::Waiting]), &[1, 2]),
        (of(&[Status::Forced, Status::Finished]), &[3, 6]),
        (
            Query {
                name: text("trip"),
                ..any()
            },
            &[7],
        ),
        (
            Query {
                key_prefix: text("1-"),
                ..any()
            },
            &[1, 3, 5, 7],
        ),
        (
            Query {
                name: text("order"),
                key_prefix: text("1-"),
                ..any()
            },
            &[1, 3, 5],
        ),
        (
            Query {
                name: text("order"),
                key_prefix: text("2"),
                ..any()
            },
            &[],
        ),
        (
            Query {
                created_before: Some(1002),
                ..any()
            },
            &[0, 1],
        ),
        (
            Query {
                reason_contains: text("declined"),
                ..any()
            },
            &[2],
        ),
        (
            Query {
                key_prefix: text("1-"),
                ..of(&[Status::Stuck])
            },
            &[],
        ),
    ];
    for (query, right) in cases {
        let what = format!("{query:?}");
        let right: Vec<_> = right.iter().filter_map(|n| sagas.get(*n)).collect();
        same(&what, list(store, query).await?, right)?;
    }
    let found = done(
        "list",
        store.list(of(&[Status::Stuck, Status::Waiting])).await,
    )?;
    let seen: Vec<_> = found
        .iter()
        .map(|saga| {
            (
                saga.due_ms,
                saga.reason.as_deref(),
                saga.created_ms,
                saga.changed_ms,
            )
        })
        .collect();
    let right = [
        (Some(70), None, 1001, 1001),
        (None, Some("the card was declined"), 1002, 1002),
    ];
    same("due, reason, created, changed", seen, right)
}

pub(super) const COUNTS: Promise = Promise {
    text: "the counts follow every change",
    check: |store| Box::pin(counts(store)),
};

async fn counts(store: &dyn Store) -> Checked {
    same(
        "of none",
        done("", store.counts().await)?,
        Counts::default(),
    )?;
    let sagas = eight(store).await?;
    let mut right = Counts {
        running: 2,
        waiting: 1,
        stuck: 1,
        finished: 1,
        compensated: 1,
        compensated_with_exceptions: 1,
        forced: 1,
        oldest_unfinished_ms: Some(1000),
    };
    same("of eight", done("", store.counts().await)?, right)?;
    let first = sagas.first().copied().unwrap_or(SagaId(0));
    done(
        "append",
        store.append(add(first, 1, 1, ends(Status::Finished))).await,
    )?;
    (right.running, right.finished, right.oldest_unfinished_ms) = (1, 2, Some(1001));
    same("after an end", done("", store.counts().await)?, right)?;
    claim(store, 70, 9).await?;
    (right.running, right.waiting) = (2, 0);
    same("after a claim", done("", store.counts().await)?, right)
}

pub(super) const RETENTION: Promise = Promise {
    text: "retention deletes only ended sagas, whole, the oldest first (S32)",
    check: |store| Box::pin(retention(store)),
};

async fn retention(store: &dyn Store) -> Checked {
    let sagas = eight(store).await?;
    let delete = |ended_before, keep_at_most, limit| {
        store.delete_ended(Expired {
            ended_before,
            keep_at_most,
            limit,
        })
    };
    same("too young", done("", delete(1003, None, 9).await)?, 0)?;
    same("one by age", done("", delete(1005, None, 1).await)?, 1)?;
    same("two are left", done("", delete(0, Some(2), 9).await)?, 1)?;
    same("all of them", done("", delete(i64::MAX, None, 9).await)?, 2)?;
    let left: Vec<_> = [0, 1, 2, 7].iter().filter_map(|n| sagas.get(*n)).collect();
    same("left", list(store, any()).await?, left)?;
    let ended = sagas.get(3).copied().unwrap_or(SagaId(0));
    match store.load(ended, true).await {
        Err(StoreError::NotFound(_)) => {}
        other => return Err(format!("load of a deleted saga: {other:?}")),
    }
    let again = create(store, "1-3", waits(None)).await?;
    if sagas.contains(&again) {
        return Err(format!("the number {again} was given out twice"));
    }
    same("rows", load(store, again).await?.rows, vec![row(0, 1)])?;
    same("inbox", unread(store, again).await?, [""; 0])?;
    let posted = done("inbox_put", store.inbox_put(letter("1-3", "1")).await)?;
    same("its inbox is new", posted, Posted::New(Some(again)))
}
