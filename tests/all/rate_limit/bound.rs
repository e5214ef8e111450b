//! No interval ever admits more than burst + rate × t: drops, waits, weights and clocks that stand
//! still or go back included.
use crate::support::S;
use proptest::prelude::*;
use seawall::policy::{Call, Enter, Outcome, Policy, Ticket};
use seawall::{Class, RateLimit, Reason};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call of this weight, whose clock is behind by so many nanoseconds.
    Call(u32, u64),
    /// A call that waits is dropped: before its turn, or after it and before it was polled.
    Drop(usize),
    /// Time passes: so many hundredths of an interval.
    Pass(u64),
    /// Time passes until a waiter's turn.
    Turn(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u32..6, prop_oneof![4 => Just(0), 1 => 0..2_000_000_000u64])
            .prop_map(|(weight, behind)| Step::Call(weight, behind)),
        3 => any::<usize>().prop_map(Step::Drop),
        2 => (0u64..300).prop_map(Step::Pass),
        1 => any::<usize>().prop_map(Step::Turn),
    ]
}

struct Waiter {
    limit: RateLimit,
    ticket: Ticket,
    until: Instant,
    weight: u32,
    /// Never polled again: it is dropped in the end.
    stuck: bool,
}

/// What was let in, and when: nanoseconds and weight.
#[derive(Default)]
struct Admitted(Vec<(u128, u32)>);

impl Admitted {
    fn add(&mut self, start: Instant, at: Instant, weight: u32) {
        self.0.push((at.duration_since(start).as_nanos(), weight));
    }

    /// Every interval that begins and ends with a call, in exact fractions.
    fn check(mut self, permits: u32, per: Duration, burst: u32) -> Result<(), TestCaseError> {
        self.0.sort_unstable();
        for (i, (from, _)) in self.0.iter().enumerate() {
            let mut sum = 0;
            for (to, weight) in &self.0[i..] {
                sum += u128::from(*weight);
                let allowed =
                    u128::from(burst) * per.as_nanos() + u128::from(permits) * (to - from);
                prop_assert!(
                    sum * per.as_nanos() <= allowed,
                    "{sum} permits from {from} to {to} ns"
                );
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_interval_admits_more_than_burst_and_rate(
        permits in 1u32..40,
        per in prop_oneof![Just(S), (1_000u64..5_000).prop_map(Duration::from_nanos)],
        burst in 1u32..6,
        max_wait in prop_oneof![Just(0u32), 0u32..5, Just(1_000_000)],
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let interval = per / permits;
        let limit = RateLimit::new(permits, per).burst(burst).max_wait(interval * max_wait);
        let limit = limit.build().unwrap();
        let start = Instant::now() - Duration::from_secs(60);
        let mut now = start + Duration::from_secs(60);
        let (mut waiters, mut admitted) = (Vec::<Waiter>::new(), Admitted::default());
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Call(weight, behind) => {
                    let handle = limit.weight(weight);
                    let at = now - Duration::from_nanos(behind);
                    match handle.enter(&Call::at(at)) {
                        Enter::Proceed(_) => admitted.add(start, at, weight),
                        Enter::Delay { ticket, until } => {
                            prop_assert!(until > at && until <= at + interval * max_wait);
                            let stuck = n % 3 == 0;
                            waiters.push(Waiter { limit: handle, ticket, until, weight, stuck });
                        }
                        Enter::Reject(Reason::RateLimited { retry_after }) => {
                            prop_assert!(retry_after > interval * max_wait);
                        }
                        Enter::Reject(Reason::ExceedsBurst { .. }) => prop_assert!(weight > burst),
                        other => panic!("{other:?}"),
                    }
                }
                Step::Drop(pick) if !waiters.is_empty() => {
                    let w = waiters.swap_remove(pick % waiters.len());
                    w.limit.exit(w.ticket, &Outcome::Unused, &Call::at(now));
                }
                Step::Drop(_) => {}
                Step::Pass(hundredths) => now += interval * hundredths as u32 / 100,
                Step::Turn(pick) => {
                    let until = waiters.get(pick % waiters.len().max(1)).map(|w| w.until);
                    now = now.max(until.unwrap_or(now));
                }
            }
            waiters.retain(|w| {
                let goes = w.until <= now && !w.stuck;
                if goes {
                    admitted.add(start, w.until, w.weight);
                    let outcome = Outcome::Answered(Class::Success);
                    w.limit.exit(w.ticket, &outcome, &Call::at(now));
                }
                !goes
            });
        }
        for w in waiters.iter().filter(|w| !w.stuck) {
            admitted.add(start, w.until, w.weight);
        }
        // A call of weight zero takes nothing, and is let through whatever was spent.
        admitted.0.retain(|(_, weight)| *weight > 0);
        admitted.check(permits, per, burst)?;
    }
}

/// Threads that reserve and drop at one instant: the turns that stay are an interval apart.
#[test]
fn threads_share_the_turns_and_none_is_given_twice() {
    let limit = RateLimit::new(1_000, S)
        .burst(1)
        .max_wait(Duration::MAX)
        .build()
        .unwrap();
    let now = Instant::now();
    let kept = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limit, kept) = (limit.clone(), &kept);
            scope.spawn(move || {
                let mut mine = Vec::new();
                for n in 0..5_000 {
                    let call = Call::at(now);
                    match limit.enter(&call) {
                        Enter::Proceed(_) => mine.push(now),
                        Enter::Delay { ticket, .. } if (n + thread) % 3 == 0 => {
                            limit.exit(ticket, &Outcome::Unused, &call);
                        }
                        Enter::Delay { until, .. } => mine.push(until),
                        other => panic!("{other:?}"),
                    }
                }
                kept.lock().unwrap().extend(mine);
            });
        }
    });
    let mut kept = kept.into_inner().unwrap();
    kept.sort_unstable();
    let apart = Duration::from_millis(1);
    assert!(kept.windows(2).all(|two| two[1] - two[0] >= apart));
    // A third was dropped: those that were the last then have left no gap.
    assert!(kept.len() >= 13_000);
    let last = kept[kept.len() - 1] - now;
    assert!(last <= 20_000 * apart);
}

/// Threads that refuse to wait, at one instant: exactly the burst gets through.
#[test]
fn threads_that_do_not_wait_get_exactly_the_burst() {
    let limit = RateLimit::new(1, S).burst(1_000).build().unwrap();
    let now = Instant::now();
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let one = || matches!(limit.enter(&Call::at(now)), Enter::Proceed(_));
                scope.spawn(move || (0..1_000).filter(|_| one()).count())
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(passed, 1_000);
}
