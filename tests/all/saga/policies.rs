//! Sagas under the policies: what a refusal means for a step, how long it waits, and who sees it.
use super::{
    stage::{Stage, every, ms, pass, secs},
    world::{Way, World, step},
};
use seawall::{
    CircuitBreaker, Pipeline, RateLimit, Retry, Timeout,
    retry::Backoff,
    saga::{
        Abort, Builder, Failure, Flow, OnUnknown, Outcome, SagaRef, Status, StepContext, StepRef,
        journal::Event,
    },
};
use std::{io, sync::Arc};

/// One call to the participant of `name`.
async fn send(world: &World, name: &'static str, cx: &StepContext) -> io::Result<String> {
    let answer = world.run(name, cx.clone()).await;
    answer.map_err(|failure| io::Error::other(failure.to_string()))
}

/// A breaker that is open for `seconds` from now.
async fn open(name: &'static str, seconds: u64) -> Pipeline {
    let breaker = CircuitBreaker::new(name)
        .consecutive_failures(1)
        .break_for(secs(seconds))
        .build()
        .unwrap();
    let down = breaker.run(|| async { Err::<(), _>(io::Error::other("down")) });
    assert!(down.await.unwrap_err().inner().is_some());
    Pipeline::builder(name).with(breaker).build().unwrap()
}

fn isolated(name: &'static str) -> Pipeline {
    let breaker = CircuitBreaker::new(name)
        .consecutive_failures(1)
        .build()
        .unwrap();
    breaker.isolate();
    Pipeline::builder(name).with(breaker).build().unwrap()
}

fn through(name: &'static str) -> Pipeline {
    let long = Timeout::after(secs(3600));
    Pipeline::builder(name).with(long).build().unwrap()
}

/// Step `a`: a guarded call to each of these, one after the other.
fn guarded(b: &mut Builder<World>, pipes: Vec<Pipeline>, attempts: u32) -> StepRef<(), String> {
    b.step(
        "a",
        move |world: Arc<World>, cx: StepContext, (): ()| {
            let pipes = pipes.clone();
            async move {
                let mut answer = String::new();
                for pipe in &pipes {
                    answer = cx.call(pipe, || send(&world, "a", &cx)).await?;
                }
                Ok(answer)
            }
        },
        |world: Arc<World>, cx: StepContext, (): (), _: Outcome<String>| async move {
            world.undo("a", cx).await
        },
    )
    .retry(every(1, attempts))
    .register()
}

fn one(b: &mut Builder<World>, a: StepRef<(), String>) -> SagaRef<(), String> {
    b.saga("one", move |saga: Flow, (): ()| async move {
        Ok::<_, Abort>(saga.call(a, ()).await?)
    })
}

/// Whether step 0 failed cleanly, and the attempts it says.
async fn failed(stage: &Stage) -> (bool, u32) {
    let events = stage.events("one", "k").await;
    let failed = events.iter().find_map(|event| match event {
        Event::Failed { clean, attempt, .. } => Some((*clean, *attempt)),
        _ => None,
    });
    failed.unwrap()
}

#[tokio::test(start_paused = true)]
async fn s06_a_first_call_applied_and_a_second_one_refused_is_never_clean() {
    for attempts in 1..=3 {
        let stage = Stage::new();
        let mut b = stage.builder();
        let a = guarded(&mut b, vec![through("in"), isolated("out")], attempts);
        let saga = one(&mut b, a);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        assert!(end.contains("may have been applied"), "{end}");
        assert!(end.contains("`out` was opened by hand"), "{end}");
        assert_eq!(failed(&stage).await, (false, attempts));
        // It was applied: only because it is not clean, it is taken back.
        assert_eq!(stage.world.net(), 0);
        assert_eq!(stage.world.log().last().unwrap(), "undo a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_only_call_uses_no_attempt_and_waits_as_long_as_the_policy_says() {
    let stage = Stage::new();
    let mut b = stage.builder();
    // One attempt is all there is.
    let a = guarded(&mut b, vec![open("payments", 31).await], 1);
    let saga = one(&mut b, a);
    let engine = b.build().await.unwrap();
    let until = stage.now() + 31_000;
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 0, "it waits long");
    assert_eq!(stage.status("one", "k").await, Status::Waiting);
    let status = engine.status(handle.id()).await.unwrap().to_string();
    assert!(status.contains("waits for policy `payments`"), "{status}");
    assert!(status.contains("until 22:13:51.000 UTC"), "{status}");
    assert_eq!(stage.retries("one", "k").await, [(0, false, true)]);

    assert_eq!(handle.outcome().await.unwrap(), "a done");
    assert!((until..until + 10).contains(&stage.now()), "at that time");
    let began: Vec<_> = stage.attempts("a");
    assert_eq!(
        began,
        [1],
        "the one call that was sent is the first attempt"
    );
    let done = stage.events("one", "k").await;
    let done = done.iter().find_map(|event| match event {
        Event::Done { attempt, .. } => Some(*attempt),
        _ => None,
    });
    assert_eq!(done, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_for_a_policy_is_seen_in_the_status_and_costs_no_write() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = guarded(&mut b, vec![open("payments", 3).await], 1);
    let saga = one(&mut b, a);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 1);
    let status = engine.status(handle.id()).await.unwrap().to_string();
    assert!(status.contains("waits for policy `payments`"), "{status}");
    assert!(status.contains("until 22:13:23.000 UTC"), "{status}");
    assert_eq!(handle.outcome().await.unwrap(), "a done");
    assert_eq!(stage.rows("one", "k").await.len(), 2);
    assert_eq!(stage.attempts("a"), [1]);
}

#[tokio::test(start_paused = true)]
async fn s37_a_restart_neither_shortens_the_wait_for_a_policy_nor_counts_it() {
    let stage = Stage::new();
    let guard = open("payments", 60).await;
    let until = stage.now() + 60_000;
    for life in 0..3 {
        let mut b = stage.builder();
        let a = guarded(&mut b, vec![guard.clone()], 1);
        let saga = one(&mut b, a);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        if life == 2 {
            assert_eq!(handle.outcome().await.unwrap(), "a done");
            assert!((until..until + 10).contains(&stage.now()));
            continue;
        }
        pass(10).await;
        stage.die(engine).await;
    }
    assert_eq!(stage.attempts("a"), [1]);
}

#[tokio::test(start_paused = true)]
async fn given_up_while_a_policy_holds_it_a_step_is_clean_and_not_undone() {
    for seconds in [3, 60] {
        let stage = Stage::new();
        let mut b = stage.builder();
        let a = guarded(&mut b, vec![open("payments", seconds).await], 1);
        let saga = one(&mut b, a);
        let engine = b.build().await.unwrap();
        let mut handle = engine.start(saga, "k", ()).await.unwrap();
        pass(1).await;
        handle.cancel("the customer has left").await.unwrap();
        let end = handle.outcome().await.unwrap_err().to_string();
        assert!(end.contains("the customer has left"), "{end}");
        assert_eq!(failed(&stage).await, (true, 0), "clean, and no attempt");
        assert_eq!(stage.world.log(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn s06_a_policys_refusal_after_a_lost_answer_clears_nothing() {
    let stage = Stage::with(World::with([("a", vec![Way::Lost])]));
    let mut b = stage.builder();
    // The first answer that is lost opens it for 20 s.
    let breaker = CircuitBreaker::new("payments")
        .consecutive_failures(1)
        .break_for(secs(20))
        .build()
        .unwrap();
    let guard = Pipeline::builder("payments").with(breaker).build().unwrap();
    let a = guarded(&mut b, vec![guard], 5);
    let saga = one(&mut b, a);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(2).await;
    assert_eq!(stage.retries("one", "k").await, [(1, true, true)]);
    handle.cancel("enough").await.unwrap();
    handle.outcome().await.unwrap_err();
    assert!(!failed(&stage).await.0, "it may have been applied");
    assert_eq!(stage.world.net(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_call_is_clean_where_nothing_was_sent_and_unknown_where_something_was() {
    // A retry inside the pipeline has sent it before the breaker opens.
    let breaker = CircuitBreaker::new("payments")
        .consecutive_failures(1)
        .break_for(secs(60))
        .build()
        .unwrap();
    let guard = Pipeline::builder("payments")
        .with(Retry::attempts(3).backoff(Backoff::constant(ms(1))))
        .with(breaker)
        .build()
        .unwrap();
    let stage = Stage::with(World::with([("a", vec![Way::Lost])]));
    let mut b = stage.builder();
    let a = b
        .step(
            "a",
            move |world: Arc<World>, cx: StepContext, (): ()| {
                let guard = guard.clone();
                async move {
                    let sent = guard.run(|| send(&world, "a", &cx)).await;
                    sent.map_err(Failure::only_call)
                }
            },
            |world: Arc<World>, cx: StepContext, (): (), _: Outcome<String>| async move {
                world.undo("a", cx).await
            },
        )
        .on_unknown(OnUnknown::Undo)
        .register();
    let saga = one(&mut b, a);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    handle.outcome().await.unwrap_err();
    assert_eq!(failed(&stage).await, (false, 1));
    // The next saga's call is refused before it is sent: clean, and it waits.
    let held = engine.start(saga, "held", ()).await.unwrap();
    pass(1).await;
    let status = engine.status(held.id()).await.unwrap().to_string();
    assert!(status.contains("waits for policy `payments`"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_rate_limit_will_never_admit_is_refused_at_once() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let limit = RateLimit::per_second(1).burst(2).build().unwrap().weight(3);
    let guard = Pipeline::builder("payments").with(limit).build().unwrap();
    let a = guarded(&mut b, vec![guard], 5);
    let saga = one(&mut b, a);
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("can never admit"), "{end}");
    assert_eq!(failed(&stage).await, (true, 1));
    assert_eq!(stage.world.log(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_compensation_waits_for_its_policy_as_well_and_is_not_counted() {
    let stage = Stage::with(World::with([("b", vec![Way::Refuse])]));
    let mut b = stage.builder();
    let guard = open("refunds", 30).await;
    let a = b
        .step(
            "a",
            |world: Arc<World>, cx: StepContext, (): ()| async move { world.run("a", cx).await },
            move |world: Arc<World>, cx: StepContext, (): (), _: Outcome<String>| {
                let guard = guard.clone();
                async move {
                    let undo = || async {
                        let undone = world.undo("a", cx.clone()).await;
                        undone.map_err(|failure| io::Error::other(failure.to_string()))
                    };
                    cx.call(&guard, undo).await
                }
            },
        )
        .retry(every(1, 1).undo_attempts(1))
        .register();
    let refused = step!(b, "b").register();
    let saga = b.saga("one", move |saga: Flow, (): ()| async move {
        saga.call(a, ()).await?;
        Ok::<_, Abort>(saga.call(refused, ()).await?)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    pass(1).await;
    let status = engine.status(handle.id()).await.unwrap().to_string();
    assert!(status.contains("waits for policy `refunds`"), "{status}");
    assert!(status.contains("undo of step `a`"), "{status}");
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("the saga was undone"), "{end}");
    assert_eq!(stage.world.net(), 0);
}
