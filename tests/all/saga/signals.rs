//! Messages to sagas: acknowledged once, delivered once, in order.
use super::{
    hooked::Hooked,
    stage::{Paid, Shipped, Stage, pass, secs},
    world::{Way, World, clock, step},
};
use seawall::saga::{
    Abort, Builder, Engine, Flow, Raced, SagaError, SagaRef, SignalError, Status, store::Posted,
};

fn two_waits(b: &mut Builder<World>) -> SagaRef<(), (u32, u32)> {
    b.saga("two", |saga: Flow, (): ()| async move {
        let Paid(x) = saga.wait_for().await;
        let Paid(y) = saga.wait_for().await;
        Ok::<_, Abort>((x, y))
    })
}

#[tokio::test(start_paused = true)]
async fn s27_signals_before_the_start_are_held_by_key_and_come_in_order() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let two = two_waits(&mut b);
    let engine = b.build().await.unwrap();
    for (id, n) in [("m1", 1), ("m2", 2)] {
        let posted = engine.signal("two", "k", id, &Paid(n)).await.unwrap();
        assert_eq!(posted, Posted::New(None));
    }
    engine.signal("two", "other", "m1", &Paid(9)).await.unwrap();
    let mut handle = engine.start(two, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn s27_a_duplicate_is_delivered_once_also_after_a_restart() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let two = two_waits(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(two, "k", ()).await.unwrap();
    engine.signal("two", "k", "m1", &Paid(1)).await.unwrap();
    pass(1).await;
    let again = engine.signal("two", "k", "m1", &Paid(5)).await.unwrap();
    assert_eq!(again, Posted::Duplicate);
    stage.die(engine).await;

    let mut b = stage.builder();
    let two = two_waits(&mut b);
    let engine = b.build().await.unwrap();
    let again = engine.signal("two", "k", "m1", &Paid(5)).await.unwrap();
    assert_eq!(again, Posted::Duplicate);
    engine.signal("two", "k", "m2", &Paid(2)).await.unwrap();
    let mut handle = engine.start(two, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn s27_two_waits_of_one_name_take_them_in_the_order_they_were_begun() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let both = b.saga("both", |saga: Flow, (): ()| async move {
        let pair = tokio::join!(saga.wait_for::<Paid>(), saga.wait_for::<Paid>());
        Ok::<_, Abort>((pair.0.0, pair.1.0))
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(both, "k", ()).await.unwrap();
    engine.signal("both", "k", "m1", &Paid(1)).await.unwrap();
    engine.signal("both", "k", "m2", &Paid(2)).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn s27_a_wait_that_was_dropped_leaves_the_signal_to_the_next() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("dropped", |saga: Flow, (): ()| async move {
        let first = saga.race(saga.wait_for::<Paid>(), saga.sleep(secs(1)));
        assert!(matches!(first.await, Raced::Second(())));
        let Shipped(_) = saga.wait_for().await;
        Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(2).await;
    engine.signal("dropped", "k", "m1", &Paid(3)).await.unwrap();
    pass(1).await;
    let jot = stage.jot("dropped", "k").await;
    assert!(jot.contains(&"unwait 0".to_owned()), "{jot:?}");
    engine
        .signal("dropped", "k", "m2", &Shipped(0))
        .await
        .unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn s27_a_wait_that_was_dropped_stays_so_in_the_replay() {
    let stage = Stage::new();
    let saga = |b: &mut Builder<World>| {
        b.saga("dropped", |saga: Flow, (): ()| async move {
            saga.race(saga.wait_for::<Paid>(), saga.sleep(secs(1)))
                .await;
            let Shipped(x) = saga.wait_for().await;
            let Paid(y) = saga.wait_for().await;
            Ok::<_, Abort>((x, y))
        })
    };
    let mut b = stage.builder();
    let first = saga(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(first, "k", ()).await.unwrap();
    pass(2).await;
    engine.signal("dropped", "k", "m1", &Paid(1)).await.unwrap();
    pass(2).await;
    stage.die(engine).await;

    let mut b = stage.builder();
    let second = saga(&mut b);
    let engine = b.build().await.unwrap();
    engine
        .signal("dropped", "k", "m2", &Shipped(2))
        .await
        .unwrap();
    let mut handle = engine.start(second, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_signal_after_the_end_is_refused() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let two = two_waits(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(two, "k", ()).await.unwrap();
    for id in ["m1", "m2"] {
        engine.signal("two", "k", id, &Paid(0)).await.unwrap();
    }
    handle.outcome().await.unwrap();
    let late = engine.signal("two", "k", "m3", &Paid(0)).await.unwrap();
    assert_eq!(late, Posted::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_wait_within_a_time_ends_with_it_and_the_signal_stays() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("within", |saga: Flow, (): ()| async move {
        let first = saga.wait_within::<Paid>(secs(3)).await;
        let second = saga.wait_within::<Paid>(secs(60)).await;
        Ok::<_, Abort>((first.is_some(), second.map(|paid| paid.0)))
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(4).await;
    engine.signal("within", "k", "m1", &Paid(5)).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (false, Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_was_acknowledged_before_the_time_was_up_wins_over_it() {
    let stage = Stage::new();
    let within = |b: &mut Builder<World>| {
        b.saga("within", |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.wait_within::<Paid>(secs(10)).await.map(|paid| paid.0))
        })
    };
    let mut b = stage.builder();
    let first = within(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(first, "k", ()).await.unwrap();
    pass(1).await;
    engine.drain().await.unwrap();
    // No engine: the signal comes, then the time passes.
    let posted = engine.signal("within", "k", "m1", &Paid(5)).await.unwrap();
    assert!(matches!(posted, Posted::New(Some(_))));
    pass(60).await;
    drop(engine);
    let mut b = stage.builder();
    let second = within(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(second, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn an_ask_is_a_request_and_the_signal_that_answers_it() {
    let stage = Stage::with(World::with([("b", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let (a, refused) = (step!(b, "a").register(), step!(b, "b").register());
    let saga = b.saga("ask", move |saga: Flow, (): ()| async move {
        let answer: Option<Paid> = saga.ask(a, (), secs(60)).await?;
        let none: Option<Paid> = saga.ask(a, (), secs(60)).await?;
        let no = saga.ask::<Paid, _, _>(refused, (), secs(60)).await;
        let no = no.is_err_and(|failed| failed.clean);
        Ok::<_, Abort>((answer.map(|paid| paid.0), none.is_none(), no))
    });
    let engine = b.build().await.unwrap();
    // The answer may be there before the request has come back.
    engine.signal("ask", "k", "m1", &Paid(7)).await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), (Some(7), true, true));
}

#[tokio::test(start_paused = true)]
async fn a_signal_wakes_one_that_has_left_memory_while_a_step_waits_and_costs_no_attempt() {
    let stage = Stage::with(World::with([("a", vec![Way::Transient, Way::Refuse])]));
    let mut b = stage.builder();
    let a = step!(b, "a").retry(super::stage::every(600, 2)).register();
    let saga = b.saga("both", move |saga: Flow, (): ()| async move {
        let waits = async {
            for _ in 0..5 {
                saga.wait_for::<Paid>().await;
            }
        };
        let (called, ()) = tokio::join!(saga.call(a, ()), waits);
        Ok::<_, Abort>(called.is_err_and(|failed| failed.clean))
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    for n in 0..5 {
        pass(10).await;
        assert_eq!(engine.in_memory(), 0);
        let id = format!("m{n}");
        engine.signal("both", "k", &id, &Paid(n)).await.unwrap();
    }
    pass(10).await;
    // Taken up five times: still one attempt used, and nothing in doubt.
    let last = stage.retries("both", "k").await.last().copied();
    assert_eq!(last, Some((1, false, true)));
    assert!(handle.outcome().await.unwrap(), "the refusal is clean");
}

#[tokio::test(start_paused = true)]
async fn a_signal_to_a_saga_on_its_way_back_does_not_keep_it_awake() {
    let stage = Stage::with(World::with([
        ("b", vec![Way::Refuse]),
        ("undo a", vec![Way::Refuse]),
    ]));
    let mut b = stage.builder();
    let a = step!(b, "a").retry(super::stage::every(600, 2)).register();
    let refused = step!(b, "b").register();
    let saga = b.saga("back", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        saga.call(refused, ()).await?;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    engine.signal("back", "k", "m1", &Paid(0)).await.unwrap();
    pass(60).await;
    assert_eq!(engine.in_memory(), 0);
    assert_eq!(stage.status("back", "k").await, Status::Waiting);
    let rows = stage.rows("back", "k").await.len();
    assert!(rows < 9, "{rows} rows: it is taken up again and again");
    assert!(handle.outcome().await.is_err());
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_signal_with_a_name_or_key_out_of_range_is_refused_with_the_range() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.max_payload(2000);
    two_waits(&mut b);
    let engine = b.build().await.unwrap();
    for (saga, key, id) in [
        ("", "k", "m"),
        ("two", "", "m"),
        ("two", "k", &*"x".repeat(256)),
    ] {
        let refused = engine.signal(saga, key, id, &Paid(0)).await.unwrap_err();
        assert!(matches!(refused, SignalError::Key { .. }));
        assert!(refused.to_string().contains("1 to 255 bytes"), "{refused}");
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Large(String);
    impl seawall::saga::Signal for Large {
        const NAME: &'static str = "large";
    }
    let large = Large("x".repeat(2000));
    let refused = engine.signal("two", "k", "m", &large).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "signal `large` is 2002 bytes, at most 2000 are allowed (max_payload)",
    );
}

/// Whoever sent it found no task to tell, and the saga's beginning had looked for mail before.
#[tokio::test(start_paused = true)]
async fn s27_a_signal_that_comes_while_its_saga_is_being_written_down_is_not_overlooked() {
    let store = Hooked::new(|call| async move {
        if call == "created" {
            pass(1).await;
        }
        Ok(())
    });
    let mut b = Engine::builder((), store);
    b.wall_clock(clock());
    let saga = b.saga("s", |saga: Flow, (): ()| async move {
        let paid = saga.wait_within::<Paid>(secs(4)).await;
        Ok::<_, Abort>(paid.map(|paid| paid.0))
    });
    let engine = b.build().await.unwrap();
    let starting = engine.clone();
    let started = tokio::spawn(async move { starting.start(saga, "k", ()).await });
    pass(0).await;
    let posted = engine.signal("s", "k", "m", &Paid(7)).await.unwrap();
    assert!(matches!(posted, Posted::New(Some(_))), "{posted:?}");
    let mut handle = started.await.unwrap().unwrap();
    assert_eq!(handle.outcome().await.unwrap(), Some(7));
}

/// Each of them brings it back, and was taken for an attempt of its compensation.
#[tokio::test(start_paused = true)]
async fn signals_to_a_saga_on_its_way_back_cost_its_compensation_no_attempt() {
    let stage = Stage::with(World::with([
        ("b", vec![Way::Refuse]),
        ("undo a", vec![Way::Transient; 2]),
    ]));
    let mut b = stage.builder();
    let retry = super::stage::every(600, 1).undo_attempts(3);
    let a = step!(b, "a").retry(retry).register();
    let refused = step!(b, "b").register();
    let saga = b.saga("back", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(saga.call(refused, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    for n in 0..5 {
        pass(10).await;
        let id = format!("m{n}");
        engine.signal("back", "k", &id, &Paid(n)).await.unwrap();
    }
    let end = handle.outcome().await.unwrap_err();
    assert!(matches!(end, SagaError::Compensated { .. }), "{end}");
    assert_eq!(stage.world.net(), 0);
}

/// Held on to while the saga does something else, it was given the signal, which went with it: the next
/// wait, in this run or the next, never heard of it.
#[tokio::test(start_paused = true)]
async fn s27_a_wait_that_is_dropped_with_a_signal_that_was_not_looked_at_leaves_it_to_the_next() {
    for again in [false, true] {
        let stage = Stage::with(World::with([("a", vec![Way::Slow])]));
        let build = || {
            let mut b = stage.builder();
            let a = step!(b, "a").register();
            let saga = b.saga("held", move |saga: Flow, second: bool| async move {
                if !second {
                    let mut held = std::pin::pin!(saga.wait_for::<Paid>());
                    saga.race(held.as_mut(), saga.sleep(secs(1))).await;
                    saga.call(a, ()).await?;
                    if again {
                        return saga.continue_as(true);
                    }
                    held.set(saga.wait_for());
                    let first = held.await.0;
                    let Shipped(_) = saga.wait_for().await;
                    return Ok((first, saga.wait_for::<Paid>().await.0));
                }
                let first = saga.wait_for::<Paid>().await.0;
                Ok((first, saga.wait_for::<Paid>().await.0))
            });
            (b, saga)
        };
        let (b, saga) = build();
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", false).await.unwrap();
        tokio::time::sleep(super::stage::ms(1_010)).await;
        for n in [1, 2] {
            let id = format!("m{n}");
            engine.signal("held", "k", &id, &Paid(n)).await.unwrap();
        }
        pass(99).await;
        stage.die(engine).await;

        let (b, saga) = build();
        let engine = b.build().await.unwrap();
        engine.signal("held", "k", "m3", &Shipped(0)).await.unwrap();
        let mut handle = engine.start(saga, "k", false).await.unwrap();
        let end = tokio::time::timeout(secs(99), handle.outcome()).await;
        assert_eq!(end.expect("it hangs").unwrap(), (1, 2));
    }
}
