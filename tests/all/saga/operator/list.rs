//! Searches, a page at a time.
use super::desk::{Desk, HOUR, Way, settle_down};
use seawall::saga::{Find, MemoryStore, Refused, SagaId, Status};
use std::time::Duration;

async fn keys(desk: &Desk, find: Find) -> Vec<String> {
    let page = desk.alice.list(find).await.unwrap();
    page.sagas.into_iter().map(|saga| saga.key).collect()
}

/// Three that finish, two that get stuck at their way back, one that waits, an hour apart.
async fn six() -> Desk {
    let desk = Desk::on(MemoryStore::new()).await;
    let stuck: &[(&'static str, &[Way])] =
        &[("b", &[Way::Refused]), ("undo a", &[Way::Refused; 2])];
    desk.start("blue-1", &[]).await;
    desk.start("blue-2", stuck).await;
    tokio::time::sleep(2 * HOUR).await;
    desk.start("red-1", &[]).await;
    desk.start("red-2", stuck).await;
    tokio::time::sleep(2 * HOUR).await;
    desk.start("red-3", &[]).await;
    desk.start("red-4", &[("a", &[Way::Transient])]).await;
    desk
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_looked_for_must_hold() {
    let desk = six().await;
    assert_eq!(keys(&desk, Find::any()).await.len(), 6);
    assert_eq!(keys(&desk, Find::stuck()).await, ["blue-2", "red-2"]);
    let unfinished = Find::unfinished();
    assert_eq!(keys(&desk, unfinished).await, ["blue-2", "red-2", "red-4"]);
    let waiting = Find::of([Status::Waiting]);
    assert_eq!(keys(&desk, waiting).await, ["red-4"]);
    let red = Find::any().key_prefix("red-");
    assert_eq!(keys(&desk, red.clone()).await.len(), 4);
    let old = red.clone().older_than(HOUR);
    assert_eq!(keys(&desk, old).await, ["red-1", "red-2"]);
    let of = Find::stuck().reason_contains("compensation of `a` failed 2 times");
    assert_eq!(keys(&desk, of.clone()).await, ["blue-2", "red-2"]);
    assert_eq!(keys(&desk, of.key_prefix("blue")).await, ["blue-2"]);
    let other = Find::stuck().reason_contains("disk");
    assert_eq!(keys(&desk, other).await, [""; 0]);
    assert_eq!(keys(&desk, Find::any().name("order")).await.len(), 6);
    assert_eq!(keys(&desk, Find::any().name("orde")).await, [""; 0]);
    let none = Find::any().older_than(Duration::MAX);
    assert_eq!(keys(&desk, none).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_the_list_says_how_a_saga_stands_and_since_when() {
    let desk = six().await;
    let page = desk.alice.list(Find::stuck().limit(1)).await.unwrap();
    let saga = &page.sagas[0];
    assert_eq!(
        (saga.id, &*saga.name, saga.version, saga.status),
        (SagaId(2), "order", 1, Status::Stuck)
    );
    let reason = saga.reason.as_deref().unwrap();
    let expected = "the compensation of `a` failed 2 times: no";
    assert!(reason.ends_with(expected), "{reason}");
    // Its second attempt was an hour after the first.
    assert_eq!(saga.changed_ms - saga.created_ms, 3_600_000);
    assert_eq!(page.next, Some(SagaId(2)));
}

#[tokio::test(start_paused = true)]
async fn pages_show_each_saga_once_while_others_come_and_end() {
    let store = MemoryStore::new();
    let desk = Desk::on(store.clone()).await;
    for n in 0..7 {
        desk.start(&format!("early-{n}"), &[("a", &[Way::Transient])])
            .await;
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let find = Find::any().key_prefix("e").limit(3).after(after);
        let page = desk.alice.list(find).await.unwrap();
        assert!(page.sagas.len() <= 3);
        seen.extend(page.sagas.iter().map(|saga| saga.key.clone()));
        // One that is listed already ends, and another one comes.
        let ends = page.sagas[0].id;
        desk.bob.force_end(ends, "done by hand").await.unwrap();
        if pages < 2 {
            desk.start(&format!("eve-{pages}"), &[]).await;
        }
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..7).map(|n| format!("early-{n}")).collect();
    assert_eq!(seen[..7], expected);
    assert_eq!(seen[7..], ["eve-0", "eve-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_last_page_says_that_it_is_the_last() {
    let desk = six().await;
    let page = desk.alice.list(Find::any().limit(6)).await.unwrap();
    assert_eq!((page.sagas.len(), page.next), (6, None));
    let last = page.sagas[5].id;
    let page = desk.alice.list(Find::any().after(last)).await.unwrap();
    assert_eq!((page.sagas.len(), page.next), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_page_has_a_size_that_memory_can_bear() {
    let desk = six().await;
    for limit in [0, 1001, usize::MAX] {
        let refused = desk.alice.list(Find::any().limit(limit)).await.unwrap_err();
        assert!(matches!(refused, Refused::Limit { .. }), "{refused:?}");
        let text = format!("a page has 1 to 1000 sagas; {limit} were asked for");
        assert_eq!(refused.to_string(), text);
    }
    settle_down().await;
    assert!(desk.alice.list(Find::any().limit(1000)).await.is_ok());
}
