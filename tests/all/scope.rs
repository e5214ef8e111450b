//! The in-process saga scope: what is undone, in which order, by whom, and who is told.
#![allow(clippy::disallowed_methods)] // the clock is paused
mod ends;
mod layer;
mod nested;

use crate::support::{Heard, MS, S};
use seawall::retry::Backoff;
use seawall::saga::{self, Scope, ScopeConfig, ScopeSaga, StepOutcome};
use seawall::{Event, Name};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio_test::{assert_pending, assert_ready, task::spawn};

/// What the compensations did, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Registers a step whose compensation fails `failures` times.
    fn step(&self, saga: &ScopeSaga, name: &'static str, failures: u32) {
        let (log, tries) = (self.clone(), Arc::new(AtomicU32::new(0)));
        saga.on_abort(name, move || {
            let attempt = tries.fetch_add(1, SeqCst) + 1;
            log.add(format!("{name} {attempt}"));
            ready(if attempt > failures {
                Ok(())
            } else {
                Err("503")
            })
        });
    }
}

fn order() -> ScopeConfig {
    Scope::new("order").undo_backoff(Backoff::none())
}

fn quick(heard: &Heard) -> Scope {
    order().observer(heard.observer()).build().unwrap()
}

#[tokio::test]
async fn a_scope_that_succeeds_undoes_nothing() {
    let (log, heard) = (Log::default(), Heard::default());
    let done = quick(&heard)
        .run(async |saga| {
            log.step(&saga, "a", 0);
            Ok::<_, &str>(1)
        })
        .await;
    assert_eq!(done, Ok(1));
    tokio::task::yield_now().await;
    assert!(log.all().is_empty() && heard.all().is_empty());
}

#[tokio::test]
async fn an_error_is_returned_after_all_is_undone_in_reverse() {
    let log = Log::default();
    let error = saga::scope(async |saga| {
        log.step(&saga, "a", 0);
        saga.ran("b");
        tokio::task::yield_now().await;
        log.step(&saga, "c", 0);
        Err::<(), _>("declined")
    })
    .await
    .unwrap_err();
    assert_eq!(log.all(), ["c 1", "a 1"]);
    assert_eq!(
        error.to_string(),
        "declined (`saga`: undone: `a`, `c`; ran: `b`)"
    );
    let steps: Vec<_> = error.steps().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(steps, ["a", "b", "c"]);
    assert!(error.is_undone());
    assert_eq!(error.into_error(), "declined");
}

#[tokio::test(start_paused = true)]
async fn a_failing_compensation_is_retried_reported_and_does_not_stop_the_others() {
    let (log, heard) = (Log::default(), Heard::default());
    let order = order()
        .undo_attempts(3)
        .undo_backoff(Backoff::exponential(S))
        .observer(heard.observer());
    let start = tokio::time::Instant::now();
    let error = order
        .build()
        .unwrap()
        .run(async |saga| {
            log.step(&saga, "a", 0);
            log.step(&saga, "b", 9);
            log.step(&saga, "c", 1);
            Err::<(), _>("declined")
        })
        .await
        .unwrap_err();
    assert_eq!(log.all(), ["c 1", "c 2", "b 1", "b 2", "b 3", "a 1"]);
    assert_eq!(start.elapsed(), (1 + 1 + 2) * S);
    assert_eq!(error.left().count(), 1);
    assert_eq!(
        error.to_string(),
        "declined (`order`: left applied: `b` after 3 tries: 503; undone: `a`, `c`)"
    );
    let undone = &error.steps()[2].outcome;
    assert!(matches!(undone, StepOutcome::Undone { attempts: 2, .. }));
    let said: Vec<_> = heard.all().iter().map(|e| short(e)).collect();
    let expected = [
        r#""c", outcome: Retrying { attempt: 1, error: "503" } }"#,
        r#""c", outcome: Undone { attempts: 2 } }"#,
        r#""b", outcome: Retrying { attempt: 1, error: "503" } }"#,
        r#""b", outcome: Retrying { attempt: 2, error: "503" } }"#,
        r#""b", outcome: Left { attempts: 3, error: "503" } }"#,
        r#""a", outcome: Undone { attempts: 1 } }"#,
    ];
    assert_eq!(said, expected);
}

fn short(event: &str) -> String {
    event.replace(r#"Undo { scope: "order", step: "#, "")
}

#[tokio::test]
async fn a_panic_of_the_operation_goes_on_unchanged_once_all_is_undone() {
    let (log, heard) = (Log::default(), Heard::default());
    let run = {
        let log = log.clone();
        quick(&heard).run(async move |saga: ScopeSaga| {
            log.step(&saga, "a", 1);
            if log.all().is_empty() {
                std::panic::panic_any(42_u8);
            }
            Ok::<(), &str>(())
        })
    };
    let panic = tokio::spawn(run).await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref(), Some(&42_u8));
    assert_eq!(log.all(), ["a 1", "a 2"]);
    assert_eq!(heard.count("Undone"), 1);
}

#[tokio::test]
async fn a_compensation_that_panics_has_failed_and_is_tried_again() {
    let log = Log::default();
    let heard = Heard::default();
    let error = quick(&heard)
        .run(async |saga| {
            log.step(&saga, "first", 0);
            let tries = Arc::new(AtomicU32::new(0));
            saga.on_abort("shaky", move || {
                let attempt = tries.fetch_add(1, SeqCst);
                assert!(attempt != 0, "as it is made");
                async move {
                    tokio::task::yield_now().await;
                    assert!(attempt != 1, "as it runs");
                    Ok::<_, &str>(())
                }
            });
            saga.on_abort("broken", || -> std::future::Ready<Result<(), &str>> {
                std::panic::panic_any(0)
            });
            Err::<(), _>("declined")
        })
        .await
        .unwrap_err();
    let outcomes = error.steps().iter().map(|s| format!("{:?}", s.outcome));
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [
            "Undone { attempts: 1 }",
            "Undone { attempts: 3 }",
            "Left { attempts: 5, error: \"panicked\" }"
        ]
    );
    assert_eq!(heard.count(r#"error: "panicked: as it is made""#), 1);
    assert_eq!(heard.count(r#"error: "panicked: as it runs""#), 1);
}

#[tokio::test(start_paused = true)]
async fn a_compensation_that_hangs_is_cut_and_tried_again() {
    let heard = Heard::default();
    let order = order()
        .undo_attempts(2)
        .undo_timeout(S)
        .observer(heard.observer());
    let start = tokio::time::Instant::now();
    let error = order
        .build()
        .unwrap()
        .run(async |saga| {
            saga.on_abort("a", pending::<Result<(), &str>>);
            Err::<(), _>("declined")
        })
        .await
        .unwrap_err();
    assert_eq!(start.elapsed(), 2 * S);
    assert!(
        error
            .to_string()
            .contains("`a` after 2 tries: timeout `order` ended the call after 1s")
    );
    assert_eq!(heard.count("Retrying"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scope_is_undone_by_a_task_that_reports() {
    let (log, heard) = (Log::default(), Heard::default());
    let order = order().undo_backoff(Backoff::exponential(S));
    let order = order.observer(heard.observer()).build().unwrap();
    let mut run = spawn(order.run(async |saga| {
        log.step(&saga, "a", 2);
        log.step(&saga, "b", 0);
        pending::<Result<(), &str>>().await
    }));
    assert_pending!(run.poll());
    drop(run);
    assert!(log.all().is_empty());
    tokio::time::sleep(3 * S + MS).await;
    assert_eq!(log.all(), ["b 1", "a 1", "a 2", "a 3"]);
    assert_eq!(heard.count("Undone"), 2);
}

#[tokio::test(start_paused = true)]
async fn dropped_while_compensating_it_goes_on_from_where_it_stands() {
    let (log, heard) = (Log::default(), Heard::default());
    let (reply, answer) = tokio::sync::oneshot::channel::<()>();
    let mut run = spawn(quick(&heard).run(async |saga| {
        log.step(&saga, "a", 0);
        let (inner, mut answer) = (log.clone(), Some(answer));
        saga.on_abort("b", move || {
            inner.add("b begun");
            let answer = answer.take();
            async move { answer.ok_or("begun anew")?.await.map_err(|_| "lost") }
        });
        Err::<(), _>("declined")
    }));
    assert_pending!(run.poll());
    assert_eq!(log.all(), ["b begun"]);
    drop(run);
    reply.send(()).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(log.all(), ["b begun", "a 1"]);
    assert_eq!(heard.count("Undone { attempts: 1 }"), 2);
}

#[test]
fn without_a_runtime_a_dropped_scope_reports_what_is_left() {
    let (log, heard) = (Log::default(), Heard::default());
    let mut run = spawn(quick(&heard).run(async |saga| {
        log.step(&saga, "a", 0);
        saga.ran("b");
        log.step(&saga, "c", 0);
        pending::<Result<(), &str>>().await
    }));
    assert_pending!(run.poll());
    drop(run);
    assert!(log.all().is_empty());
    let left: Vec<_> = heard.all().iter().map(|e| short(e)).collect();
    assert_eq!(left.len(), 2);
    assert!(left[0].starts_with(r#""c", outcome: Left { attempts: 0, "#));
    assert!(left[1].starts_with(r#""a", outcome: Left { attempts: 0, "#));
}

#[test]
fn a_runtime_that_ends_first_reports_what_is_left() {
    let heard = Heard::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    runtime.block_on(async {
        let log = Log::default();
        let mut run = spawn(quick(&heard).run(async |saga| {
            log.step(&saga, "a", 0);
            saga.on_abort("b", pending::<Result<(), &str>>);
            Err::<(), _>("declined")
        }));
        assert_pending!(run.poll());
        drop(run);
        tokio::task::yield_now().await;
    });
    drop(runtime);
    let left: Vec<_> = heard.all().iter().map(|e| short(e)).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].starts_with(r#""b", outcome: Left { attempts: 1, "#));
    assert!(left[1].starts_with(r#""a", outcome: Left { attempts: 0, "#));
}

#[test]
fn without_a_runtime_an_error_still_undoes_what_needs_no_timer() {
    let (log, heard) = (Log::default(), Heard::default());
    let run = quick(&heard).run(async |saga| {
        log.step(&saga, "a", 2);
        Err::<(), _>("declined")
    });
    let error = assert_ready!(spawn(run).poll()).unwrap_err();
    assert!(error.is_undone());
    assert_eq!(log.all(), ["a 1", "a 2", "a 3"]);
}

#[test]
fn without_a_runtime_a_compensation_that_has_to_wait_is_left_and_does_not_stop_the_others() {
    let (log, heard) = (Log::default(), Heard::default());
    let order = order().undo_backoff(Backoff::exponential(S));
    let order = order.observer(heard.observer()).build().unwrap();
    let run = order.run(async |saga| {
        log.step(&saga, "a", 0);
        log.step(&saga, "b", 1);
        Err::<(), _>("declined")
    });
    let error = assert_ready!(spawn(run).poll()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("left applied: `b` after 1 try: 503; not tried again"),
        "{text}"
    );
    assert!(text.ends_with("undone: `a`)"), "{text}");
}

#[tokio::test]
async fn a_scope_that_was_never_polled_has_nothing_to_undo() {
    let (log, heard) = (Log::default(), Heard::default());
    let run = quick(&heard).run(async |saga| {
        log.step(&saga, "a", 0);
        Ok::<(), &str>(())
    });
    drop(run);
    tokio::task::yield_now().await;
    assert!(log.all().is_empty() && heard.all().is_empty());
}

#[tokio::test]
async fn the_operation_is_gone_before_its_steps_are_undone() {
    struct Guard(Log);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.add("dropped");
        }
    }
    let log = Log::default();
    let mut run = spawn(saga::scope(async |saga| {
        log.step(&saga, "a", 0);
        let _guard = Guard(log.clone());
        pending::<Result<(), &str>>().await
    }));
    assert_pending!(run.poll());
    drop(run);
    tokio::task::yield_now().await;
    assert_eq!(log.all(), ["dropped", "a 1"]);
}

#[tokio::test]
async fn steps_of_parallel_branches_are_undone_in_reverse_of_their_registration() {
    let log = Log::default();
    let error = saga::scope(async |saga| {
        let slow = async {
            tokio::task::yield_now().await;
            log.step(&saga, "slow", 0);
            Ok::<_, &str>(())
        };
        let quick = async {
            log.step(&saga, "quick", 0);
            Ok::<_, &str>(())
        };
        tokio::try_join!(slow, quick)?;
        Err::<(), _>("declined")
    })
    .await
    .unwrap_err();
    assert_eq!(log.all(), ["slow 1", "quick 1"]);
    assert!(error.is_undone());
}

#[tokio::test]
async fn a_step_registered_after_the_end_is_reported_as_left() {
    let (log, heard) = (Log::default(), Heard::default());
    let order = quick(&heard);
    let saga = order.run(async |saga| Ok::<_, &str>(saga)).await.unwrap();
    log.step(&saga, "late", 0);
    saga.ran("without compensation");
    assert_eq!(heard.all().len(), 1);
    assert_eq!(heard.count("registered after its scope had ended"), 1);
}

#[tokio::test]
async fn a_listener_and_captures_that_panic_hurt_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    let log = Log::default();
    let order = order().observer(|_: Name, _: &Event<'_>| panic!("in the listener"));
    let error = order
        .build()
        .unwrap()
        .run(async |saga| {
            log.step(&saga, "a", 0);
            let bomb = Bomb;
            saga.on_abort("b", move || {
                let _armed = &bomb;
                ready(Ok::<_, &str>(()))
            });
            Err::<(), _>("declined")
        })
        .await
        .unwrap_err();
    assert!(error.is_undone());
    assert_eq!(log.all(), ["a 1"]);
}

#[test]
fn it_can_be_spawned_and_unwinds_out_of_a_poll_without_a_runtime() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let log = Log::default();
    let inner = log.clone();
    let run = is_send(saga::scope(async move |saga: ScopeSaga| {
        tokio::task::yield_now().await;
        inner.step(&saga, "a", 0);
        assert!(!inner.all().is_empty(), "boom");
        Ok::<(), String>(())
    }));
    let mut run = Box::pin(run);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut poll = || catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut cx).is_ready()));
    assert!(!poll().unwrap());
    assert!(poll().is_err());
    assert_eq!(log.all(), ["a 1"]);
}
