//! A saga's life, as a person reads it.
use super::desk::{Desk, HOUR, Participants, Way, settle_down, step};
use crate::saga::world::clock;
use seawall::saga::{Abort, Engine, Flow, MemoryStore, OnUnknown, SagaId, Settlement, Signal};
use serde::{Deserialize, Serialize};

const GOLDEN: &str = include_str!("../../../golden/timelines.txt");

/// The part of the golden file under this head.
fn golden(head: &str) -> String {
    let begin = format!("== {head}\n");
    let (_, part) = GOLDEN
        .split_once(&begin)
        .unwrap_or_else(|| panic!("the golden file has no part {head}"));
    part.split("== ").next().unwrap().to_owned()
}

fn same(head: &str, text: &str) {
    let text = format!("{}\n", text.trim_end());
    assert_eq!(text.trim_end(), golden(head).trim_end(), "\n{text}");
}

/// Held by a policy, tried again, refused, undone in vain, retried by one person and skipped by
/// another.
async fn eventful(store: &MemoryStore) -> (Desk, SagaId) {
    let desk = Desk::on(store.clone()).await;
    let script: &[(&'static str, &[Way])] = &[
        ("a", &[Way::Held(20 * HOUR), Way::Transient]),
        ("b", &[Way::Refused]),
        ("undo a", &[Way::Refused, Way::Unknown, Way::Transient]),
    ];
    let id = desk.start("order-42", script).await.id();
    tokio::time::sleep(30 * HOUR).await;
    desk.alice
        .retry(id, "the account is open again")
        .await
        .unwrap();
    (desk, id)
}

#[tokio::test(start_paused = true)]
async fn the_timeline_of_an_eventful_saga_reads_as_the_golden_file_has_it() {
    let store = MemoryStore::new();
    let (desk, id) = eventful(&store).await;
    settle_down().await;
    let shown = desk.bob.show(id).await.unwrap();
    same("under way", &shown.to_string());
    desk.participants.will("undo a", &[Way::Refused]);
    tokio::time::sleep(2 * HOUR).await;
    let shown = desk.bob.show(id).await.unwrap();
    same("stuck again", &shown.to_string());
    let note = "paid out in cash,\nticket 771";
    desk.bob.skip(id, 0, note).await.unwrap();
    settle_down().await;
    let shown = desk.bob.show(id).await.unwrap();
    same("skipped", &shown.to_string());
    let skipped = shown.entries.iter().find(|entry| entry.event == "skipped");
    let skipped = skipped.unwrap();
    assert_eq!(skipped.note.as_deref(), Some(note));
    assert_eq!(skipped.by.as_deref(), Some("bob"));
    assert_eq!((skipped.op, skipped.step.as_deref()), (Some(0), Some("a")));
}

#[derive(Serialize, Deserialize)]
struct Paid(String);

impl Signal for Paid {
    const NAME: &'static str = "paid";
}

#[tokio::test(start_paused = true)]
async fn a_timeline_shows_children_timers_and_signals_and_payloads_only_on_request() {
    let participants = Participants::default();
    let mut b = Engine::builder(participants.clone(), MemoryStore::new());
    b.wall_clock(clock());
    let a = step(&mut b, "a", "undo a", OnUnknown::Park);
    let inner = b.saga("inner", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(a, n).await?)
    });
    let inner = b.child("inner child", inner, |_, _, _: u32, _| async { Ok(()) });
    let outer = b.saga("outer", move |saga: Flow, n: u32| async move {
        saga.patched("with-a-child");
        let child = saga.child(inner, n);
        saga.sleep(HOUR).await;
        let paid = saga.wait_within::<Paid>(HOUR).await;
        let late = saga.wait_within::<Paid>(HOUR).await;
        assert!(paid.is_some() && late.is_none());
        Ok::<_, Abort>(child.await?)
    });
    let engine = b.build().await.unwrap();
    participants.will("a", &[Way::Unknown]);
    let alice = engine.operator("alice");
    let start = engine.start(outer, "k", 98765).deadline(100 * HOUR);
    let mut handle = start.await.unwrap();
    let id = handle.id();
    let paid = Paid("four-euro".to_owned());
    engine.signal("outer", "k", "m1", &paid).await.unwrap();
    tokio::time::sleep(4 * HOUR).await;
    let parent = alice.show(id).await.unwrap();
    let child = parent.children[0].id.unwrap();
    // A child's key is random.
    let key = parent.children[0].key.clone();
    let plain = |text: String| text.replace(&key, "KEY");
    same("parent", &plain(parent.to_string()));
    let shown = alice.show(child).await.unwrap();
    same("child", &plain(shown.to_string()));
    let done = Settlement::done(&192_837).unwrap();
    alice.settle(child, 0, done, "it is there").await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 192_837);
    let parent = alice.show(id).await.unwrap();
    same("parent at its end", &plain(parent.to_string()));
    for secret in ["98765", "four-euro", "192837"] {
        for id in [id, child] {
            let shown = alice.show(id).await.unwrap();
            let text = format!("{shown} {shown:?}");
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let asked = alice.show(id).with_payloads().await.unwrap();
        assert!(asked.to_string().contains(secret), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_read_of_a_damaged_journal_is_shown_with_the_damage_in_its_place() {
    let store = MemoryStore::new();
    let (desk, id) = eventful(&store).await;
    store.with_rows(id, |rows| {
        rows[2].body[9] ^= 1;
        rows.remove(4);
    });
    let shown = desk.alice.show(id).await.unwrap();
    // Checksums are over a random number as well.
    let why = &shown.damage[0].why;
    assert!(why.starts_with("its checksum is "), "{why}");
    let text = shown.to_string().replace(why, "its checksum is X, not Y");
    same("damaged", &text);
    assert_eq!(shown.damage.len(), 2);
    desk.alice.force_end(id, "rebuilt by hand").await.unwrap();
    let shown = desk.alice.show(id).await.unwrap();
    let last = shown.entries.last().unwrap();
    assert_eq!((last.event, last.by.as_deref()), ("forced", Some("alice")));
}
