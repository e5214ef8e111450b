//! The order in which a call's events arrive.
use crate::support::S;
use proptest::prelude::*;
use seawall::retry::Backoff;
use seawall::{Class, Event, Name, Pipeline, Retry, Timeout};
use std::sync::{Arc, Mutex};

/// How one attempt goes.
#[derive(Clone, Copy, Debug)]
enum Goes {
    Well,
    Wrong,
    Nowhere,
}

fn attempts() -> impl Strategy<Value = Vec<Goes>> {
    let goes = prop_oneof![Just(Goes::Well), Just(Goes::Wrong), Just(Goes::Nowhere)];
    proptest::collection::vec(goes, 1..6)
}

/// The stack from the outside in: a timeout's seconds, or a retry's attempts and backoff in
/// seconds.
fn stack() -> impl Strategy<Value = Vec<Result<u64, (u32, u64)>>> {
    let policy = prop_oneof![(1..20_u64).prop_map(Ok), (1..4_u32, 1..5_u64).prop_map(Err),];
    proptest::collection::vec(policy, 1..5)
}

proptest! {
    /// Whatever the stack: attempts are numbered as they end, those that were cut included, another one is scheduled only after
    /// one has failed, and nothing is said after a success.
    #[test]
    fn events_of_a_call_arrive_in_the_order_of_its_life(stack in stack(), goes in attempts()) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let mut builder = Pipeline::builder("p").observer(move |_: Name, event: &Event<'_>| {
            let what = match event {
                Event::AttemptEnded { attempt, class: Class::Success, .. } => format!("ok {attempt}"),
                Event::AttemptEnded { attempt, .. } => format!("failed {attempt}"),
                Event::TimedOut { running: true, .. } => String::from("cut"),
                Event::TimedOut { .. } => String::from("cut wait"),
                Event::RetryScheduled { .. } => String::from("again"),
                Event::GaveUp { .. } => String::from("gave up"),
                Event::Rejected(_) => String::from("rejected"),
                other => format!("unexpected {other:?}"),
            };
            log.lock().unwrap().push(what);
        });
        for policy in &stack {
            builder = match *policy {
                Ok(seconds) => builder.with(Timeout::after(seconds as u32 * S)),
                Err((n, wait)) => {
                    builder.with(Retry::attempts(n).backoff(Backoff::linear(wait as u32 * S)))
                }
            };
        }
        let pipeline = builder.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let mut script = goes.iter().copied().chain(std::iter::repeat(Goes::Well));
        let answer = runtime.block_on(async {
            let run = pipeline.run(|| {
                let goes = script.next().unwrap();
                async move {
                    match goes {
                        Goes::Well => Ok(()),
                        Goes::Wrong => Err(()),
                        Goes::Nowhere => std::future::pending().await,
                    }
                }
            });
            tokio::time::timeout(3600 * S, run).await
        });
        let heard = heard.lock().unwrap().clone();
        let told = format!("{stack:?} {goes:?}: {heard:?}");
        let mut ended = 0;
        let mut failed = false;
        for (i, what) in heard.iter().enumerate() {
            let (what, number) = what.split_once(' ').unwrap_or((what, ""));
            match (what, number) {
                ("ok" | "failed", number) => {
                    ended += 1;
                    prop_assert_eq!(number.parse(), Ok(ended), "{}", told);
                    failed = what == "failed";
                    prop_assert!(failed || i + 1 == heard.len(), "after a success: {}", told);
                }
                ("cut", "") => {
                    ended += 1;
                    failed = true;
                }
                ("cut", "wait") | ("rejected", "") => {}
                ("again", "") => {
                    prop_assert!(failed, "again without a failure: {}", told);
                    failed = false;
                }
                ("gave", _) => prop_assert!(failed, "gave up without a failure: {}", told),
                _ => prop_assert!(false, "{}", told),
            }
        }
        let ok = heard.last().is_some_and(|last| last.starts_with("ok"));
        prop_assert_eq!(matches!(answer, Ok(Ok(()))), ok, "{}", told);
    }
}
