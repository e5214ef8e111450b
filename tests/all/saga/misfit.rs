//! Code that no longer fits the journals of sagas under way: what it may not do, and who helps.
use super::{
    stage::{Paid, Shipped, Stage, every, pass, secs},
    stories::step,
    world::{Way, World},
};
use seawall::saga::{
    Abort, Builder, Flow, Outcome, SagaRef, Status, StepContext, Store,
    journal::{Event, Row, StuckKind},
    store::Owner,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type Ref = SagaRef<u32, String>;

/// How the code of a release differs from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Fits,
    Renamed,
    OtherArguments,
    CallRemoved,
    CallAdded,
    Pivot,
    OtherSignal,
    SleepsInstead,
    EndsEarly,
    Child,
    UndoesInstead,
    Panics,
    NotRegistered,
}

const MISFITS: [(Code, &str); 11] = [
    (Code::Renamed, "it runs step `a2` here now"),
    (
        Code::OtherArguments,
        "it runs step `a` with another command here now",
    ),
    (Code::CallRemoved, "it waits for signal `paid` here now"),
    (Code::CallAdded, "it runs step `a2` here now"),
    (Code::Pivot, "it runs pivot `a` here now"),
    (Code::OtherSignal, "it waits for signal `shipped` here now"),
    (Code::SleepsInstead, "it sleeps here now"),
    (Code::EndsEarly, "it does not ask for this any more"),
    (Code::Child, "it runs child `pair` here now"),
    (Code::UndoesInstead, "it undoes a step here now"),
    (
        Code::NotRegistered,
        "saga `s` version 1 is not registered with this engine",
    ),
];

fn release(b: &mut Builder<World>, code: Code) -> Option<Ref> {
    let retry = every(1, 3);
    let [x, y, other] = ["a", "b", "a2"].map(|name| step(b, name, retry.clone()));
    let kid = b.saga("kid", |_: Flow, n: u32| async move {
        Ok::<_, Abort>(n.to_string())
    });
    let undo = |_: Arc<World>, _: StepContext, _: u32, _: Outcome<String>| async { Ok(()) };
    let pair = b.child("pair", kid, undo);
    if code == Code::NotRegistered {
        return None;
    }
    Some(b.saga("s", move |saga: Flow, n: u32| async move {
        match code {
            Code::Panics => panic!("a new bug"),
            Code::Renamed => drop(saga.call(other, 1).await?),
            Code::OtherArguments => drop(saga.call(x, 9).await?),
            Code::CallRemoved => {}
            Code::CallAdded => {
                saga.call(other, 5).await?;
                saga.call(x, 1).await?;
            }
            Code::Pivot => drop(saga.pivot(x, 1).await?),
            Code::Child => drop(saga.child(pair, 1).await?),
            _ => {
                let (id, done) = saga.call(x, 1).numbered().await;
                done?;
                if code == Code::UndoesInstead {
                    saga.undo(id).await;
                }
            }
        }
        match code {
            Code::EndsEarly => return Ok("early".to_owned()),
            Code::OtherSignal => _ = saga.wait_for::<Shipped>().await,
            Code::SleepsInstead => saga.sleep(secs(1)).await,
            _ => _ = saga.wait_for::<Paid>().await,
        }
        Ok::<_, Abort>(format!("{} {n}", saga.call(y, 2).await?))
    }))
}

#[tokio::test(start_paused = true)]
async fn s21_code_that_asks_for_anything_else_parks_the_saga_and_the_right_code_resumes_it() {
    for (code, says) in MISFITS {
        let stage = Stage::new();
        let mut b = stage.builder();
        let saga = release(&mut b, Code::Fits).unwrap();
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", 7).await.unwrap();
        pass(1).await;
        stage.die(engine).await;
        let (events, log) = (stage.events("s", "k").await.len(), stage.world.log());

        let mut b = stage.builder();
        release(&mut b, code);
        let engine = b.build().await.unwrap();
        engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
        pass(60).await;
        assert_eq!(stage.status("s", "k").await, Status::Stuck, "{code:?}");
        let reason = stage.reason("s", "k").await;
        assert!(reason.starts_with("code: "), "{reason}");
        assert!(reason.contains(says), "{reason}");
        assert_eq!(stage.world.log(), log, "{code:?}: no action");
        let new = stage.events("s", "k").await.split_off(events);
        let stuck = |event: &Event| {
            matches!(
                event,
                Event::Stuck {
                    kind: StuckKind::Code,
                    ..
                }
            )
        };
        assert!(new.len() == 1 && stuck(&new[0]), "{code:?}: {new:?}");
        stage.die(engine).await;

        let mut b = stage.builder();
        let saga = release(&mut b, Code::Fits).unwrap();
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", 7).await.unwrap();
        pass(1).await;
        let handle = handle.outcome().await;
        assert_eq!(handle.unwrap(), "b done 7", "{code:?}");
        assert_eq!(stage.world.log(), ["run a", "run b"], "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_misfit_stays_parked_under_every_engine_whose_code_does_not_fit_either() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = release(&mut b, Code::Fits).unwrap();
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", 7).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    for code in [
        Code::Renamed,
        Code::Pivot,
        Code::NotRegistered,
        Code::Renamed,
    ] {
        let mut b = stage.builder();
        release(&mut b, code);
        let engine = b.build().await.unwrap();
        engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
        pass(60).await;
        assert_eq!(stage.status("s", "k").await, Status::Stuck, "{code:?}");
        stage.die(engine).await;
    }
    assert_eq!(stage.world.log(), ["run a"]);
}

#[tokio::test(start_paused = true)]
async fn s22_an_operator_can_have_it_undone_whatever_the_code_is() {
    for (code, _) in MISFITS {
        let stage = Stage::new();
        let mut b = stage.builder();
        let saga = release(&mut b, Code::Fits).unwrap();
        let engine = b.build().await.unwrap();
        let id = engine.start(saga, "k", 7).await.unwrap().id();
        pass(1).await;
        stage.die(engine).await;
        let mut b = stage.builder();
        release(&mut b, code);
        let engine = b.build().await.unwrap();
        engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
        pass(1).await;
        let ann = engine.operator("ann");
        ann.abort(id, "the old code is lost").await.unwrap();
        pass(1).await;
        assert_eq!(
            stage.status("s", "k").await,
            Status::Compensated,
            "{code:?}"
        );
        assert_eq!(stage.world.net(), 0, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s22_undo_goes_on_with_saga_code_that_misfits_panics_or_is_gone() {
    let others = [
        Code::Panics,
        Code::Renamed,
        Code::EndsEarly,
        Code::NotRegistered,
    ];
    for code in others {
        let script = [("b", vec![Way::Refuse]), ("undo a", vec![Way::Never])];
        let stage = Stage::with(World::with(script));
        let mut b = stage.builder();
        let saga = release(&mut b, Code::Fits).unwrap();
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", 7).await.unwrap();
        engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
        pass(1).await;
        assert_eq!(stage.world.log().last().unwrap(), "undo a");
        stage.die(engine).await;

        let mut b = stage.builder();
        release(&mut b, code);
        let _engine = b.build().await.unwrap();
        pass(60).await;
        assert_eq!(
            stage.status("s", "k").await,
            Status::Compensated,
            "{code:?}"
        );
        assert_eq!(stage.world.net(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_compensation_that_is_not_registered_parks_the_saga_until_it_is() {
    let script = [("b", vec![Way::Refuse]), ("undo a", vec![Way::Never])];
    let stage = Stage::with(World::with(script));
    let mut b = stage.builder();
    let saga = release(&mut b, Code::Fits).unwrap();
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", 7).await.unwrap();
    engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
    pass(1).await;
    stage.die(engine).await;

    let engine = stage.builder().build().await.unwrap();
    pass(60).await;
    let reason = stage.reason("s", "k").await;
    assert_eq!(reason, "code: step `a` is not registered with saga `s`");
    stage.die(engine).await;

    let mut b = stage.builder();
    release(&mut b, Code::NotRegistered);
    let _engine = b.build().await.unwrap();
    pass(60).await;
    // The steps are there, and the saga's own code is not needed on the way back.
    assert_eq!(stage.status("s", "k").await, Status::Compensated);
    assert_eq!(stage.world.net(), 0);
}

#[derive(Serialize, Deserialize)]
struct Old {
    sku: String,
}

#[derive(Serialize, Deserialize)]
struct New {
    sku: String,
    #[serde(default)]
    gift: bool,
}

/// A saga of one step that takes a `T`, after which it waits.
fn taking<T>(
    b: &mut Builder<World>,
    with: impl Fn() -> T + Copy + Send + Sync + 'static,
) -> SagaRef<(), String>
where
    T: Serialize + for<'de> Deserialize<'de> + Send + 'static,
{
    let run = |world: Arc<World>, cx: StepContext, _: T| async move { world.run("a", cx).await };
    let undo = |world: Arc<World>, cx: StepContext, _: T, _: Outcome<String>| async move {
        world.undo("a", cx).await
    };
    let take = b.step("a", run, undo).register();
    b.saga("s", move |saga: Flow, (): ()| async move {
        let done = saga.call(take, with()).await?;
        saga.wait_for::<Paid>().await;
        Ok::<_, Abort>(done)
    })
}

#[tokio::test(start_paused = true)]
async fn a_field_that_a_command_has_gained_with_a_default_is_no_misfit() {
    for gift in [false, true] {
        let stage = Stage::new();
        let mut b = stage.builder();
        let saga = taking(&mut b, || Old {
            sku: "x".to_owned(),
        });
        let engine = b.build().await.unwrap();
        engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        stage.die(engine).await;
        let mut b = stage.builder();
        match gift {
            true => taking(&mut b, || New {
                sku: "x".to_owned(),
                gift: true,
            }),
            false => taking(&mut b, || New {
                sku: "x".to_owned(),
                gift: false,
            }),
        };
        let engine = b.build().await.unwrap();
        engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
        pass(1).await;
        let expected = if gift {
            Status::Stuck
        } else {
            Status::Finished
        };
        assert_eq!(stage.status("s", "k").await, expected);
        assert_eq!(stage.world.log(), ["run a"]);
    }
}

/// Of a later version of the crate, say, whose processes share the store.
#[tokio::test(start_paused = true)]
async fn a_journal_of_another_format_is_parked_and_not_run() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = release(&mut b, Code::Fits).unwrap();
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", 1).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    let id = stage.id("s", "k").await;
    let uid = stage.store.load(id, true).await.unwrap().uid;
    stage.store.with_rows(id, |rows| {
        let first = &mut rows[0];
        let text = String::from_utf8(first.body.clone()).unwrap();
        let later = text.replacen(r#""v":1"#, r#""v":2"#, 1);
        assert_ne!(later, text);
        let events: Vec<Event> = serde_json::from_str(&later).unwrap();
        *first = Row::encode(&uid, first.seq, first.epoch, first.at, &events).unwrap();
    });
    let mut b = stage.builder();
    release(&mut b, Code::Fits);
    let engine = b.build().await.unwrap();
    engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
    pass(1).await;
    assert_eq!(
        stage.reason("s", "k").await,
        "damage: the journal is not of format 1"
    );
    assert_eq!(stage.world.log(), ["run a"]);
    drop(engine);
}

/// Taken up for the code that fits, and not a row written: it was no longer known as parked, so nobody
/// took it up again, and then it was parked anew.
#[tokio::test(start_paused = true)]
async fn a_saga_whose_engine_dies_while_it_takes_it_up_for_fitting_code_is_taken_up_by_the_next() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = release(&mut b, Code::Fits).unwrap();
    let engine = b.build().await.unwrap();
    engine.start(saga, "k", 7).await.unwrap();
    pass(1).await;
    stage.die(engine).await;
    let mut b = stage.builder();
    release(&mut b, Code::Renamed);
    let engine = b.build().await.unwrap();
    engine.signal("s", "k", "m1", &Paid(1)).await.unwrap();
    pass(1).await;
    assert_eq!(stage.status("s", "k").await, Status::Stuck);
    stage.die(engine).await;

    let id = stage.id("s", "k").await;
    stage.store.seize(Owner(7), id).await.unwrap();
    stage.store.owners_died();
    let mut b = stage.builder();
    let saga = release(&mut b, Code::Fits).unwrap();
    let engine = b.build().await.unwrap();
    pass(1).await;
    let mut handle = engine.start(saga, "k", 7).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), "b done 7");
}
