//! Sagas that are steps of other sagas.
use super::{
    stage::{Paid, Shipped, Stage, pass, secs},
    world::{Way, World, step},
};
use seawall::saga::{
    Abort, Builder, Flow, Outcome, SagaRef, Settlement, Status, StepContext, Store as _,
    nothing_to_undo, store::Query,
};
use std::sync::Arc;

/// What the compensation of the child was told.
type Told = Arc<std::sync::Mutex<Vec<Outcome<String>>>>;

/// A parent whose child does `a`, waits for a signal where `waits`, and does `c`; then `b`.
fn family(b: &mut Builder<World>, waits: bool, told: &Told) -> SagaRef<(), String> {
    let x = step!(b, "a").register();
    let y = step!(b, "b").register();
    let z = step!(b, "c").register();
    let kid = b.saga("kid", move |saga: Flow, _: u32| async move {
        saga.call(x, ()).await?;
        if waits {
            saga.wait_for::<Paid>().await;
        }
        Ok::<_, Abort>(saga.call(z, ()).await?)
    });
    let told = told.clone();
    let pair = b.child(
        "pair",
        kid,
        move |world: Arc<World>, cx: StepContext, _: u32, was: Outcome<String>| {
            told.lock().unwrap().push(was);
            async move { world.undo("kid", cx).await }
        },
    );
    b.saga("parent", move |saga: Flow, (): ()| async move {
        let done = saga.child(pair, 5).await?;
        saga.call(y, ()).await?;
        Ok::<_, Abort>(done)
    })
}

async fn kid(stage: &Stage) -> (seawall::saga::SagaId, Status) {
    let mut query = Query::new(9);
    query.name = Some("kid".to_owned());
    let kids = stage.store.list(query).await.unwrap();
    assert_eq!(kids.len(), 1);
    (kids[0].id, kids[0].status)
}

#[tokio::test(start_paused = true)]
async fn a_child_that_completes_gives_its_parent_its_output() {
    let (stage, told) = (Stage::new(), Told::default());
    let mut b = stage.builder();
    let saga = family(&mut b, false, &told);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), "c done");
    assert_eq!(stage.world.log(), ["run a", "run c", "run b"]);
    assert_eq!(kid(&stage).await.1, Status::Finished);
    let timeline = engine
        .operator("ann")
        .show(kid(&stage).await.0)
        .await
        .unwrap();
    assert_eq!(timeline.parent.unwrap().saga, "parent");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_undone_is_a_clean_refusal() {
    let (stage, told) = (
        Stage::with(World::with([("c", vec![Way::Refuse])])),
        Told::default(),
    );
    let mut b = stage.builder();
    let saga = family(&mut b, false, &told);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(
        end.contains("step `pair` was refused: step `c` was refused: no"),
        "{end}"
    );
    assert_eq!(stage.world.net(), 0);
    assert!(told.lock().unwrap().is_empty(), "its own undo was enough");
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_given_up_later_takes_a_completed_child_back_with_its_output() {
    let (stage, told) = (
        Stage::with(World::with([("b", vec![Way::Refuse])])),
        Told::default(),
    );
    let mut b = stage.builder();
    let saga = family(&mut b, false, &told);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(*told.lock().unwrap(), [Outcome::Done("c done".to_owned())]);
    assert_eq!(stage.world.log().last().unwrap(), "undo kid");
    assert_eq!(
        kid(&stage).await.1,
        Status::Finished,
        "an ended saga stays as it ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_running_child_is_cancelled_with_its_parent_and_undone_before_the_parent_ends() {
    for restart in [false, true] {
        let (stage, told) = (Stage::new(), Told::default());
        let mut b = stage.builder();
        let saga = family(&mut b, true, &told);
        let engine = b.build().await.unwrap();
        let handle = engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        assert_eq!(engine.in_memory(), 0);
        handle.cancel("enough").await.unwrap();
        let engine = match restart {
            false => engine,
            true => {
                drop(handle);
                stage.die(engine).await;
                let mut b = stage.builder();
                family(&mut b, true, &told);
                b.build().await.unwrap()
            }
        };
        pass(60).await;
        assert_eq!(stage.status("parent", "k").await, Status::Compensated);
        assert_eq!(kid(&stage).await.1, Status::Compensated);
        assert_eq!(stage.world.net(), 0);
        assert!(told.lock().unwrap().is_empty(), "restart: {restart}");
        drop(engine);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_child_is_waited_for_and_its_parent_hears_when_it_is_settled() {
    let script = [("c", vec![Way::Refuse]), ("undo a", vec![Way::Refuse; 99])];
    let (stage, told) = (Stage::with(World::with(script)), Told::default());
    let mut b = stage.builder();
    let saga = family(&mut b, false, &told);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(3600).await;
    let (id, status) = kid(&stage).await;
    assert_eq!(status, Status::Stuck);
    assert_eq!(stage.status("parent", "k").await, Status::Waiting);
    let ann = engine.operator("ann");
    ann.settle(id, 0, Settlement::Undone, "by hand")
        .await
        .unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("step `pair` was refused"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ended_with_an_exception_is_of_unknown_outcome_and_taken_back() {
    let script = [("c", vec![Way::Refuse]), ("undo a", vec![Way::Refuse; 99])];
    let (stage, told) = (Stage::with(World::with(script)), Told::default());
    let mut b = stage.builder();
    let saga = family(&mut b, false, &told);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(3600).await;
    let ann = engine.operator("ann");
    ann.skip(kid(&stage).await.0, 0, "left as it is")
        .await
        .unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(
        end.contains("step `pair` failed and may have been applied"),
        "{end}"
    );
    assert_eq!(*told.lock().unwrap(), [Outcome::Unknown]);
}

#[tokio::test(start_paused = true)]
async fn deaths_between_the_childs_end_and_the_parents_hearing_lose_and_repeat_nothing() {
    // One after each so many microseconds of the life before.
    for at in (0..90).map(|n| n * 100) {
        let (stage, told) = (Stage::new(), Told::default());
        let mut b = stage.builder();
        let saga = family(&mut b, false, &told);
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_micros(at)).await;
        stage.die(engine).await;
        let mut b = stage.builder();
        let saga = family(&mut b, false, &told);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        assert_eq!(handle.outcome().await.unwrap(), "c done", "{at}");
        assert_eq!(kid(&stage).await.1, Status::Finished);
        assert_eq!(stage.world.net(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn children_of_children_are_taken_back_from_the_top() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let x = step!(b, "a").register();
    let undo = |world: Arc<World>, cx: StepContext, _: u32, _: Outcome<u32>| async move {
        world.undo("kid", cx).await
    };
    let low = b.saga("low", move |saga: Flow, n: u32| async move {
        saga.call(x, ()).await?;
        saga.wait_for::<Paid>().await;
        Ok::<_, Abort>(n)
    });
    let low = b.child("low_of", low, undo);
    let mid = b.saga("mid", move |saga: Flow, n: u32| async move {
        saga.call(x, ()).await?;
        Ok::<_, Abort>(saga.child(low, n).await?)
    });
    let mid = b.child("mid_of", mid, undo);
    let top = b.saga("top", move |saga: Flow, n: u32| async move {
        saga.call(x, ()).await?;
        let (one, two) = tokio::try_join!(saga.child(mid, n), saga.child(mid, n + 1))?;
        Ok::<_, Abort>(one + two)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(top, "k", 1).await.unwrap();
    pass(1).await;
    assert_eq!((stage.world.net(), engine.in_memory()), (5, 0));
    handle.cancel("all of it").await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(stage.world.net(), 0);
    let counts = engine.counts().await.unwrap();
    assert_eq!((counts.compensated, counts.stuck), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_version_is_gone_is_waited_for_by_the_parent_that_has_begun_it() {
    let stage = Stage::new();
    let versions = |b: &mut Builder<World>, versions: &[u32]| {
        let mut newest = None;
        for version in versions {
            newest = Some(
                b.saga_version("kid", *version, |saga: Flow, (): ()| async move {
                    Ok::<_, Abort>(saga.wait_for::<Paid>().await.0)
                }),
            );
        }
        let kid = b.child("kid", newest.unwrap(), nothing_to_undo);
        b.saga("parent", move |saga: Flow, (): ()| async move {
            let paid = tokio::try_join!(saga.child(kid, ()), async {
                saga.wait_for::<Shipped>().await;
                saga.sleep(secs(20)).await;
                Ok(())
            })?;
            Ok::<_, Abort>(paid.0)
        })
    };
    let mut b = stage.builder();
    let parent = versions(&mut b, &[1]);
    let engine = b.build().await.unwrap();
    engine.start(parent, "k", ()).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    let mut b = stage.builder();
    versions(&mut b, &[2]);
    let engine = b.build().await.unwrap();
    let shipped = engine.signal("parent", "k", "m", &Shipped(1));
    shipped.await.unwrap();
    pass(1).await;
    let reason = stage.reason("parent", "k").await;
    assert_eq!(
        stage.status("parent", "k").await,
        Status::Waiting,
        "{reason}"
    );
    // One that has ended meanwhile is heard of as well.
    let kid = stage.key_of("kid").await;
    stage.die(engine).await;
    let mut b = stage.builder();
    versions(&mut b, &[1, 2]);
    let engine = b.build().await.unwrap();
    engine.signal("kid", &kid, "m", &Paid(7)).await.unwrap();
    pass(30).await;
    let id = stage.id("parent", "k").await;
    assert_eq!(engine.handle::<u32>(id).outcome().await.unwrap(), 7);
}
