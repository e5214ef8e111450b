//! What sagas cost while they wait, how many run at a time, and one that brings its process down.
use super::{
    stage::{Paid, Stage, every, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Engine, Failure, Flow, SagaError, SagaRef, Status, StepContext,
    journal::StuckKind, nothing_to_undo,
};
use std::{collections::BTreeMap, sync::Arc};

#[tokio::test(start_paused = true)]
async fn sagas_that_wait_long_are_out_of_memory_come_back_and_leave_nothing_when_they_end() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("s", move |saga: Flow, n: u32| async move {
        saga.call(a, ()).await?;
        let Paid(paid) = saga.wait_for().await;
        saga.sleep(secs(600)).await;
        Ok::<_, Abort>(n + paid)
    });
    let engine = b.build().await.unwrap();
    let mut handles = Vec::new();
    for n in 0..200 {
        handles.push(engine.start(saga, n.to_string(), n).await.unwrap());
    }
    pass(1).await;
    assert_eq!(engine.in_memory(), 0);
    assert_eq!(engine.counts().await.unwrap().waiting, 200);
    for n in 0..200 {
        engine
            .signal("s", &n.to_string(), "m", &Paid(1000))
            .await
            .unwrap();
    }
    pass(1).await;
    assert_eq!(engine.in_memory(), 0, "they sleep");
    for (n, handle) in (0..).zip(&mut handles) {
        assert_eq!(handle.outcome().await.unwrap(), 1000 + n);
    }
    pass(0).await;
    assert_eq!(engine.in_memory(), 0);
    assert_eq!(stage.world.log().len(), 200, "nothing was done twice");
}

/// Sagas of this name, of one slow step.
fn slow(b: &mut Builder<World>, name: &'static str, step: &'static str) -> SagaRef<u32, u32> {
    let run = move |world: Arc<World>, cx: StepContext, (): ()| async move {
        let began = format!("{name} {}", cx.saga_key());
        world.books().running.insert(began.clone());
        tokio::time::sleep(secs(1)).await;
        world.books().running.remove(&began);
        world.books().log.push(name.to_owned());
        Ok::<_, Failure>(())
    };
    let step = b.step(step, run, nothing_to_undo).register();
    b.saga(name, move |saga: Flow, n: u32| async move {
        saga.call(step, ()).await?;
        Ok::<_, Abort>(n)
    })
}

/// The most that ran at a time, by name, until all have ended.
async fn peaks(stage: &Stage, engine: &Engine<World>) -> BTreeMap<String, usize> {
    let mut peaks = BTreeMap::new();
    loop {
        let mut now = BTreeMap::new();
        for running in &stage.world.books().running {
            let name = running.split(' ').next().unwrap();
            *now.entry(name.to_owned()).or_insert(0) += 1;
            *now.entry("all".to_owned()).or_insert(0) += 1;
        }
        for (name, n) in now {
            let peak = peaks.entry(name).or_insert(0);
            *peak = n.max(*peak);
        }
        let counts = engine.counts().await.unwrap();
        if counts.running + counts.waiting == 0 {
            return peaks;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_a_time_than_the_engine_and_their_name_allow() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.max_running(6).max_running_of("few", 2);
    let few = slow(&mut b, "few", "a");
    let many = slow(&mut b, "many", "b");
    let engine = b.build().await.unwrap();
    for n in 0..20 {
        engine.start(few, n.to_string(), n).await.unwrap();
        engine.start(many, n.to_string(), n).await.unwrap();
        assert!(engine.in_memory() <= 6);
    }
    let peaks = peaks(&stage, &engine).await;
    assert_eq!((peaks["all"], peaks["few"]), (6, 2));
    assert!(peaks["many"] >= 4);
    assert_eq!(stage.world.log().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn one_name_with_many_sagas_does_not_keep_the_others_waiting() {
    let stage = Stage::new();
    let mut b = stage.builder();
    b.max_running(4);
    let few = slow(&mut b, "few", "a");
    let many = slow(&mut b, "many", "b");
    let engine = b.build().await.unwrap();
    for n in 0..100 {
        engine.start(many, n.to_string(), n).await.unwrap();
    }
    for n in 0..4 {
        engine.start(few, n.to_string(), n).await.unwrap();
    }
    peaks(&stage, &engine).await;
    let log = stage.world.log();
    let last = log.iter().rposition(|name| name == "few").unwrap();
    assert!(
        last < 40,
        "the last of the few came as number {last} of 104"
    );
}

/// A step in which the process dies, and one that is under way then and harms nobody.
fn bomb(b: &mut Builder<World>) -> (SagaRef<(), String>, SagaRef<(), String>) {
    let bad = step!(b, "a")
        .retry(every(1, 99).timeout(secs(3600)))
        .register();
    let good = step!(b, "b")
        .retry(every(1, 99).timeout(secs(3600)))
        .register();
    let bad = b.saga("bad", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(bad, ()).await?)
    });
    let good = b.saga("good", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(good, ()).await?)
    });
    (bad, good)
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_brings_its_process_down_again_and_again_is_parked_and_no_other_is() {
    let stage = Stage::with(World::with([
        ("a", vec![Way::Never; 99]),
        ("b", vec![Way::Slow; 9]),
    ]));
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 10, "it is not found out");
        let before = stage.attempts("a").len();
        let mut b = stage.builder();
        let (bad, good) = bomb(&mut b);
        let wait = b.saga("waits", |saga: Flow, (): ()| async move {
            saga.wait_for::<Paid>().await;
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(bad, "k", ()).await.unwrap();
        for n in 0..3 {
            engine.start(good, n.to_string(), ()).await.unwrap();
        }
        engine.start(wait, "k", ()).await.unwrap();
        let mut quiet = 0;
        // Its step brings the process down as soon as it is called.
        while stage.attempts("a").len() == before && quiet < 9000 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            quiet += 1;
        }
        if quiet < 9000 {
            stage.die(engine).await;
            continue;
        }
        let SagaError::Stuck { kind, why, .. } = handle.outcome().await.unwrap_err() else {
            panic!(
                "life {lives}: it is not parked: {:?}",
                stage.jot("bad", "k").await
            );
        };
        assert_eq!(kind, StuckKind::Crashes);
        assert!(
            why.contains("while it was running, the last time with no other suspect"),
            "{why}"
        );
        pass(60).await;
        break;
    }
    assert!((3..=5).contains(&stage.attempts("a").len()), "{lives}");
    for n in 0..3 {
        assert_eq!(stage.status("good", &n.to_string()).await, Status::Finished);
    }
    assert_eq!(
        stage.status("waits", "k").await,
        Status::Waiting,
        "never a suspect"
    );
}

#[tokio::test(start_paused = true)]
async fn deaths_that_a_saga_makes_progress_between_are_not_held_against_it() {
    let stage = Stage::new();
    let mut done = false;
    for _ in 0..40 {
        let mut b = stage.builder();
        let a = step!(b, "a").register();
        let saga = b.saga("s", move |saga: Flow, (): ()| async move {
            for _ in 0..12 {
                saga.call(a, ()).await?;
            }
            Ok::<_, Abort>(())
        });
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        // Long enough for a step and the wait that a doubt costs.
        let life = std::time::Duration::from_millis(250);
        if let Ok(end) = tokio::time::timeout(life, handle.outcome()).await {
            end.unwrap();
            done = true;
            break;
        }
        stage.die(engine).await;
    }
    assert!(done || stage.status("s", "k").await != Status::Stuck);
}
