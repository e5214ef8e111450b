//! The sagas of the scenarios.
use super::super::{
    stage::{Paid, Shipped, every, ms, secs},
    world::World,
};
use seawall::{
    Pipeline, RateLimit,
    saga::{
        Abort, Builder, Failure, Flow, OnUnknown, Outcome, SagaRef, StepContext, StepRef,
        nothing_to_undo,
    },
};
use std::sync::Arc;

pub type Ref = SagaRef<u32, String>;
type S = StepRef<u32, String>;

/// A step of the world, tried `attempts` times `seconds` apart.
fn step(b: &mut Builder<World>, name: &'static str, attempts: u32, seconds: u64) -> S {
    let run =
        move |world: Arc<World>, cx: StepContext, _: u32| async move { world.run(name, cx).await };
    let undo = move |world: Arc<World>, cx: StepContext, _: u32, _: Outcome<String>| async move {
        world.undo(name, cx).await
    };
    let retry = every(seconds, attempts).undo_attempts(2).timeout(secs(2));
    let step = b.step(name, run, undo).retry(retry);
    match name {
        "asked" => step
            .verify(move |world: Arc<World>, cx, _| async move { world.verify(name, &cx) })
            .register(),
        "parking" => step.on_unknown(OnUnknown::Park).register(),
        _ => step.register(),
    }
}

/// Every saga of the scenarios, by name.
pub fn register(b: &mut Builder<World>) -> Vec<Ref> {
    let [x, y, z] = ["a", "b", "c"].map(|name| step(b, name, 2, 1));
    let slow = step(b, "slow", 2, 60);
    let (asked, parking) = (step(b, "asked", 2, 1), step(b, "parking", 2, 1));
    // One call a minute.
    let quota = RateLimit::new(1, secs(60)).burst(1).name("quota");
    let quota = Pipeline::builder("held").with(quota).build().unwrap();
    let run = move |world: Arc<World>, cx: StepContext, _: u32| {
        let quota = quota.clone();
        async move {
            let call = || async { world.run("held", cx.clone()).await.map_err(lost) };
            cx.call(&quota, call).await
        }
    };
    let held = b.step("held", run, nothing_to_undo).register();
    let mut all = Vec::new();
    all.push(b.saga("three", move |saga: Flow, n: u32| async move {
        saga.call(x, n).await?;
        saga.call(y, n + 1).await?;
        Ok::<_, Abort>(saga.call(z, n + 2).await?)
    }));
    all.push(b.saga("pivoted", move |saga: Flow, n: u32| async move {
        saga.call(x, n).await?;
        saga.pivot(y, n).await?;
        Ok::<_, Abort>(saga.call(z, n).await?)
    }));
    all.push(b.saga("both", move |saga: Flow, n: u32| async move {
        tokio::try_join!(saga.call(x, n), saga.call(y, n))?;
        Ok::<_, Abort>(saga.call(z, n).await?)
    }));
    all.push(b.saga("race", move |saga: Flow, n: u32| async move {
        saga.race(saga.call(x, n), saga.sleep(ms(1))).await;
        saga.race(saga.wait_for::<Paid>(), saga.sleep(ms(50))).await;
        Ok::<_, Abort>(saga.call(z, n).await?)
    }));
    all.push(b.saga("letters", move |saga: Flow, n: u32| async move {
        let Paid(paid) = saga.wait_for().await;
        saga.sleep(secs(3600)).await;
        let shipped = saga.wait_within::<Shipped>(secs(60)).await;
        saga.call(x, n).await?;
        Ok::<_, Abort>(format!("{paid} {shipped:?}"))
    }));
    all.push(b.saga("patient", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(slow, n).await?)
    }));
    all.push(b.saga("held", move |saga: Flow, n: u32| async move {
        saga.call(held, n).await?;
        Ok::<_, Abort>(saga.call(held, n).await?)
    }));
    all.push(b.saga("verifying", move |saga: Flow, n: u32| async move {
        saga.call(x, n).await?;
        Ok::<_, Abort>(saga.call(asked, n).await?)
    }));
    all.push(b.saga("parking", move |saga: Flow, n: u32| async move {
        saga.call(x, n).await?;
        Ok::<_, Abort>(saga.call(parking, n).await?)
    }));
    all.push(b.saga("taken_back", move |saga: Flow, n: u32| async move {
        let (id, done) = saga.call(x, n).numbered().await;
        done?;
        saga.undo(id).await;
        Ok::<_, Abort>(saga.call(z, n).await?)
    }));
    all.push(b.saga("round", move |saga: Flow, n: u32| async move {
        let done = saga.call(x, n).await?;
        match n {
            0 => Ok(done),
            n => saga.continue_as(n - 1),
        }
    }));
    all.push(b.saga("patched", move |saga: Flow, n: u32| async move {
        if saga.patched("check first") {
            saga.call(x, n).await?;
        }
        Ok::<_, Abort>(saga.call(y, n).await?)
    }));
    let kid = b.saga("kid", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(x, n).await?)
    });
    let pair = b.child(
        "kid_of",
        kid,
        move |world: Arc<World>, cx, _, _| async move { world.undo("kid_of", cx).await },
    );
    all.push(kid);
    all.push(b.saga("parent", move |saga: Flow, n: u32| async move {
        saga.child(pair, n).await?;
        Ok::<_, Abort>(saga.call(y, n).await?)
    }));
    all
}

fn lost(failure: Failure) -> std::io::Error {
    std::io::Error::other(failure.to_string())
}

/// The same names with code that asks for something else.
pub fn misfit(b: &mut Builder<World>) {
    let z = step(b, "c", 2, 1);
    b.saga("three", move |saga: Flow, n: u32| async move {
        Ok::<_, Abort>(saga.call(z, n).await?)
    });
}
