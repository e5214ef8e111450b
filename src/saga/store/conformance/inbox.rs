//! Signals, which may come before their saga does.
use super::*;

pub(super) const ONCE_IN_ORDER: Promise = Promise {
    text: "a letter is taken once, kept in the order of arrival, and read when a row says so (S27)",
    check: |store| Box::pin(once_in_order(store)),
};

async fn once_in_order(store: &dyn Store) -> Checked {
    let id = create(store, "a", Next::Keep).await?;
    for name in ["z", "y", "x"] {
        let posted = done("inbox_put", store.inbox_put(letter("a", name)).await)?;
        same("inbox_put", posted, Posted::New(Some(id)))?;
    }
    let again = Letter {
        body: "false".to_owned(),
        ..letter("a", "y")
    };
    let posted = done("inbox_put", store.inbox_put(again).await)?;
    same("the same letter again", posted, Posted::Duplicate)?;
    same("inbox", unread(store, id).await?, ["z", "y", "x"])?;
    let mail = done("inbox", store.inbox(id).await)?;
    let place = |id: &str| mail.iter().find(|mail| mail.id == id);
    same(
        "body",
        place("y").map(|mail| mail.body.as_str()),
        Some("true"),
    )?;
    let mut reads = add(id, 1, 1, Next::Keep);
    reads.consumed = place("y").map(|mail| mail.arrival).into_iter().collect();
    done("append", store.append(reads).await)?;
    same("inbox", unread(store, id).await?, ["z", "x"])?;
    let posted = done("inbox_put", store.inbox_put(letter("a", "y")).await)?;
    same("one that was read", posted, Posted::Duplicate)?;
    let mut stale = add(id, 2, 9, Next::Keep);
    stale.consumed = place("x").map(|mail| mail.arrival).into_iter().collect();
    fenced("append", store.append(stale).await)?;
    same("inbox", unread(store, id).await?, ["z", "x"])
}

pub(super) const BEFORE_THE_SAGA: Promise = Promise {
    text: "a letter may come before its saga is created",
    check: |store| Box::pin(before_the_saga(store)),
};

async fn before_the_saga(store: &dyn Store) -> Checked {
    for _ in 0..2 {
        done("inbox_put", store.inbox_put(letter("a", "early")).await)?;
    }
    let posted = done("inbox_put", store.inbox_put(letter("a", "early")).await)?;
    same("inbox_put", posted, Posted::Duplicate)?;
    let created = done("create", store.create(new("order", "a", waits(None))).await)?;
    let Created::New { id, mail: true } = created else {
        return Err(format!("create: {created:?}, and it has mail"));
    };
    same("inbox", unread(store, id).await?, ["early"])?;
    same("it is due at once", ids(&claim(store, 0, 9).await?), [id])?;
    let other = done("create", store.create(new("trip", "a", Next::Keep)).await)?;
    match other {
        Created::New { mail: false, .. } => Ok(()),
        other => Err(format!("create under another name: {other:?}")),
    }
}

pub(super) const WAKES: Promise = Promise {
    text: "mail makes a waiting saga due at once, also mail that was there when it began to wait",
    check: |store| Box::pin(wakes(store)),
};

async fn wakes(store: &dyn Store) -> Checked {
    let id = create(store, "a", waits(Some(5000))).await?;
    same("claim", ids(&claim(store, 100, 9).await?), [SagaId(0); 0])?;
    done("inbox_put", store.inbox_put(letter("a", "1")).await)?;
    same("claim", ids(&claim(store, 100, 9).await?), [id])?;
    // The letter is still unread.
    done("append", store.append(add(id, 1, 2, waits(None))).await)?;
    same("claim", ids(&claim(store, 100, 9).await?), [id])?;
    let mail = done("inbox", store.inbox(id).await)?;
    let mut reads = add(id, 2, 3, waits(None));
    reads.consumed = mail.iter().map(|mail| mail.arrival).collect();
    done("append", store.append(reads).await)?;
    same(
        "all is read",
        ids(&claim(store, 100, 9).await?),
        [SagaId(0); 0],
    )
}

pub(super) const LETTERS: Promise = Promise {
    text: "letters leave with their row, or not at all",
    check: |store| Box::pin(letters(store)),
};

async fn letters(store: &dyn Store) -> Checked {
    let from = create(store, "a", Next::Keep).await?;
    let to = create(store, "b", waits(None)).await?;
    let mut sends = add(from, 1, 1, ends(Status::Finished));
    sends.letters = vec![letter("b", "1"), letter("c", "2"), letter("b", "1")];
    done("append", store.append(sends).await)?;
    same("inbox", unread(store, to).await?, ["1"])?;
    same("it is due", ids(&claim(store, 0, 9).await?), [to])?;
    let late = create(store, "c", Next::Keep).await?;
    same(
        "inbox of one created later",
        unread(store, late).await?,
        ["2"],
    )
}

pub(super) const ENDED: Promise = Promise {
    text: "an ended saga takes no letters",
    check: |store| Box::pin(ended(store)),
};

async fn ended(store: &dyn Store) -> Checked {
    let id = create(store, "a", ends(Status::Finished)).await?;
    let posted = done("inbox_put", store.inbox_put(letter("a", "1")).await)?;
    same("inbox_put", posted, Posted::Ended)?;
    same("inbox", unread(store, id).await?, [""; 0])
}

pub(super) const FORGOTTEN: Promise = Promise {
    text: "retention forgets old letters without a saga and the ids of old read ones, nothing else",
    check: |store| Box::pin(forgotten(store)),
};

async fn forgotten(store: &dyn Store) -> Checked {
    let waiting = create(store, "waiting", waits(None)).await?;
    let stuck = create(store, "stuck", parks()).await?;
    let at = |at, key: &str, id: &str| Letter {
        at,
        ..letter(key, id)
    };
    let letters = [
        at(10, "none", "old"),
        at(20, "none", "young"),
        at(10, "stuck", "old"),
        at(10, "waiting", "read"),
        at(20, "waiting", "read lately"),
    ];
    for letter in &letters {
        done("inbox_put", store.inbox_put(letter.clone()).await)?;
    }
    let mail = done("inbox", store.inbox(waiting).await)?;
    let mut reads = add(waiting, 1, 1, waits(None));
    reads.consumed = mail.iter().map(|mail| mail.arrival).collect();
    done("append", store.append(reads).await)?;
    done("inbox_put", store.inbox_put(at(10, "waiting", "old")).await)?;
    // A store may take several calls for it.
    for _ in 0..4 {
        let expired = Expired {
            ended_before: 20,
            keep_at_most: None,
            limit: 9,
        };
        same("sagas", done("", store.delete_ended(expired).await)?, 0)?;
    }
    same("of one that is stuck", unread(store, stuck).await?, ["old"])?;
    same("of one that waits", unread(store, waiting).await?, ["old"])?;
    let mut again = Vec::new();
    for letter in letters {
        again.push(done("inbox_put", store.inbox_put(letter).await)?);
    }
    let right = [
        Posted::New(None),
        Posted::Duplicate,
        Posted::Duplicate,
        Posted::New(Some(waiting)),
        Posted::Duplicate,
    ];
    same("the same letters again", again, right)?;
    let late = create(store, "none", waits(None)).await?;
    same("inbox", unread(store, late).await?, ["young", "old"])
}
