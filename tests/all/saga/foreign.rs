//! A saga that awaits what is not its own: it is parked, and told why, on its first run.
use super::{
    stage::{Paid, Stage, pass, secs},
    world::{World, step},
};
use seawall::saga::{Abort, Builder, Flow, SagaError, SagaRef, StepRef, journal::StuckKind};
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

#[derive(Clone, Copy, Debug)]
enum Awaits {
    Sleep,
    Yield,
    Channel,
    Never,
    Task,
    Thread,
    BesideItsOwn,
    Spins,
}

async fn foreign(awaits: Awaits, saga: &Flow, a: StepRef<(), String>) -> Result<(), Abort> {
    match awaits {
        Awaits::Sleep => tokio::time::sleep(secs(1)).await,
        Awaits::Yield => tokio::task::yield_now().await,
        Awaits::Never => std::future::pending().await,
        Awaits::Channel => {
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            tokio::spawn(async move {
                tokio::time::sleep(secs(2)).await;
                tell.send(())
            });
            told.await.unwrap();
        }
        Awaits::Task => tokio::spawn(async {}).await.unwrap(),
        Awaits::Thread => {
            let mut asked = false;
            poll_fn(|cx| {
                if !std::mem::replace(&mut asked, true) {
                    let waker = cx.waker().clone();
                    std::thread::spawn(move || waker.wake());
                }
                Poll::<()>::Pending
            })
            .await;
        }
        Awaits::BesideItsOwn => {
            let mut own = pin!(saga.wait_for::<Paid>());
            let mut other = pin!(tokio::time::sleep(Duration::from_secs(5)));
            poll_fn(
                |cx| match (own.as_mut().poll(cx), other.as_mut().poll(cx)) {
                    (Poll::Pending, Poll::Pending) => Poll::Pending,
                    _ => Poll::Ready(()),
                },
            )
            .await;
        }
        Awaits::Spins => {
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        }
    }
    saga.call(a, ()).await?;
    Ok(())
}

fn awaiting(b: &mut Builder<World>, awaits: Awaits, late: bool) -> SagaRef<(), ()> {
    let a = step!(b, "a").register();
    b.saga("foreign", move |saga: Flow, (): ()| async move {
        if late {
            saga.call(a, ()).await?;
        }
        foreign(awaits, &saga, a).await
    })
}

#[tokio::test(start_paused = true)]
async fn s31_a_foreign_await_parks_the_saga_with_what_to_do() {
    for (awaits, says) in [
        (Awaits::Sleep, "not one of its own operations"),
        (Awaits::Yield, "not one of its own operations"),
        (Awaits::Channel, "not one of its own operations"),
        (Awaits::Never, "not one of its own operations"),
        (Awaits::Task, "not one of its own operations"),
        (Awaits::Thread, "not one of its own operations"),
        (
            Awaits::BesideItsOwn,
            "(a timer, a channel, a socket): it belongs into a step",
        ),
        (Awaits::Spins, "it spins"),
    ] {
        for late in [false, true] {
            let stage = Stage::new();
            let mut b = stage.builder();
            let saga = awaiting(&mut b, awaits, late);
            let engine = b.build().await.unwrap();
            let mut handle = engine.start(saga, "k", ()).await.unwrap();
            pass(60).await;
            let end = handle.outcome().await.unwrap_err();
            let SagaError::Stuck { kind, why, .. } = end else {
                panic!("{awaits:?} {late}: {end}");
            };
            assert_eq!(kind, StuckKind::Saga);
            assert!(why.contains(says), "{awaits:?} {late}: {why}");
            // A spinning one has nothing that could go into a step.
            let is_told = why.contains("it belongs into a step");
            assert!(is_told || says == "it spins", "{awaits:?} {late}: {why}");
            assert_eq!(stage.world.log().len(), usize::from(late), "{awaits:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_saga_may_use_what_never_leaves_its_own_code() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let a = step!(b, "a").register();
    let saga = b.saga("own", move |saga: Flow, (): ()| async move {
        let (tell, told) = tokio::sync::oneshot::channel();
        let gate = tokio::sync::Mutex::new(0);
        let one = async {
            saga.call(a, ()).await?;
            *gate.lock().await += 1;
            let _ = tell.send(7);
            Ok::<_, Abort>(())
        };
        let two = async {
            saga.call(a, ()).await?;
            *gate.lock().await += 1;
            Ok::<_, Abort>(told.await.unwrap())
        };
        let ((), seven) = tokio::try_join!(one, two)?;
        Ok::<_, Abort>(seven + *gate.lock().await)
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_channel_of_its_own_carries_a_long_saga_through_its_replay() {
    let stage = Stage::new();
    let engine = async || {
        let mut b = stage.builder();
        let a = step!(b, "a").register();
        let saga = b.saga("long", move |saga: Flow, (): ()| async move {
            let (tell, mut told) = tokio::sync::mpsc::channel(1);
            let one = async {
                for n in 0..300 {
                    saga.call(a, ()).await?;
                    tell.send(n).await?;
                }
                saga.wait_for::<Paid>().await;
                drop(tell);
                Ok::<_, Abort>(())
            };
            let two = async {
                let mut sum = 0;
                while let Some(n) = told.recv().await {
                    sum += n;
                }
                Ok::<_, Abort>(sum)
            };
            Ok::<_, Abort>(tokio::try_join!(one, two)?.1)
        });
        (b.build().await.unwrap(), saga)
    };
    let (first, saga) = engine().await;
    first.start(saga, "k", ()).await.unwrap();
    pass(60).await;
    stage.die(first).await;
    let (second, saga) = engine().await;
    pass(1).await;
    second.signal("long", "k", "m", &Paid(1)).await.unwrap();
    let mut handle = second.start(saga, "k", ()).await.unwrap();
    assert_eq!(handle.outcome().await.unwrap(), 300 * 299 / 2);
}

#[tokio::test(start_paused = true)]
async fn s31_a_timeout_of_the_runtime_around_a_long_wait_is_found_out_and_not_forgotten() {
    let stage = Stage::new();
    let mut b = stage.builder();
    let saga = b.saga("timeout", |saga: Flow, (): ()| async move {
        let paid = tokio::time::timeout(secs(600), saga.wait_for::<Paid>()).await;
        Ok::<_, Abort>(paid.is_ok())
    });
    let own = b.saga("own", |saga: Flow, (): ()| async move {
        let two = async { tokio::join!(saga.wait_for::<Paid>(), saga.sleep(secs(600))) };
        saga.race(two, saga.wait_for::<Paid>()).await;
        Ok::<_, Abort>(())
    });
    let engine = b.build().await.unwrap();
    let mut handle = engine.start(saga, "k", ()).await.unwrap();
    engine.start(own, "k", ()).await.unwrap();
    pass(1).await;
    assert_eq!(engine.in_memory(), 1, "only what is held by others stays");
    let end = handle.outcome().await.unwrap_err().to_string();
    assert!(end.contains("not one of its own operations"), "{end}");
}
