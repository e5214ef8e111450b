//! Operations that nobody waits for any more, and steps that are taken back on the way.
use super::{
    stage::{Paid, Stage, every, ms, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{Abort, Builder, Flow, Raced, SagaRef, Status};

#[tokio::test(start_paused = true)]
async fn a_step_that_loses_a_race_runs_on_is_joined_and_stays_applied() {
    let stage = Stage::with(World::with([("a", vec![Way::Slow])]));
    let mut b = stage.builder();
    let (x, y) = (step!(b, "a").register(), step!(b, "b").register());
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(
            match saga.race(saga.call(x, ()), saga.call(y, ())).await {
                Raced::First(_) => "first",
                Raced::Second(_) => "second",
            }
            .to_owned(),
        )
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), "second");
    assert_eq!(stage.world.net(), 2, "it ended after the loser had settled");
    let jot = stage.jot("s", "k").await;
    assert_eq!(
        jot,
        [
            "started", "step 0 a", "step 1 b", "done 1", "done 0", "finished"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn s05_a_saga_given_up_takes_the_loser_back_as_well_in_the_order_of_settling() {
    let stage = Stage::with(World::with([
        ("a", vec![Way::Slow]),
        ("c", vec![Way::Refuse]),
    ]));
    let mut b = stage.builder();
    let x = step!(b, "a").register();
    let y = step!(b, "b").register();
    let z = step!(b, "c").register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        saga.race(saga.call(x, ()), saga.call(y, ())).await;
        Ok::<_, Abort>(saga.call(z, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    // `a` settled last, after the refusal was known.
    let log = ["run a", "run b", "run c", "undo a", "undo b"];
    assert_eq!(stage.world.log(), log);
    assert!(stage.world.books().overlaps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_the_first_given_wins_also_in_the_replay() {
    let stage = Stage::new();
    let make = |b: &mut Builder<World>| {
        b.saga("s", |saga: Flow, (): ()| async move {
            let both = saga.race(saga.sleep(secs(10)), saga.sleep(secs(10))).await;
            saga.wait_for::<Paid>().await;
            Ok::<_, Abort>(matches!(both, Raced::First(())))
        })
    };
    for life in 0..3 {
        let mut b = stage.builder();
        let saga = make(&mut b);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        tokio::time::sleep(secs(11)).await;
        if life == 2 {
            engine.signal("s", "k", "m", &Paid(1)).await.unwrap();
            assert!(handle.outcome().await.unwrap());
        } else {
            stage.die(engine).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_fails_past_the_pivot_parks_the_saga_at_its_end() {
    let stage = Stage::with(World::with([("c", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let x = step!(b, "a").register();
    let z = step!(b, "c").register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        saga.pivot(x, ()).await?;
        saga.race(saga.call(z, ()), saga.sleep(ms(0))).await;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("step `c` failed after the pivot"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_dropped_before_it_was_polled_is_nothing() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let x = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, (): ()| async move {
        drop((
            saga.call(x, ()),
            saga.sleep(secs(9)),
            saga.wait_for::<Paid>(),
        ));
        Ok::<_, Abort>(saga.call(x, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap();
    let jot = stage.jot("s", "k").await;
    assert_eq!(jot, ["started", "step 0 a", "done 0", "finished"]);
}

/// Does `a`, takes it back, and does `b`.
fn undoing(b: &mut Builder<World>) -> SagaRef<(), String> {
    let x = step!(b, "a").retry(every(1, 2).undo_attempts(2)).register();
    let y = step!(b, "b").retry(every(1, 2)).register();
    b.saga("undoing", move |saga: Flow, (): ()| async move {
        let (id, done) = saga.call(x, ()).numbered().await;
        done?;
        saga.undo(id).await;
        Ok::<_, Abort>(saga.call(y, ()).await?)
    })
}

#[tokio::test(start_paused = true)]
async fn a_step_taken_back_on_the_way_is_undone_once_also_where_the_saga_is_given_up() {
    let stage = Stage::with(World::with([("b", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let saga = undoing(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.world.log(), ["run a", "undo a", "run b"]);
    let jot = stage.jot("undoing", "k").await;
    assert_eq!(jot[3..6], ["undo_asked 1", "undone 0", "step 2 b"]);
}

#[tokio::test(start_paused = true)]
async fn a_death_in_the_middle_of_it_repeats_it_under_the_same_key() {
    let stage = Stage::with(World::with([("undo a", vec![Way::Never])]));
    for life in 0..2 {
        let mut b = stage.builder();
        let saga = undoing(&mut b);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        if life == 1 {
            assert_eq!(handle.outcome().await.unwrap(), "b done");
            continue;
        }
        tokio::time::sleep(secs(1)).await;
        stage.die(engine).await;
    }
    assert_eq!(stage.world.log(), ["run a", "undo a", "undo a", "run b"]);
    assert_eq!(stage.world.net(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_death_in_the_middle_of_it_is_found_out_about_before_the_saga_is_undone() {
    let stage = Stage::with(World::with([("undo a", vec![Way::Never])]));
    for life in 0..2 {
        let mut b = stage.builder();
        let saga = undoing(&mut b);
        let engine = b.build().await.unwrap();
        let start = engine.start(saga, "k", ()).deadline(secs(30));
        let mut handle = start.await.unwrap();
        if life == 1 {
            handle.outcome().await.unwrap_err();
            continue;
        }
        tokio::time::sleep(secs(1)).await;
        stage.die(engine).await;
        tokio::time::sleep(secs(100)).await;
    }
    let jot = stage.jot("undoing", "k").await;
    let after = [
        "undo_asked 1",
        "cancelled",
        "undone 0",
        "abort",
        "compensated",
    ];
    assert_eq!(jot[3..], after);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_taken_back_parks_the_saga_where_it_stands() {
    let stage = Stage::with(World::with([("undo a", vec![Way::Refuse; 9])]));
    let mut b = stage.builder();
    let saga = undoing(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(
        end.contains("the compensation of `a` failed 2 times"),
        "{end}"
    );
    // At the step, not at the undo: that is what an operator can settle.
    let jot = stage.jot("undoing", "k").await;
    assert_eq!(jot.last().unwrap(), "stuck 0");
    let ann = engine.operator("ann");
    ann.skip(handle.id(), 0, "kept by the customer")
        .await
        .unwrap();
    let mut handle = engine.handle::<String>(handle.id());
    assert_eq!(handle.outcome().await.unwrap(), "b done");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_cannot_be_taken_back() {
    let stage = Stage::with(World::with([("a", vec![Way::Refuse; 9])]));
    let mut b = stage.builder();
    let x = step!(b, "a").register();
    let failed = b.saga("failed", move |saga: Flow, (): ()| async move {
        let (id, _) = saga.call(x, ()).numbered().await;
        saga.undo(id).await;
        Ok::<_, Abort>(())
    });
    let y = step!(b, "b").register();
    let twice = b.saga("twice", move |saga: Flow, (): ()| async move {
        let (id, done) = saga.call(y, ()).numbered().await;
        done?;
        tokio::join!(saga.undo(id), saga.undo(id));
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    for (saga, says) in [
        (failed, "undoes step `a`, which is not done"),
        (twice, "twice at a time"),
    ] {
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        assert!(end.contains(says), "{end}");
        assert_eq!(stage.status(saga.name(), "k").await, Status::Stuck);
    }
}

/// The change of a release, and what was there before.
fn patched(b: &mut Builder<World>, change: bool) -> SagaRef<(), bool> {
    let (x, y) = (step!(b, "a").register(), step!(b, "b").register());
    b.saga("patched", move |saga: Flow, (): ()| async move {
        saga.wait_for::<Paid>().await;
        let mut met = false;
        if change && saga.patched("b first") {
            met = true;
            saga.call(y, ()).await?;
        }
        saga.call(x, ()).await?;
        saga.wait_for::<Paid>().await;
        Ok::<_, Abort>(met)
    })
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_met_by_those_that_come_by_with_it_and_never_by_those_that_were_past_it() {
    // How many signals the saga has had when the change comes; whether it meets it.
    for (before, met) in [(0, true), (1, false)] {
        let stage = Stage::new();
        let mut sent = 0;
        for life in 0..4 {
            let mut b = stage.builder();
            let saga = patched(&mut b, life > 0);
            let engine = b.build().await.unwrap();
            let mut handle = engine.start(saga, "k", ()).await.unwrap();
            let due = [before, 1, 1, 2][life];
            while sent < due {
                sent += 1;
                let id = sent.to_string();
                engine.signal("patched", "k", &id, &Paid(1)).await.unwrap();
            }
            tokio::time::sleep(secs(1)).await;
            if life == 3 {
                assert_eq!(handle.outcome().await.unwrap(), met);
            } else {
                stage.die(engine).await;
            }
        }
        let expected: &[&str] = if met { &["run b", "run a"] } else { &["run a"] };
        assert_eq!(stage.world.log(), expected);
    }
}

/// The code had not heard of the step: what follows it is new.
#[tokio::test(start_paused = true)]
async fn a_patch_is_met_right_after_the_last_that_an_engine_wrote_down_when_it_was_stopped() {
    let stage = Stage::with(World::with([("a", vec![Way::Slow])]));
    for life in 0..2 {
        let mut b = stage.builder();
        let (x, y) = (step!(b, "a").register(), step!(b, "b").register());
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            saga.call(x, ()).await?;
            if life == 1 && saga.patched("b too") {
                saga.call(y, ()).await?;
            }
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        match life {
            0 => engine.drain().await.unwrap(),
            _ => handle.outcome().await.unwrap(),
        }
    }
    assert_eq!(stage.world.log(), ["run a", "run b"]);
}

/// It was told for the rounds before what holds for the one in which it was met, and fitted its journal
/// no more.
#[tokio::test(start_paused = true)]
async fn a_loop_meets_a_change_in_the_middle_and_is_replayed_as_it_was() {
    let stage = Stage::new();
    let build = |change: bool| {
        let mut b = stage.builder();
        let (x, y) = (step!(b, "a").register(), step!(b, "b").register());
        let saga = b.saga("loop", move |saga: Flow, rounds: u32| async move {
            for _ in 0..rounds {
                if change && saga.patched("b as well") {
                    saga.call(y, ()).await?;
                }
                saga.call(x, ()).await?;
                saga.wait_for::<Paid>().await;
            }
            Ok::<_, Abort>(())
        });
        (b, saga)
    };
    let mut sent = 0;
    for life in 0..5 {
        let (b, saga) = build(life > 1);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", 4).await.unwrap();
        if life == 4 {
            handle.outcome().await.unwrap();
            break;
        }
        pass(1).await;
        sent += 1;
        let id = format!("m{sent}");
        engine.signal("loop", "k", &id, &Paid(0)).await.unwrap();
        pass(1).await;
        assert_ne!(stage.status("loop", "k").await, Status::Stuck, "{life}");
        stage.die(engine).await;
    }
    assert_eq!(
        stage.world.log(),
        ["run a", "run a", "run a", "run b", "run a"]
    );
}
