//! Scopes within scopes: in which order they are undone.
use super::{Log, S, ScopeSaga, pending, ready, saga, spawn};
use tokio_test::assert_pending;

#[tokio::test]
async fn scopes_nest_and_an_inner_one_that_succeeded_is_undone_as_one_step() {
    let log = Log::default();
    let error = saga::scope(async |outer| {
        saga::scope(async |inner| {
            log.step(&inner, "inner", 0);
            Ok::<_, &str>(())
        })
        .await
        .map_err(|e| e.into_error())?;
        log.step(&outer, "whole", 0);
        Err::<(), _>("declined")
    })
    .await
    .unwrap_err();
    assert_eq!(log.all(), ["whole 1"]);
    assert!(error.is_undone());
}

/// The undo of an inner scope and that of the outer one used to run side by side.
#[tokio::test(start_paused = true)]
async fn an_inner_scope_that_is_dropped_with_the_outer_one_is_undone_before_it() {
    let log = Log::default();
    let mut run = spawn(saga::scope(async |outer| {
        log.step(&outer, "outer", 0);
        saga::scope(async |middle| {
            middle.ran("nothing to undo");
            saga::scope(async |inner| {
                slow_step(&log, &inner, "inner");
                pending::<Result<(), &str>>().await
            })
            .await
            .map_err(|e| e.into_error())
        })
        .await
        .map_err(|e| e.into_error())
    }));
    assert_pending!(run.poll());
    drop(run);
    tokio::time::sleep(2 * S).await;
    assert_eq!(log.all(), ["inner", "outer 1"]);
}

#[tokio::test(start_paused = true)]
async fn an_inner_scope_that_is_dropped_by_a_failure_beside_it_is_undone_before_the_outer_one() {
    let log = Log::default();
    let error = saga::scope(async |outer| {
        log.step(&outer, "outer", 0);
        let inner = saga::scope(async |inner| {
            slow_step(&log, &inner, "inner");
            pending::<Result<(), &str>>().await
        });
        let inner = async { inner.await.map_err(|e| e.into_error()) };
        let declined = async { Err::<(), _>("declined") };
        tokio::try_join!(inner, declined)
    })
    .await
    .unwrap_err();
    assert_eq!(log.all(), ["inner", "outer 1"]);
    assert!(error.is_undone());
}

#[tokio::test(start_paused = true)]
async fn what_a_scope_that_ended_well_had_dropped_is_undone_before_the_scope_around_it() {
    let log = Log::default();
    let error = saga::scope(async |outer| {
        log.step(&outer, "outer", 0);
        let middle = saga::scope(async |_| {
            let slow = saga::scope(async |inner| {
                slow_step(&log, &inner, "inner");
                pending::<Result<(), &str>>().await
            });
            tokio::select! {
                biased;
                _ = slow => {}
                () = ready(()) => {}
            }
            Ok::<_, &str>(())
        });
        assert!(middle.await.is_ok());
        Err::<(), _>("declined")
    })
    .await
    .unwrap_err();
    assert_eq!(log.all(), ["inner", "outer 1"]);
    assert!(error.is_undone());
}

/// A step whose compensation takes a second.
fn slow_step(log: &Log, saga: &ScopeSaga, name: &'static str) {
    let log = log.clone();
    saga.on_abort(name, move || {
        let log = log.clone();
        async move {
            tokio::time::sleep(S).await;
            log.add(name);
            Ok::<_, &str>(())
        }
    });
}
