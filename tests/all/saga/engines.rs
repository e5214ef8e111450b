//! More than one engine on one store, as it is with many workers: each saga has one owner.
use super::{
    stage::{Paid, Stage, every, pass},
    world::{Way, World, step},
};
use seawall::saga::{Abort, Builder, Flow, SagaRef, Status};

fn two(b: &mut Builder<World>) -> SagaRef<u32, u32> {
    let x = step!(b, "a").register();
    let y = step!(b, "b").retry(every(1, 3)).register();
    b.saga("two", move |saga: Flow, n: u32| async move {
        saga.call(x, ()).await?;
        saga.wait_for::<Paid>().await;
        saga.call(y, ()).await?;
        Ok::<_, Abort>(n)
    })
}

#[tokio::test(start_paused = true)]
async fn s18_of_many_engines_one_takes_a_saga_up_and_nothing_is_done_twice() {
    let stage = Stage::new();
    let mut engines = Vec::new();
    for _ in 0..4 {
        let mut b = stage.builder();
        b.max_running(5);
        let saga = two(&mut b);
        engines.push((b.build().await.unwrap(), saga));
    }
    // Far more than there is room for, through one of them.
    for n in 0..60 {
        let (engine, saga) = &engines[0];
        engine.start(*saga, n.to_string(), n).await.unwrap();
    }
    // Signals through others; the same start through all.
    for n in 0..60 {
        let (engine, _) = &engines[usize::try_from(n).unwrap() % 4];
        engine
            .signal("two", &n.to_string(), "m", &Paid(1))
            .await
            .unwrap();
        for (engine, saga) in &engines {
            engine.start(*saga, n.to_string(), n).await.unwrap();
        }
    }
    pass(120).await;
    for n in 0..60 {
        let status = stage.status("two", &n.to_string()).await;
        assert_eq!(status, Status::Finished, "{n}");
    }
    assert_eq!(stage.attempts("a"), [1; 60]);
    assert_eq!(stage.attempts("b"), [1; 60]);
    assert!(stage.world.books().overlaps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn s17_an_engine_whose_sagas_were_taken_over_writes_nothing_more_of_them() {
    let stage = Stage::with(World::with([("b", vec![Way::Slow])]));
    let mut b = stage.builder();
    let saga = two(&mut b);
    let first = b.build().await.unwrap();
    first.signal("two", "k", "m", &Paid(1)).await.unwrap();
    first.start(saga, "k", 7).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(stage.world.log(), ["run a", "run b"]);
    // Thought dead, while it waits for an answer.
    stage.store.owners_died();
    let mut b = stage.builder();
    let saga = two(&mut b);
    let second = b.build().await.unwrap();
    let mut handle = second.start(saga, "k", 7).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 7);
    pass(60).await;
    assert_eq!(stage.jot("two", "k").await.last().unwrap(), "finished");
    let done = stage.jot("two", "k").await;
    assert_eq!(done.iter().filter(|event| *event == "done 2").count(), 1);
    let rows = stage.rows("two", "k").await;
    let epochs: Vec<_> = rows.iter().map(|row| row.epoch).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    assert_eq!(first.in_memory(), 0, "it has let go");
    assert_eq!(stage.world.net(), 2, "the same key: the same call");
}
