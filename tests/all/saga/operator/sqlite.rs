//! The same on a file, whose time is the world's.
use super::desk::{Desk, Way, last_events, signatures};
use seawall::saga::journal::Event;
use seawall::saga::{Find, Refused, SagaError, Settlement, SqliteStore, Status};

const UNKNOWN: &[(&str, &[Way])] = &[("b", &[Way::Unknown])];

async fn stuck(desk: &Desk, key: &str) -> seawall::saga::SagaId {
    for (name, ways) in UNKNOWN {
        desk.participants.will(name, ways);
    }
    let mut handle = desk.engine.start(desk.order, key, 7).await.unwrap();
    let end = handle.outcome().await;
    assert!(matches!(end, Err(SagaError::Stuck { .. })), "{end:?}");
    handle.id()
}

#[tokio::test]
async fn an_operator_finds_shows_and_settles_what_a_file_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let desk = Desk::on(store.clone()).await;
    let settled = stuck(&desk, "k1").await;
    let aborted = stuck(&desk, "k2").await;
    desk.engine.drain().await.unwrap();
    drop(desk);
    store.close().await;

    // Another engine, another day.
    let store = SqliteStore::open(&file).await.unwrap();
    let desk = Desk::on(store.clone()).await;
    let page = desk.alice.list(Find::stuck().limit(1)).await.unwrap();
    assert_eq!((page.sagas[0].id, page.next), (settled, Some(settled)));
    let find = Find::stuck()
        .reason_contains("whether step `b`")
        .after(page.next);
    let page = desk.alice.list(find).await.unwrap();
    assert_eq!((page.sagas[0].id, page.next), (aborted, None));
    let shown = desk.alice.show(settled).await.unwrap().to_string();
    assert!(shown.contains("stuck at operation 1, step `b`"), "{shown}");

    let done = Settlement::done(&14).unwrap();
    desk.alice.settle(settled, 1, done, "seen").await.unwrap();
    assert_eq!(
        desk.engine.handle::<u32>(settled).outcome().await.unwrap(),
        14
    );
    let dry = desk.bob.abort_all(Find::any(), "gone").dry_run();
    let dry = dry.await.unwrap();
    let outcomes: Vec<_> = dry.results.iter().map(|r| r.outcome.is_ok()).collect();
    assert_eq!(outcomes, [false, true]);
    let status = desk.engine.status(aborted).await.unwrap().status;
    assert_eq!(status, Status::Stuck);
    desk.bob.abort_all(Find::stuck(), "gone").await.unwrap();
    let end = desk.engine.handle::<u32>(aborted).outcome().await;
    assert!(matches!(end, Err(SagaError::Compensated { .. })), "{end:?}");
    let again = desk.alice.force_end(aborted, "too late").await;
    assert!(matches!(again, Err(Refused::Ended)), "{again:?}");
    let stats = desk.engine.stats().await.unwrap();
    assert_eq!((stats.ended, stats.undone), (2, 1));
    let signed = signatures(&store, aborted).await.unwrap();
    assert!(signed[0].contains(" by bob at "), "{signed:?}");
    let last = last_events(&store, aborted).await;
    assert!(matches!(last.last(), Some(Event::Compensated { .. })));
}

#[tokio::test]
async fn of_many_operators_at_one_file_each_command_is_served_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sagas.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let desk = Desk::on(store.clone()).await;
    for round in 0..10 {
        let id = stuck(&desk, &format!("k{round}")).await;
        desk.participants.will("undo a", &[Way::Hangs]);
        let tries = (0..8).map(|n| {
            let operator = desk.engine.operator(&format!("o{n}"));
            tokio::spawn(async move { operator.abort(id, "mine").await })
        });
        let tries: Vec<_> = tries.collect();
        let mut served = 0;
        for one in tries {
            match one.await.unwrap() {
                Ok(()) => served += 1,
                Err(refused) => assert!(matches!(refused, Refused::NotStuck), "{refused:?}"),
            }
        }
        assert_eq!(served, 1, "of saga {id}");
        let signed = signatures(&store, id).await.unwrap();
        assert_eq!(signed.len(), 2, "an abort and a resumed: {signed:?}");
        desk.alice.force_end(id, "enough").await.unwrap();
    }
}
