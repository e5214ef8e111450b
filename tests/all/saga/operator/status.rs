//! What a saga waits for, as programs and people are told.
use super::desk::{Desk, HOUR, Participants, Way, settle_down, step};
use crate::saga::world::clock;
use seawall::saga::{Abort, Engine, Flow, MemoryStore, OnUnknown, SagaId, Signal, StoreError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

async fn shown(desk: &Desk, id: SagaId) -> String {
    desk.engine.status(id).await.unwrap().to_string()
}

async fn lines(script: &[(&'static str, &[Way])]) -> Vec<String> {
    let desk = Desk::on(MemoryStore::new()).await;
    let id = desk.start("k", script).await.id();
    let text = shown(&desk, id).await;
    let lines = text.lines().skip(1).map(|line| line.trim().to_owned());
    lines.collect()
}

type Script = &'static [(&'static str, &'static [Way])];

const CASES: &[(Script, &[&str])] = &[
    (&[], &[]),
    (
        &[("a", &[Way::Hangs])],
        &["waits for the answer to step `a` (operation 0)"],
    ),
    (
        &[("b", &[Way::Transient])],
        &[
            "waits for the next attempt of step `b` (operation 1) at 23:13:20.000 UTC, after \
             attempt 1 failed: busy",
        ],
    ),
    (
        &[("b", &[Way::Refused]), ("undo a", &[Way::Hangs])],
        &[
            "being undone: step `b` was refused: no",
            "waits for the answer to the undo of step `a` (operation 0)",
        ],
    ),
    (
        &[("b", &[Way::Refused]), ("undo a", &[Way::Refused])],
        &[
            "being undone: step `b` was refused: no",
            "waits for the next attempt of the undo of step `a` (operation 0) at 23:13:20.000 \
             UTC, after attempt 1 failed: no",
        ],
    ),
    (
        &[("b", &[Way::Unknown])],
        &[
            "stuck at operation 1, step `b`",
            "waits for an operator (unknown): nobody knows whether step `b` was applied: no \
             answer",
        ],
    ),
];

#[tokio::test(start_paused = true)]
async fn a_saga_says_what_it_waits_for() {
    for (script, expected) in CASES {
        assert_eq!(lines(script).await, *expected);
    }
}

/// Short waits live in memory, long ones in the journal; the status tells both.
#[tokio::test(start_paused = true)]
async fn a_saga_that_a_policy_holds_back_says_which_and_until_when() {
    for (wait, until) in [
        (Duration::from_secs(3), "22:13:23.000"),
        (Duration::from_secs(60), "22:14:20.000"),
    ] {
        let told = lines(&[("a", &[Way::Held(wait)])]).await;
        let expected =
            format!("waits for policy `payments` until {until} UTC, for step `a` (operation 0)");
        assert_eq!(told, [expected]);
        let back: &[(&'static str, &[Way])] =
            &[("b", &[Way::Refused]), ("undo a", &[Way::Held(wait)])];
        let told = lines(back).await;
        let expected = format!(
            "waits for policy `payments` until {until} UTC, for the undo of step `a` (operation 0)"
        );
        assert_eq!(told[1], expected);
    }
}

#[derive(Serialize, Deserialize)]
struct Paid(u32);

impl Signal for Paid {
    const NAME: &'static str = "paid";
}

#[tokio::test(start_paused = true)]
async fn timers_signals_children_and_deadlines_are_told_and_go_when_they_are_over() {
    let store = MemoryStore::new();
    let participants = Participants::default();
    let mut b = Engine::builder(participants.clone(), store);
    b.wall_clock(clock());
    let a = step(&mut b, "a", "undo a", OnUnknown::Retry);
    let inner = b.saga("inner", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(a, n).await?)
    });
    let inner = b.child("inner child", inner, |_, _, _: u32, _| async { Ok(()) });
    let outer = b.saga("outer", move |saga: Flow, n: u32| async move {
        let (out, (), paid) = tokio::join!(
            saga.child(inner, n),
            saga.sleep(30 * HOUR),
            saga.wait_within::<Paid>(HOUR),
        );
        out?;
        assert_eq!(paid.unwrap().0, 3);
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    participants.will("a", &[Way::Hangs]);
    let handle = engine.start(outer, "k", 1).deadline(99 * HOUR);
    let mut handle = handle.await.unwrap();
    let id = handle.id();
    settle_down().await;
    let told = |text: String| -> Vec<String> {
        let lines = text.lines().skip(1);
        lines.map(|line| line.trim().to_owned()).collect()
    };
    let text = engine.status(id).await.unwrap().to_string();
    let lines = told(text);
    assert!(lines[0].starts_with("waits for child saga `inner` key `"));
    let expected = [
        "waits for a timer until 2023-11-16 04:13:20.000 UTC (operation 1)",
        "waits for signal `paid` until 23:13:20.000 UTC (operation 2)",
        "given up at 2023-11-19 01:13:20.000 UTC",
    ];
    assert_eq!(lines[1..], expected);
    engine.signal("outer", "k", "m1", &Paid(3)).await.unwrap();
    participants.go.notify_one();
    settle_down().await;
    let text = engine.status(id).await.unwrap().to_string();
    assert_eq!(told(text), [expected[0], expected[2]]);
    handle.outcome().await.unwrap();
    assert_eq!(engine.status(id).await.unwrap().waits, []);
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_saga_that_is_not_there_is_an_error() {
    let desk = Desk::on(MemoryStore::new()).await;
    let missing = desk.engine.status(SagaId(7)).await;
    assert!(matches!(missing, Err(StoreError::NotFound(SagaId(7)))));
}

#[tokio::test(start_paused = true)]
async fn why_code_does_not_fit_is_told_without_a_payload() {
    let store = MemoryStore::new();
    let mut told = String::new();
    for cents in [424_242, 535_353] {
        let mut b = Engine::builder(Participants::default(), store.clone());
        b.wall_clock(clock());
        let a = step(&mut b, "a", "undo a", OnUnknown::Retry);
        let pay = b.saga("pay", move |saga: Flow, (): ()| async move {
            saga.call(a, cents).await?;
            Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
        });
        let engine = b.build().await.unwrap();
        let id = engine.start(pay, "k", ()).await.unwrap().id();
        settle_down().await;
        if cents == 535_353 {
            engine.signal("pay", "k", "m1", &Paid(3)).await.unwrap();
            settle_down().await;
            told = engine.status(id).await.unwrap().to_string();
        }
        engine.drain().await.unwrap();
    }
    let expected = "waits for an operator (code): the saga's code does not fit its journal: it runs \
                    step `a` with another command here now, but the journal has step `a` as \
                    operation 0";
    assert!(told.ends_with(expected), "{told}");
}
