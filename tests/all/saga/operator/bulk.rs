//! One command to many.
use super::desk::{Desk, HOUR, Way, rows, settle_down, signatures};
use seawall::saga::{Find, MemoryStore, Refused, SagaId, Status};

const STUCK: &[(&str, &[Way])] = &[("b", &[Way::Refused]), ("undo a", &[Way::Refused; 2])];
const PIVOT: &[(&str, &[Way])] = &[("c", &[Way::Refused])];

/// Stuck backward, stuck past the pivot, stuck backward, finished, waiting.
async fn five() -> (Desk, MemoryStore) {
    let store = MemoryStore::new();
    let desk = Desk::on(store.clone()).await;
    for (key, script) in [("k1", STUCK), ("k2", PIVOT), ("k3", STUCK), ("k4", &[])] {
        desk.start(key, script).await;
        tokio::time::sleep(2 * HOUR).await;
    }
    desk.start("k5", &[("a", &[Way::Transient])]).await;
    (desk, store)
}

fn journals(store: &MemoryStore) -> Vec<Vec<seawall::saga::journal::Row>> {
    (1..=5).map(|id| rows(store, SagaId(id))).collect()
}

const DRY: &str = "\
would: abort saga 1 `order` key `k1` from 2023-11-14 22:13:20.000, stuck (BACKWARD: the compensation of `a` failed 2 times: no)
refused: abort saga 2 `order` key `k2` from 2023-11-15 00:13:21.000, stuck (FORWARD: step `c` failed after the pivot: no): the saga is past its pivot and only goes forward; it cannot be undone any more
would: abort saga 3 `order` key `k3` from 2023-11-15 02:13:22.000, stuck (BACKWARD: the compensation of `a` failed 2 times: no)
more after saga 3
";

#[tokio::test(start_paused = true)]
async fn a_dry_run_lists_what_would_be_done_and_changes_nothing() {
    let (desk, store) = five().await;
    let before = (
        journals(&store),
        desk.alice.list(Find::any()).await.unwrap(),
    );
    let find = Find::any().limit(3);
    let dry = desk.alice.abort_all(find.clone(), "gone").dry_run();
    let page = dry.await.unwrap();
    let expected = DRY
        .replace("BACKWARD", "backward")
        .replace("FORWARD", "forward");
    assert_eq!(page.to_string(), expected);
    settle_down().await;
    let after = (
        journals(&store),
        desk.alice.list(Find::any()).await.unwrap(),
    );
    assert!(before == after, "a dry run has changed something");

    // Then the same in earnest.
    let done = desk.alice.abort_all(find, "gone").await.unwrap();
    let granted = |page: &seawall::saga::operator::BulkPage| -> Vec<_> {
        let each = page.results.iter();
        each.map(|one| (one.saga.id, one.outcome.is_ok())).collect()
    };
    assert_eq!(granted(&page), granted(&done));
    assert!(
        done.to_string()
            .starts_with("done: abort saga 1 `order` key `k1`")
    );
    for id in [1, 3] {
        let signed = signatures(&store, SagaId(id)).await.unwrap();
        assert!(signed[0].starts_with("resumed by alice"), "{signed:?}");
        assert!(signed[0].ends_with(": gone"), "{signed:?}");
        let status = desk.engine.status(SagaId(id)).await.unwrap().status;
        assert_ne!(status, Status::Stuck);
    }
    assert_eq!(rows(&store, SagaId(2)), before.0[1]);
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_bulk_command_reach_every_saga_once() {
    let (desk, store) = five().await;
    let (mut after, mut reached) = (None, Vec::new());
    loop {
        let find = Find::unfinished().limit(2).after(after);
        let page = desk.alice.force_end_all(find, "moved").await.unwrap();
        assert!(page.results.len() <= 2);
        reached.extend(page.results.iter().map(|one| one.saga.id.0));
        assert!(page.results.iter().all(|one| one.outcome.is_ok()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(reached, [1, 2, 3, 5]);
    let page = desk
        .alice
        .list(Find::of([Status::Forced]))
        .await
        .unwrap()
        .sagas;
    assert_eq!(page.len(), 4);
    let ended = rows(&store, SagaId(4));
    assert_eq!(ended, journals(&store)[3]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_skip_skips_what_each_saga_is_stuck_at() {
    let (desk, _) = five().await;
    let page = desk.alice.skip_all(Find::any(), "ticket 9").await.unwrap();
    let told: Vec<_> = page
        .results
        .iter()
        .map(|one| (one.op, one.outcome.as_ref().map_err(|e| word(e))))
        .collect();
    let expected = [
        (Some(0), Ok(&())),
        (Some(3), Err("Operation")),
        (Some(0), Ok(&())),
        (None, Err("Ended")),
        (None, Err("NotStuck")),
    ];
    assert_eq!(told, expected);
    settle_down().await;
    let find = Find::of([Status::CompensatedWithExceptions]);
    let skipped = desk.alice.list(find).await.unwrap().sagas;
    assert_eq!(skipped.len(), 2);
}

fn word(refused: &Refused) -> &'static str {
    match refused {
        Refused::Operation { .. } => "Operation",
        Refused::Ended => "Ended",
        Refused::NotStuck => "NotStuck",
        _ => "other",
    }
}

#[tokio::test(start_paused = true)]
async fn retry_and_cancel_reach_those_that_they_apply_to() {
    let (desk, _) = five().await;
    let retried = desk.alice.retry_all(Find::any(), "mended").await.unwrap();
    let done: Vec<_> = retried.results.iter().map(|r| r.outcome.is_ok()).collect();
    assert_eq!(done, [true, true, true, false, false]);
    let cancelled = desk.bob.cancel_all(Find::any(), "closed").await.unwrap();
    let done: Vec<_> = cancelled
        .results
        .iter()
        .map(|r| r.outcome.is_ok())
        .collect();
    assert!(done[4], "{cancelled}");
    settle_down().await;
    let status = desk.engine.status(SagaId(5)).await.unwrap().status;
    assert_eq!(status, Status::Compensated);
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_bulk_command_does_nothing() {
    let (desk, store) = five().await;
    let before = journals(&store);
    let refused = desk.alice.abort_all(Find::any(), " ").await.unwrap_err();
    assert!(matches!(refused, Refused::Unsigned { .. }), "{refused:?}");
    let nobody = desk.engine.operator("");
    let refused = nobody.abort_all(Find::any(), "x").dry_run().await;
    assert!(matches!(refused, Err(Refused::Unsigned { .. })));
    assert!(journals(&store) == before);
}
