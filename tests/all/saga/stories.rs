//! Sagas that between them meet everything an engine can be killed in.
use super::{
    life::{End, In, Paid, Shipped, Story},
    world::{Habit, Way, World},
};
use seawall::{
    retry::Backoff,
    saga::{
        Abort, Builder, Flow, Outcome, Raced, SagaRef, StepContext, StepRef, StepRetry,
        journal::StuckKind,
    },
};
use std::{sync::Arc, time::Duration};

pub type S = StepRef<u32, String>;

/// Tried again soon enough to stay in memory.
pub fn soon() -> StepRetry {
    StepRetry::attempts(6)
        .backoff(Backoff::constant(Duration::from_millis(10)))
        .timeout(Duration::from_secs(2))
}

/// A step of the world, without `verify`.
pub fn step(b: &mut Builder<World>, name: &'static str, retry: StepRetry) -> S {
    let run =
        move |world: Arc<World>, cx: StepContext, _: u32| async move { world.run(name, cx).await };
    let undo = move |world: Arc<World>, cx: StepContext, _: u32, _: Outcome<String>| async move {
        world.undo(name, cx).await
    };
    b.step(name, run, undo).retry(retry).register()
}

/// One that can be asked.
pub fn verified(b: &mut Builder<World>, name: &'static str, retry: StepRetry) -> S {
    let run =
        move |world: Arc<World>, cx: StepContext, _: u32| async move { world.run(name, cx).await };
    let undo = move |world: Arc<World>, cx: StepContext, _: u32, _: Outcome<String>| async move {
        world.undo(name, cx).await
    };
    b.step(name, run, undo)
        .verify(move |world: Arc<World>, cx, _| async move { world.verify(name, &cx) })
        .retry(retry)
        .register()
}

pub fn abc(b: &mut Builder<World>) -> [S; 3] {
    ["a", "b", "c"].map(|name| step(b, name, soon()))
}

fn three(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    b.saga("three", move |saga: Flow, _: In| async move {
        saga.call(x, 1).await?;
        saga.call(y, 2).await?;
        Ok::<_, Abort>(saga.call(z, 3).await?)
    })
}

fn pivoted(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    b.saga("pivoted", move |saga: Flow, _: In| async move {
        saga.call(x, 1).await?;
        saga.pivot(y, 2).await?;
        Ok::<_, Abort>(saga.call(z, 3).await?)
    })
}

/// Two branches of two steps each, then one.
fn fan(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    b.saga("fan", move |saga: Flow, _: In| async move {
        let left = async {
            saga.call(x, 1).await?;
            saga.call(y, 2).await
        };
        let right = async {
            saga.call(y, 3).await?;
            saga.call(x, 4).await
        };
        tokio::try_join!(left, right)?;
        Ok::<_, Abort>(saga.call(z, 5).await?)
    })
}

fn verifying(b: &mut Builder<World>) -> SagaRef<In, String> {
    let x = step(b, "a", soon());
    let y = verified(b, "b", soon());
    let z = step(b, "c", soon());
    b.saga("verifying", move |saga: Flow, _: In| async move {
        saga.call(x, 1).await?;
        saga.call(y, 2).await?;
        Ok::<_, Abort>(saga.call(z, 3).await?)
    })
}

/// Waits that are written down, and out of memory.
fn patient(b: &mut Builder<World>) -> SagaRef<In, String> {
    let retry = StepRetry::attempts(6)
        .backoff(Backoff::constant(Duration::from_secs(20)))
        .timeout(Duration::from_secs(2));
    let x = step(b, "a", retry.clone());
    let y = step(b, "b", retry);
    b.saga("patient", move |saga: Flow, _: In| async move {
        saga.call(x, 1).await?;
        Ok::<_, Abort>(saga.call(y, 2).await?)
    })
}

fn taken_back(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    b.saga("taken_back", move |saga: Flow, _: In| async move {
        saga.call(x, 1).await?;
        let (id, done) = saga.call(y, 2).numbered().await;
        done?;
        saga.undo(id).await;
        Ok::<_, Abort>(saga.call(z, 3).await?)
    })
}

fn messages(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, _] = abc(b);
    b.saga("messages", move |saga: Flow, _: In| async move {
        let first = saga
            .ask::<Paid, _, _>(x, 1, Duration::from_secs(60))
            .await?;
        saga.sleep(Duration::from_secs(20)).await;
        let timed = saga.wait_within::<Shipped>(Duration::from_secs(1)).await;
        let second = saga.wait_for::<Paid>().await;
        saga.call(y, 2).await?;
        let text = format!(
            "{:?} {:?} {}",
            first.map(|p| p.0),
            timed.map(|s| s.0),
            second.0
        );
        Ok::<_, Abort>(text)
    })
}

/// A wait that loses its race leaves the signal to the next one.
fn race(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    b.saga("race", move |saga: Flow, _: In| async move {
        let raced = saga.race(saga.call(x, 1), saga.wait_for::<Paid>()).await;
        let first = matches!(raced, Raced::First(_));
        let raced = saga
            .race(saga.call(y, 2), saga.sleep(Duration::from_millis(15)))
            .await;
        let second = matches!(raced, Raced::First(_));
        let paid = saga.wait_for::<Paid>().await;
        saga.call(z, 3).await?;
        Ok::<_, Abort>(format!("{first} {second} {}", paid.0))
    })
}

fn parent(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, z] = abc(b);
    let inner = b.saga("inner", move |saga: Flow, (): ()| async move {
        saga.call(x, 1).await?;
        Ok::<_, Abort>(saga.call(y, 2).await?)
    });
    let undo = |world: Arc<World>, cx: StepContext, (): (), _: Outcome<String>| async move {
        world.undo("child", cx).await
    };
    let child = b.child("child", inner, undo);
    b.saga("parent", move |saga: Flow, _: In| async move {
        saga.call(z, 3).await?;
        saga.child(child, ()).await?;
        Ok::<_, Abort>(saga.call(z, 4).await?)
    })
}

/// Two runs; the second has a signal that came in the first.
fn again(b: &mut Builder<World>) -> SagaRef<In, String> {
    let [x, y, _] = abc(b);
    b.saga("again", move |saga: Flow, round: In| async move {
        match round {
            None => {
                saga.call(x, 1).await?;
                saga.sleep(Duration::from_secs(1)).await;
                saga.continue_as(Some(7))
            }
            Some(round) => {
                saga.call(y, round).await?;
                let paid = saga.wait_for::<Paid>().await;
                Ok::<_, Abort>(format!("{round} {}", paid.0))
            }
        }
    })
}

/// Every one, with every trouble that it can meet.
pub fn all() -> Vec<Story> {
    let mut all = small();
    for way in [
        Way::Transient,
        Way::Dropped,
        Way::Panic,
        Way::Late,
        Way::Slow,
    ] {
        all.push(Story::new("three", three).script("b", &[way]));
        all.push(Story::new("verifying", verifying).script("b", &[way]));
        all.push(Story::new("fan", fan).script("b", &[way]));
    }
    let stuck = End::Stuck(StuckKind::Forward);
    all.extend([
        Story::new("three", three).deadline(5).ends(End::Undone),
        Story::new("three", three)
            .habit("c", Habit::Refuses)
            .script("undo b", &[Way::Transient, Way::Lost, Way::Never])
            .ends(End::Undone),
        Story::new("fan", fan)
            .habit("c", Habit::Refuses)
            .ends(End::Undone),
        Story::new("fan", fan)
            .habit("b", Habit::Refuses)
            .script("a", &[Way::Slow])
            .ends(End::Undone),
        Story::new("pivoted", pivoted).script("b", &[Way::Lost]),
        Story::new("pivoted", pivoted).deadline(3).or(End::Undone),
        Story::new("pivoted", pivoted)
            .habit("b", Habit::RefusesRepeats)
            .or(stuck),
        Story::new("pivoted", pivoted)
            .habit("c", Habit::Refuses)
            .ends(stuck),
        Story::new("verifying", verifying)
            .habit("b", Habit::RefusesRepeats)
            .script("b", &[Way::Lost]),
        Story::new("verifying", verifying)
            .habit("b", Habit::Refuses)
            .script("b", &[Way::Late])
            .or(End::Undone),
        Story::new("patient", patient)
            .script("b", &[Way::Transient, Way::Lost])
            .habit("b", Habit::RefusesRepeats)
            .script("undo b", &[Way::Transient])
            .ends(End::Undone)
            .or(End::Finished),
        Story::new("patient", patient)
            .habit("b", Habit::Refuses)
            .script("undo a", &[Way::Transient, Way::Refuse])
            .ends(End::Undone),
        Story::new("taken_back", taken_back)
            .habit("c", Habit::Refuses)
            .script("undo b", &[Way::Transient, Way::Lost])
            .ends(End::Undone),
        Story::new("messages", messages)
            .habit("b", Habit::Refuses)
            .signal(5, true)
            .signal(40_000, true)
            .ends(End::Undone),
        Story::new("parent", parent)
            .habit("a", Habit::Refuses)
            .ends(End::Undone),
        Story::new("parent", parent)
            .script("c", &[Way::Lost])
            .habit("b", Habit::Refuses)
            .ends(End::Undone),
    ]);
    all
}

/// Those that are killed twice.
pub fn small() -> Vec<Story> {
    let stuck = End::Stuck(StuckKind::Forward);
    vec![
        Story::new("three", three).out("c done"),
        Story::new("three", three)
            .habit("c", Habit::Refuses)
            .ends(End::Undone),
        Story::new("three", three).script("b", &[Way::Lost]),
        Story::new("three", three)
            .habit("b", Habit::RefusesRepeats)
            .script("b", &[Way::Lost])
            .ends(End::Undone)
            .or(End::Finished),
        Story::new("three", three)
            .habit("b", Habit::RefusesRepeats)
            .or(End::Undone),
        Story::new("fan", fan),
        Story::new("pivoted", pivoted),
        Story::new("pivoted", pivoted)
            .habit("b", Habit::Refuses)
            .ends(End::Undone)
            .or(stuck),
        Story::new("verifying", verifying).script("b", &[Way::Lost]),
        Story::new("patient", patient).script("b", &[Way::Transient]),
        Story::new("taken_back", taken_back),
        Story::new("messages", messages)
            .signal(5, true)
            .signal(40_000, true)
            .out("Some(0) None 1"),
        Story::new("race", race).signal(1_000, true),
        Story::new("parent", parent),
        Story::new("again", again).signal(20, true).out("7 0"),
    ]
}
