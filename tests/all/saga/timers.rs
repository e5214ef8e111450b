//! Sleeps: fixed once, never early, whatever becomes of the process and of the wall clock.
use super::{
    stage::{Stage, ms, pass, secs},
    world::World,
};
use seawall::saga::{Abort, Builder, Flow, SagaRef, Status, journal::Event};

fn nap(b: &mut Builder<World>, seconds: u64) -> SagaRef<(), ()> {
    b.saga("nap", move |saga: Flow, (): ()| async move {
        saga.sleep(secs(seconds)).await;
        Ok::<_, Abort>(())
    })
}

async fn due(stage: &Stage) -> Vec<i64> {
    let events = stage.events("nap", "k").await.into_iter();
    let timers = events.filter_map(|event| match event {
        Event::Timer { at, .. } => Some(at),
        _ => None,
    });
    timers.collect()
}

#[tokio::test(start_paused = true)]
async fn s28_a_sleep_goes_on_over_restarts_and_its_end_is_fixed_once() {
    let stage = Stage::new();
    let until = stage.now() + 3_600_000;
    for life in 0..4 {
        let mut b = stage.builder();
        // Other lengths in later releases change nothing for this one.
        let saga = nap(&mut b, 3600 + 1000 * life);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        assert_eq!(due(&stage).await, [until]);
        if life == 3 {
            handle.outcome().await.unwrap();
            continue;
        }
        pass(600).await;
        match life {
            0 => stage.die(engine).await,
            _ => engine.drain().await.unwrap(),
        }
    }
    assert!((until..until + 10).contains(&stage.now()));
}

#[tokio::test(start_paused = true)]
async fn s28_one_that_came_due_while_no_process_ran_fires_at_once() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = nap(&mut b, 600);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    pass(3600).await;
    let mut b = stage.builder();
    let saga = nap(&mut b, 600);
    let engine = b.build().await.unwrap();
    let before = stage.now();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap();
    assert!(stage.now() - before < 10);
}

#[tokio::test(start_paused = true)]
async fn s28_a_clock_that_is_set_back_delays_it_and_one_set_forward_is_noticed_within_a_minute() {
    for (seconds, in_memory) in [(600, false), (4, true)] {
        let stage = Stage::new();
        let mut b = stage.builder();
        let saga = nap(&mut b, seconds);
        let engine = b.build().await.unwrap();
        let until = stage.now() + 1000 * i64::try_from(seconds).unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        assert_eq!(engine.in_memory(), usize::from(in_memory));
        stage.set_clock(-3600);
        pass(3500).await;
        assert!(stage.now() < until);
        assert_ne!(
            stage.status("nap", "k").await,
            Status::Finished,
            "never early"
        );
        // An hour and more ahead: it is past due by that clock.
        stage.set_clock(3600);
        pass(61).await;
        assert_eq!(stage.status("nap", "k").await, Status::Finished);
        assert_eq!(due(&stage).await, [until]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sleep_of_more_than_five_seconds_is_spent_out_of_memory() {
    for (over, in_memory) in [(0, 1), (1, 0)] {
        let stage = Stage::new();
        let mut b = stage.builder();
        let saga = b.saga("nap", move |saga: Flow, (): ()| async move {
            saga.sleep(ms(5_000 + over)).await;
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        assert_eq!(engine.in_memory(), in_memory);
    }
}

#[tokio::test(start_paused = true)]
async fn s28_two_that_are_due_at_once_fire_in_the_order_of_their_times() {
    let stage = Stage::new();
    let make = |b: &mut Builder<World>| {
        b.saga("nap", move |saga: Flow, (): ()| async move {
            let mut order = Vec::new();
            let cell = std::sync::Mutex::new(&mut order);
            let nap = async |name: u32, seconds| {
                saga.sleep(secs(seconds)).await;
                cell.lock().unwrap().push(name);
            };
            tokio::join!(nap(1, 300), nap(2, 100), nap(3, 200));
            Ok::<_, Abort>(order)
        })
    };
    let mut b = stage.builder();
    let saga = make(&mut b);
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    pass(3600).await;
    let mut b = stage.builder();
    let saga = make(&mut b);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), [2, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_of_no_time_and_one_for_ever_are_both_fine() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let none = nap(&mut b, 0);
    let ever = b.saga("ever", |saga: Flow, (): ()| async move {
        saga.sleep(std::time::Duration::MAX).await;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(none, "k", ()).await.unwrap();
    handle.outcome().await.unwrap();
    engine.start(ever, "k", ()).await.unwrap();
    pass(86_400).await;
    assert_eq!(stage.status("ever", "k").await, Status::Waiting);
    assert_eq!(engine.in_memory(), 0);
}
