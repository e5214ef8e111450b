//! Two who decide at the same version: one event, and the other decides again.
use super::{OrderEvent, Shop, book, cancelled, lamps, log, log::LogError};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Writes an event from outside, at whatever version the order is.
fn overtake(shop: &Shop, event: &OrderEvent) {
    let mut connection = shop.raw();
    let tx = connection.transaction().unwrap();
    let at = log::load(&tx, "a").unwrap();
    log::append(&tx, at, event, 0).unwrap();
    tx.commit().unwrap();
}

fn stuck(code: u32) -> OrderEvent {
    OrderEvent::Stuck {
        code: 424,
        reason: format!("{code}"),
    }
}

#[tokio::test]
async fn of_two_appends_at_one_version_one_is_written() {
    let shop = Shop::new(2);
    shop.open()
        .await
        .unwrap()
        .create(&lamps("a"))
        .await
        .unwrap();
    // Each has a thread and a connection of its own.
    let (one, other) = (shop.db(), shop.db());
    for round in 1..=20 {
        let at = shop.load("a");
        assert_eq!(at.version, round);
        let append = |db: &super::Db, event: OrderEvent| {
            let (db, at) = (db.clone(), at.clone());
            tokio::spawn(async move { db.transact(move |tx| log::append(tx, at, &event, 2)).await })
        };
        let events = [stuck(round), cancelled(400)];
        let [first, second] = events.clone();
        let (first, second) = (append(&one, first), append(&other, second));
        let done = [first.await.unwrap(), second.await.unwrap()];
        let (won, lost) = match done {
            [Ok(won), Err(lost)] => ((won, &events[0]), lost),
            [Err(lost), Ok(won)] => ((won, &events[1]), lost),
            both => panic!("{both:?}"),
        };
        let conflict = lost.downcast_ref::<LogError>().unwrap();
        assert!(
            matches!(conflict, LogError::Conflict { order, expected, found }
                if order == "a" && *expected == round && *found == round + 1),
            "{conflict}"
        );
        let (now, event) = won;
        assert_eq!(shop.load("a"), now);
        let events = shop.events("a");
        assert_eq!(events.len() as u32, round + 1);
        assert_eq!(events.last(), serde_json::to_string(event).ok().as_ref());
    }
}

#[tokio::test]
async fn a_command_that_is_overtaken_decides_by_what_it_finds_then() {
    let shop = Shop::new(0);
    let book = shop.open().await.unwrap();
    book.create(&lamps("a")).await.unwrap();
    let calls = AtomicU32::new(0);
    let confirm = book.command("a", |order| {
        if calls.fetch_add(1, Relaxed) == 0 {
            overtake(&shop, &OrderEvent::Confirmed { cents: 1 });
        }
        order.confirm(2)
    });
    let found = confirm.await.unwrap();
    // It was confirmed by the time of the second look, so there was nothing left to do.
    assert_eq!((found.status.as_str(), found.cents), ("confirmed", 1));
    assert_eq!(calls.into_inner(), 2);
    assert_eq!(shop.events("a").len(), 2);

    let calls = AtomicU32::new(0);
    let cancel = book.command("a", |order| {
        if calls.fetch_add(1, Relaxed) == 0 {
            overtake(&shop, &stuck(0));
        }
        order.cancel()
    });
    assert_eq!(cancel.await.unwrap().status, "stuck");
    assert_eq!(shop.load("a").version, 4);
    assert_eq!(shop.load("a").order.status, "cancelled");
}

#[tokio::test]
async fn a_command_that_is_overtaken_every_time_gives_the_conflict() {
    let shop = Shop::new(0);
    let book = shop.open().await.unwrap();
    book.create(&lamps("a")).await.unwrap();
    let calls = AtomicU32::new(0);
    let command = book.command("a", |order| {
        overtake(&shop, &stuck(calls.fetch_add(1, Relaxed)));
        order.cancel()
    });
    let error = command.await.unwrap_err();
    let expected = book::TRIES;
    assert!(
        matches!(error.downcast_ref(), Some(LogError::Conflict { expected: at, .. })
            if *at == expected),
        "{error}"
    );
    assert_eq!(calls.into_inner(), book::TRIES);
    // Only the others' events are there.
    assert_eq!(shop.load("a").order.status, "stuck");
    assert_eq!(shop.load("a").version, 1 + book::TRIES);
}

#[tokio::test]
async fn commands_of_many_writers_tell_one_story() {
    let shop = Shop::new(1);
    let mut writers = Vec::new();
    for _ in 0..4 {
        writers.push(shop.open().await.unwrap());
    }
    for round in 0..10 {
        let key = format!("a-{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for (i, book) in writers.iter().cloned().enumerate() {
            let key = key.clone();
            tasks.spawn(async move {
                let known = book.create(&lamps(&key)).await.unwrap();
                match i {
                    0 | 1 => book.confirm(&key, 9_800).await.unwrap(),
                    _ => book.cancel(&key).await.unwrap(),
                }
                u32::from(known.is_none())
            });
        }
        let created: u32 = tasks.join_all().await.into_iter().sum();
        assert_eq!(created, 1);
        let events = shop.events(&key);
        let names: Vec<_> = events
            .iter()
            .map(|e| e.split('"').nth(1).unwrap())
            .collect();
        let stories = [
            &["placed", "confirmed", "undone"][..],
            &["placed", "undone"],
        ];
        assert!(stories.contains(&&names[..]), "{names:?}");
        assert_eq!(shop.load(&key), log::replay(&shop.raw(), &key).unwrap());
    }
}
