//! What commands lead to.
use super::desk::{Desk, HOUR, Way, rows, settle_down, signatures, step};
use crate::saga::world::clock;
use seawall::saga::{
    Abort, Engine, Flow, MemoryStore, OnUnknown, Refused, SagaError, SagaId, Settlement, Status,
    Store as _,
};

async fn status(desk: &Desk, id: SagaId) -> Status {
    desk.engine.status(id).await.unwrap().status
}

async fn end(desk: &Desk, id: SagaId) -> Result<u32, SagaError> {
    desk.engine.handle(id).outcome().await
}

async fn at(state: &str) -> (Desk, MemoryStore, SagaId) {
    let store = MemoryStore::new();
    let desk = Desk::on(store.clone()).await;
    let id = desk.at(state, &store).await;
    (desk, store, id)
}

#[tokio::test(start_paused = true)]
async fn a_skipped_compensation_ends_with_an_exception_that_names_the_step() {
    let (desk, store, id) = at("stuck backward").await;
    desk.alice.skip(id, 0, "paid back by hand").await.unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(
        matches!(&error, SagaError::CompensatedWithExceptions { exceptions, .. } if exceptions == &["a"]),
        "{error:?}"
    );
    let text = "the saga was undone except for a: step `b` was refused: no";
    assert_eq!(error.to_string(), text);
    assert_eq!(status(&desk, id).await, Status::CompensatedWithExceptions);
    let at = rows(&store, id).last().unwrap().at;
    let signed = signatures(&store, id).await.unwrap();
    let expected =
        ["skipped", "resumed"].map(|event| format!("{event} by alice at {at}: paid back by hand"));
    assert_eq!(signed, expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_makes_the_compensation_again_with_all_its_attempts() {
    let (desk, _, id) = at("stuck backward").await;
    desk.participants.will("undo a", &[Way::Refused]);
    desk.alice.retry(id, "the service is back").await.unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(matches!(error, SagaError::Compensated { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_past_the_pivot_completes_the_saga() {
    let (desk, _, id) = at("stuck past its pivot").await;
    desk.alice.retry(id, "the service is back").await.unwrap();
    assert_eq!(end(&desk, id).await.unwrap(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_fails_again_parks_it_again() {
    let (desk, _, id) = at("stuck in its code").await;
    desk.alice.retry(id, "try").await.unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(matches!(error, SagaError::Stuck { .. }), "{error:?}");
    assert_eq!(status(&desk, id).await, Status::Stuck);
}

#[tokio::test(start_paused = true)]
async fn a_step_settled_as_done_goes_on_with_the_output_given_by_hand() {
    let (desk, _, id) = at("stuck unknown").await;
    let text = Settlement::done(&"text").unwrap();
    let refused = desk
        .alice
        .settle(id, 1, text, "seen there")
        .await
        .unwrap_err();
    let why = refused.to_string();
    assert!(why.starts_with("operation 1 cannot be settled: step `b`: its output cannot be decoded as `u32`: a value does not fit, expected u32 (line 1, column 6)"), "{why}");
    assert!(
        why.ends_with("; give the output that the step answers with"),
        "{why}"
    );
    let done = Settlement::done(&21).unwrap();
    desk.alice.settle(id, 1, done, "seen there").await.unwrap();
    assert_eq!(end(&desk, id).await.unwrap(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_pivot_settled_as_done_goes_forward_and_as_not_applied_back() {
    let (desk, _, id) = at("stuck in its pivot").await;
    let undone = desk
        .alice
        .settle(id, 2, Settlement::Undone, "by hand")
        .await;
    assert!(
        matches!(undone, Err(Refused::Operation { op: 2, .. })),
        "{undone:?}"
    );
    let done = Settlement::done(&1).unwrap();
    desk.alice
        .settle(id, 2, done, "it is in their books")
        .await
        .unwrap();
    assert_eq!(end(&desk, id).await.unwrap(), 14);
    let (desk, _, id) = at("stuck in its pivot").await;
    let verdict = Settlement::NotApplied;
    desk.alice
        .settle(id, 2, verdict, "it is not in their books")
        .await
        .unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(matches!(error, SagaError::Compensated { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_compensation_settled_as_undone_is_no_exception() {
    let (desk, _, id) = at("stuck backward").await;
    desk.alice
        .settle(id, 0, Settlement::Undone, "taken back by hand")
        .await
        .unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(matches!(error, SagaError::Compensated { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_saga_is_undone_and_says_by_whom() {
    let (desk, _, id) = at("stuck unknown").await;
    desk.alice.abort(id, "the customer is gone").await.unwrap();
    let error = end(&desk, id).await.unwrap_err();
    let text = "the saga was undone: aborted by alice: the customer is gone";
    assert_eq!(error.to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_saga_that_waits_is_undone_at_once() {
    let (desk, _, id) = at("waiting").await;
    let before = tokio::time::Instant::now();
    desk.alice.cancel(id, "the customer is gone").await.unwrap();
    let error = end(&desk, id).await.unwrap_err();
    assert!(before.elapsed() < HOUR);
    let text = "the saga was undone: cancelled by alice: the customer is gone";
    assert_eq!(error.to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn a_forced_end_stands_and_tells_the_note() {
    for state in [
        "running",
        "waiting backward",
        "stuck past its pivot",
        "damaged",
    ] {
        let (desk, store, id) = at(state).await;
        desk.alice
            .force_end(id, "moved to the new system")
            .await
            .unwrap();
        let error = end(&desk, id).await.unwrap_err();
        let text = "the saga was ended by force: moved to the new system";
        assert_eq!(error.to_string(), text, "{state}");
        assert_eq!(status(&desk, id).await, Status::Forced);
        let journal = rows(&store, id);
        drop(desk);
        store.owners_died();
        let next = Desk::on(store.clone()).await;
        tokio::time::sleep(3 * HOUR).await;
        assert!(rows(&store, id) == journal, "{state}");
        assert_eq!(next.engine.in_memory(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_compensation_on_the_way_forward_can_be_settled_or_skipped() {
    for skip in [true, false] {
        let store = MemoryStore::new();
        let participants = super::desk::Participants::default();
        let mut b = Engine::builder(participants.clone(), store.clone());
        b.wall_clock(clock());
        let a = step(&mut b, "a", "undo a", OnUnknown::Retry);
        let back = b.saga("back", move |saga: Flow, n: u32| async move {
            let (id, done) = saga.call(a, n).numbered().await;
            let done = done?;
            saga.undo(id).await;
            Ok::<_, Abort>(done)
        });
        let engine = b.build().await.unwrap();
        participants.will("undo a", &[Way::Refused; 2]);
        let mut handle = engine.start(back, "k", 1).await.unwrap();
        assert!(matches!(
            handle.outcome().await,
            Err(SagaError::Stuck { .. })
        ));
        let alice = engine.operator("alice");
        let done = Settlement::done(&1).unwrap();
        let known = alice.settle(handle.id(), 0, done, "no").await.unwrap_err();
        assert!(
            known.to_string().contains("it is known to be done"),
            "{known}"
        );
        match skip {
            true => alice.skip(handle.id(), 0, "never mind").await.unwrap(),
            false => alice
                .settle(handle.id(), 0, Settlement::Undone, "by hand")
                .await
                .unwrap(),
        }
        assert_eq!(handle.outcome().await.unwrap(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_operators_at_once_one_is_served_and_the_other_is_told() {
    let (desk, store, id) = at("stuck backward").await;
    desk.participants.will("undo a", &[Way::Hangs]);
    let (retried, aborted, skipped) = tokio::join!(
        desk.alice.retry(id, "mine"),
        desk.bob.abort(id, "mine"),
        desk.bob.skip(id, 0, "mine"),
    );
    let answers = [retried, aborted, skipped];
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let told = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Refused::NotStuck)))
        .count();
    assert_eq!((served, told), (1, 2), "{answers:?}");
    let signed = signatures(&store, id).await.unwrap();
    let resumed = signed.iter().filter(|s| s.starts_with("resumed")).count();
    assert_eq!(resumed, 1, "{signed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_fences_the_engine_that_runs_the_saga() {
    let store = MemoryStore::new();
    let running = Desk::on(store.clone()).await;
    let id = running.at("running", &store).await;
    let other = Desk::on(store.clone()).await;
    other
        .alice
        .force_end(id, "that host is gone")
        .await
        .unwrap();
    let journal = rows(&store, id);
    running.participants.go.notify_one();
    settle_down().await;
    assert!(rows(&store, id) == journal, "the fenced engine has written");
    assert_eq!(running.engine.in_memory(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_command_needs_an_author_and_a_note_of_a_size_that_can_be_kept() {
    let (desk, store, id) = at("stuck backward").await;
    let before = rows(&store, id);
    let long = "x".repeat(4097);
    let told = [
        desk.alice.skip(id, 0, " \n").await,
        desk.engine.operator("").retry(id, "why").await,
        desk.alice.force_end(id, &long).await,
        desk.engine.operator(&long).cancel(id, "why").await,
    ];
    let told = told.map(|answer| answer.unwrap_err().to_string());
    let expected = [
        "the note is empty; every command is kept with who gave it and why",
        "the author is empty; every command is kept with who gave it and why",
        "the note is 4097 bytes, at most 4096 are kept",
        "the author is 4097 bytes, at most 255 are kept",
    ];
    assert_eq!(told, expected);
    assert!(rows(&store, id) == before);
}

#[tokio::test(start_paused = true)]
async fn a_draining_engine_takes_no_commands() {
    let (desk, _, id) = at("stuck backward").await;
    desk.engine.drain().await.unwrap();
    let refused = desk.alice.retry(id, "why").await.unwrap_err();
    assert!(matches!(refused, Refused::Draining), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_parent_of_a_child_that_was_ended_by_force_hears_of_it() {
    let store = MemoryStore::new();
    let participants = super::desk::Participants::default();
    let mut b = Engine::builder(participants.clone(), store.clone());
    b.wall_clock(clock());
    let a = step(&mut b, "a", "undo a", OnUnknown::Retry);
    let inner = b.saga("inner", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(a, n).await?)
    });
    let inner = b.child("inner child", inner, |_, _, _: u32, _| async { Ok(()) });
    let outer = b.saga("outer", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.child(inner, n).await?)
    });
    let engine = b.build().await.unwrap();
    participants.will("a", &[Way::Hangs]);
    let mut handle = engine.start(outer, "k", 1).await.unwrap();
    settle_down().await;
    let alice = engine.operator("alice");
    let shown = alice.show(handle.id()).await.unwrap();
    let child = shown.children[0].id.unwrap();
    let key = store.load(child, false).await.unwrap().key;
    assert_eq!(
        (&*shown.children[0].saga, &shown.children[0].key),
        ("inner", &key)
    );
    alice.force_end(child, "it hangs").await.unwrap();
    let error = handle.outcome().await.unwrap_err().to_string();
    assert!(error.contains("ended by force: it hangs"), "{error}");
}
