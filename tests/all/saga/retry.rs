//! A step's own retry: its attempts, its waits, and what a restart may not do to them.
use super::{
    stage::{Stage, every, ms, pass, secs},
    world::{Way, World, step},
};
use seawall::{
    retry::Backoff,
    saga::{Abort, Builder, Flow, SagaRef, StepRetry, journal::Event},
};

fn one(b: &mut Builder<World>, retry: StepRetry) -> SagaRef<(), String> {
    let a = step!(b, "a").retry(retry).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

/// When each attempt began, ms after the start.
fn began(stage: &Stage) -> Vec<i64> {
    let books = stage.world.books();
    let entries = books.tape.entries.iter();
    let began = entries.filter_map(|(at, entry)| match entry {
        super::tape::Entry::Began { undo: false, .. } => Some(*at - 1_700_000_000_000),
        _ => None,
    });
    began.collect()
}

#[tokio::test(start_paused = true)]
async fn attempts_come_one_after_the_other_after_the_backoff_until_there_are_no_more() {
    let stage = Stage::with(World::with([("a", vec![Way::Transient; 9])]));
    let mut b = stage.builder();
    let waits = Backoff::from_iter(|| [ms(100), secs(1), secs(7), secs(40)].into_iter());
    let saga = one(&mut b, StepRetry::attempts(5).backoff(waits));
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert_eq!(end, "the saga was undone: step `a` was refused: busy");
    assert_eq!(stage.attempts("a"), [1, 2, 3, 4, 5]);
    assert_eq!(began(&stage), [0, 102, 1104, 8106, 48108]);
    // Those of five seconds and more are written down.
    let written = stage.retries("s", "k").await;
    assert_eq!(written, [(3, false, true), (4, false, true)]);
    assert!(!stage.world.log().contains(&"undo a".to_owned()), "clean");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_cut_off_and_may_have_been_applied() {
    let stage = Stage::with(World::with([("a", vec![Way::Never, Way::Refuse])]));
    let mut b = stage.builder();
    let saga = one(&mut b, every(1, 3).timeout(secs(4)));
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("may have been applied"), "{end}");
    assert_eq!(began(&stage), [0, 5000]);
    assert_eq!(stage.world.log().last().unwrap(), "undo a");
}

#[tokio::test(start_paused = true)]
async fn s37_every_death_in_an_attempt_uses_it_and_none_is_given_back() {
    let stage = Stage::with(World::with([("a", vec![Way::Never; 9])]));
    for life in 1..=4 {
        let mut b = stage.builder();
        // Deaths alone would have it parked.
        b.crash_limit(99);
        let saga = one(&mut b, every(1, 4).timeout(secs(60)));
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        pass(2).await;
        assert_eq!(stage.attempts("a").last(), Some(&life));
        if life == 4 {
            let end = handle.outcome().await.unwrap_err().to_string();
            assert!(end.contains("may have been applied"), "{end}");
        } else {
            stage.die(engine).await;
        }
    }
    assert_eq!(stage.attempts("a"), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn s37_a_written_wait_is_kept_to_the_millisecond_over_deaths_and_drains() {
    let ways = vec![Way::Transient, Way::Transient];
    let stage = Stage::with(World::with([("a", ways)]));
    for life in 0..7 {
        let mut b = stage.builder();
        let saga = one(&mut b, every(100, 3));
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        if life == 6 {
            assert_eq!(handle.outcome().await.unwrap(), "a done");
            continue;
        }
        pass(30).await;
        match life % 2 {
            0 => stage.die(engine).await,
            _ => engine.drain().await.unwrap(),
        }
    }
    // Out of memory for its waits it is nobody's, so no death and no drain touches it.
    assert_eq!(stage.attempts("a"), [1, 2, 3]);
    let began = began(&stage);
    assert_eq!(began[0], 0);
    assert!((100_002..100_010).contains(&began[1]), "{began:?}");
    assert!((200_004..200_020).contains(&began[2]), "{began:?}");
}

#[tokio::test(start_paused = true)]
async fn s37_neither_a_drain_nor_a_death_in_a_short_wait_changes_the_count() {
    for drain in [true, false] {
        let stage = Stage::with(World::with([("a", vec![Way::Transient])]));
        let mut b = stage.builder();
        let saga = one(&mut b, every(4, 5));
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        match drain {
            true => engine.drain().await.unwrap(),
            false => stage.die(engine).await,
        }
        let mut b = stage.builder();
        let saga = one(&mut b, every(4, 5));
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        handle.outcome().await.unwrap();
        assert_eq!(stage.attempts("a"), [1, 2], "drain: {drain}");
    }
}

#[tokio::test(start_paused = true)]
async fn s37_the_attempts_of_a_compensation_survive_as_well() {
    let script = [("b", vec![Way::Refuse]), ("undo a", vec![Way::Never; 9])];
    let stage = Stage::with(World::with(script));
    for life in 0..3 {
        let mut b = stage.builder();
        let a = step!(b, "a")
            .retry(every(1, 1).undo_attempts(3).timeout(secs(60)))
            .register();
        let refused = step!(b, "b").register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            saga.call(a, ()).await?;
            Ok::<_, Abort>(saga.call(refused, ()).await?)
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        pass(2).await;
        if life == 2 {
            let end = handle.outcome().await.unwrap_err().to_string();
            assert!(
                end.contains("the compensation of `a` failed 3 times"),
                "{end}"
            );
        } else {
            stage.die(engine).await;
        }
    }
    let undos = stage
        .world
        .log()
        .iter()
        .filter(|line| *line == "undo a")
        .count();
    assert_eq!(undos, 3);
}

#[tokio::test(start_paused = true)]
async fn s08_all_attempts_of_a_step_and_its_undo_name_the_same_key_and_no_other_step_has_it() {
    let lost = vec![Way::Lost, Way::Dropped, Way::Lost];
    let stage = Stage::with(World::with([("a", lost), ("b", vec![Way::Refuse; 2])]));
    let mut b = stage.builder();
    let a = step!(b, "a").retry(every(1, 4)).register();
    let refused = step!(b, "b").register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        saga.call(a, ()).await?;
        Ok::<_, Abort>(saga.call(refused, ()).await?)
    });
    let engine = b.build().await.unwrap();
    for key in ["k1", "k2"] {
        let mut handle = engine.start(saga, key, ()).await.unwrap();
        handle.outcome().await.unwrap_err();
    }
    let mut keys = std::collections::BTreeMap::<String, Vec<bool>>::new();
    for (_, entry) in &stage.world.books().tape.entries {
        if let super::tape::Entry::Began { key, undo, .. } = entry {
            keys.entry(key.clone()).or_default().push(*undo);
        }
    }
    // Two sagas of three steps each; one of the six was tried four times.
    assert_eq!(keys.len(), 6);
    for (key, calls) in &keys {
        let (uid, op) = key.split_once('/').unwrap();
        assert!(
            uid.len() == 32 && u128::from_str_radix(uid, 16).is_ok(),
            "{key}"
        );
        assert!(["0", "1", "2"].contains(&op), "{key}");
        assert_eq!(calls.iter().any(|undo| *undo), op != "2", "{key}");
    }
    assert!(
        keys.values()
            .any(|calls| *calls == [false, false, false, false, true])
    );
    let done = stage.events("s", "k1").await;
    let attempt = done.iter().find_map(|event| match event {
        Event::Done { op: 0, attempt, .. } => Some(*attempt),
        _ => None,
    });
    assert_eq!(attempt, Some(4));
}
