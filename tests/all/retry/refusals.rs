//! What policies further in refuse.
use crate::support::{MS, S};
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use seawall::retry::{Backoff, Retry, RetryConfig};
use seawall::{Name, Pipeline, Reason};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::Instant;

/// Refuses so many calls, with this reason.
struct Refuses(AtomicU32, Reason);

impl Policy for Refuses {
    fn name(&self) -> Name {
        "refuses".into()
    }

    fn enter(&self, _: &Call<'_>) -> Enter {
        let left = self
            .0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Enter::Reject(self.1),
            Err(_) => Enter::Proceed(Ticket(0)),
        }
    }

    fn exit(&self, _: Ticket, _: &Outcome<'_>, _: &Call<'_>) -> Exit {
        Exit::Pass
    }
}

/// How long a call takes that is refused twice, and whether it went through.
async fn refused_twice(retry: RetryConfig, reason: Reason) -> (u64, bool) {
    let p = Pipeline::builder("p")
        .with(retry.backoff(Backoff::constant(10 * MS)))
        .with(Refuses(AtomicU32::new(2), reason))
        .build()
        .unwrap();
    let start = Instant::now();
    let answer = p.run(|| async { Ok::<_, ()>(()) }).await;
    (start.elapsed().as_millis() as u64, answer.is_ok())
}

const OPEN: Reason = Reason::CircuitOpen {
    retry_after: Some(Duration::from_millis(7)),
};

#[tokio::test(start_paused = true)]
async fn refusals_are_returned_unless_asked_for() {
    let retry = || Retry::attempts(5);
    let limited = Reason::RateLimited {
        retry_after: 30 * MS,
    };
    for reason in [OPEN, limited, Reason::BulkheadFull] {
        assert_eq!(refused_twice(retry(), reason).await, (0, false));
    }
    let all = || retry().retry_refusals();
    assert_eq!(refused_twice(all(), limited).await, (60, true));
    assert_eq!(refused_twice(all(), OPEN).await, (20, true));
    assert_eq!(refused_twice(all(), Reason::BulkheadFull).await, (20, true));
    assert_eq!(
        refused_twice(all(), Reason::CircuitIsolated).await,
        (0, false)
    );
    let heavy = Reason::ExceedsBurst {
        weight: 2,
        burst: 1,
    };
    assert_eq!(refused_twice(all(), heavy).await, (0, false));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_circuit_takes_exactly_its_hint() {
    let retry = || Retry::attempts(5).wait_for_circuit();
    assert_eq!(refused_twice(retry(), OPEN).await, (14, true));
    let long = Reason::CircuitOpen {
        retry_after: Some(100 * S),
    };
    assert_eq!(refused_twice(retry(), long).await, (200_000, true));
    let half_open = Reason::CircuitOpen { retry_after: None };
    assert_eq!(refused_twice(retry(), half_open).await, (20, true));
    assert_eq!(
        refused_twice(retry(), Reason::BulkheadFull).await,
        (0, false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_attempts_that_were_sent_is_retried_alike() {
    let p = Pipeline::builder("p")
        .with(Retry::attempts(4).backoff(Backoff::none()).retry_refusals())
        .with(Refuses(AtomicU32::new(0), Reason::BulkheadFull))
        .with(Refuses(AtomicU32::new(1), Reason::BulkheadFull))
        .build()
        .unwrap();
    let mut sent = 0;
    let answer = p.run(|| {
        sent += 1;
        async move { if sent == 1 { Err("down") } else { Ok(sent) } }
    });
    assert_eq!(answer.await, Ok(2));
}
