//! The conformance suite, on the stores there are, and on one that breaks a promise.
use super::*;
use seawall::saga::MemoryStore;
use seawall::saga::Status;
use seawall::saga::store::conformance::{PROMISES, check};
use seawall::saga::store::{Expired, Query};
use tokio_test::{assert_pending, task};

#[tokio::test]
async fn both_stores_keep_every_promise() {
    check(|| async { MemoryStore::new() }).await.unwrap();
    let mut folders = Vec::new();
    for promise in PROMISES {
        let (folder, store) = fresh().await;
        promise.check(&store).await.unwrap();
        folders.push(folder);
    }
}

/// Each status is walked by itself. A saga that was parked between two walks stood in the list twice.
#[tokio::test]
async fn a_saga_whose_status_changes_under_a_list_is_in_it_once() {
    let (_folder, store) = fresh().await;
    let id = create(&store, "k").await;
    let query = Query {
        statuses: vec![Status::Running, Status::Stuck],
        limit: 10,
        ..Query::default()
    };
    let mut list = task::spawn(store.list(query));
    assert_pending!(list.poll());
    // Answered in the order of asking: the running ones have been looked at by then.
    store.counts().await.unwrap();
    let reason = "code: gone".to_owned();
    let park = append(id, row(1, 1, 2), Next::Park { reason });
    store.append(park).await.unwrap();
    let found = list.await.unwrap();
    let found: Vec<_> = found.iter().map(|saga| (saga.id, saga.status)).collect();
    assert_eq!(found, [(id, Status::Stuck)]);
}

/// 128 sagas went in one transaction, however many rows they had, and every writer waited for it.
#[tokio::test]
async fn long_journals_are_deleted_a_few_at_a_time() {
    const ROWS: u32 = 2001;
    let (_folder, store) = fresh().await;
    let mut rows = Vec::new();
    for key in ["a", "b", "c"] {
        let id = create(&store, key).await;
        rows.extend((1..ROWS).map(|seq| {
            let status = Status::Finished;
            let next = match seq + 1 < ROWS {
                true => Next::Keep,
                false => Next::End { status },
            };
            store.append(append(id, row(seq, 1, 2), next))
        }));
    }
    futures_util::future::try_join_all(rows).await.unwrap();
    let expired = Expired {
        ended_before: 3,
        keep_at_most: None,
        limit: 256,
    };
    let mut delete = task::spawn(store.delete_ended(expired));
    assert_pending!(delete.poll());
    assert_eq!(store.counts().await.unwrap().finished, 2);
    assert_eq!(delete.await.unwrap(), 3);
    assert_eq!(store.counts().await.unwrap().finished, 0);
}
