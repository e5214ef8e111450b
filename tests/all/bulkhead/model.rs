//! Bulkheads against a model that keeps everybody, and under contention.
use super::counts;
use crate::support::MS;
use proptest::prelude::*;
use seawall::policy::{Call, Enter, Outcome, Policy, Ticket};
use seawall::{Bulkhead, Reason};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use tokio::time::Instant;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    Resume(usize),
    Exit(usize),
    Limit(u32),
    Time(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Enter),
        4 => any::<usize>().prop_map(Step::Resume),
        5 => any::<usize>().prop_map(Step::Exit),
        1 => (0u32..4).prop_map(Step::Limit),
        2 => (0u64..60).prop_map(Step::Time),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Inside,
    InLine(Instant),
    Granted,
    Refused,
}

/// Everybody who has not left yet, in order of arrival.
struct Model {
    limit: usize,
    calls: Vec<(Ticket, Arc<Bell>, At)>,
}

impl Model {
    fn count(&self, what: impl Fn(At) -> bool) -> usize {
        self.calls.iter().filter(|c| what(c.2)).count()
    }

    fn used(&self) -> usize {
        self.count(|at| matches!(at, At::Inside | At::Granted))
    }

    fn queued(&self) -> usize {
        self.count(|at| matches!(at, At::InLine(_)))
    }

    fn serve(&mut self) {
        let mut free = self.limit.saturating_sub(self.used());
        for call in &mut self.calls {
            if let At::InLine(_) = call.2 {
                if self.limit == 0 {
                    call.2 = At::Refused;
                } else if free > 0 {
                    free -= 1;
                    call.2 = At::Granted;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_list_of_everybody_would(
        limit in 0u32..4,
        places in 1u32..4,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let b = Bulkhead::new(limit).queue(places).max_wait(100 * MS).build().unwrap();
        let mut now = Instant::now();
        let mut model = Model { limit: limit as usize, calls: Vec::new() };
        for step in steps {
            match step {
                Step::Time(ms) => now += ms as u32 * MS,
                Step::Limit(limit) => {
                    b.set_limit(limit);
                    model.limit = limit as usize;
                    model.serve();
                }
                Step::Enter => {
                    let bell = Arc::new(Bell::default());
                    let waker = Waker::from(bell.clone());
                    let entered = b.enter(&Call::at(now).with_waker(&waker));
                    if model.used() < model.limit && model.queued() == 0 {
                        let Enter::Proceed(ticket) = entered else { panic!("{entered:?}") };
                        model.calls.push((ticket, bell, At::Inside));
                    } else if model.limit > 0 && model.queued() < places as usize {
                        let Enter::Wait { ticket, until } = entered else { panic!("{entered:?}") };
                        prop_assert_eq!(until, Some(now + 100 * MS));
                        model.calls.push((ticket, bell, At::InLine(now + 100 * MS)));
                    } else {
                        prop_assert_eq!(entered, Enter::Reject(Reason::BulkheadFull));
                    }
                }
                Step::Resume(pick) if !model.calls.is_empty() => {
                    let pick = pick % model.calls.len();
                    let (ticket, bell, at) = &mut model.calls[pick];
                    if *at == At::Inside {
                        continue;
                    }
                    let waker = Waker::from(bell.clone());
                    let call = Call::at(now).with_waker(&waker);
                    let resumed = b.resume(*ticket, &call);
                    match *at {
                        At::Granted => {
                            let Enter::Proceed(permit) = resumed else { panic!("{resumed:?}") };
                            (*ticket, *at) = (permit, At::Inside);
                        }
                        At::InLine(until) if until > now => {
                            prop_assert_eq!(resumed, Enter::Wait { ticket: *ticket, until: Some(until) });
                        }
                        _ => {
                            let reason = if *at == At::Refused {
                                Reason::BulkheadFull
                            } else {
                                Reason::QueueTimeout { after: 100 * MS }
                            };
                            prop_assert_eq!(resumed, Enter::Reject(reason));
                            b.exit(*ticket, &Outcome::Unused, &call);
                            model.calls.remove(pick);
                        }
                    }
                }
                Step::Exit(pick) if !model.calls.is_empty() => {
                    let (ticket, _, at) = model.calls.remove(pick % model.calls.len());
                    let outcome = if at == At::Inside { Outcome::Cancelled } else { Outcome::Unused };
                    b.exit(ticket, &outcome, &Call::at(now));
                    model.serve();
                }
                Step::Resume(_) | Step::Exit(_) => {}
            }
            prop_assert_eq!(b.limit() as usize, model.limit);
            prop_assert_eq!(b.in_flight() as usize, model.used());
            prop_assert_eq!(b.queued() as usize, model.queued());
            for (_, bell, at) in &model.calls {
                let woken = bell.0.load(SeqCst);
                match at {
                    At::InLine(_) => prop_assert_eq!(woken, 0),
                    At::Granted | At::Refused => prop_assert_eq!(woken, 1),
                    At::Inside => prop_assert!(woken <= 1),
                }
            }
        }
    }
}

/// Comes by at the very moment at which it is woken, and then panics.
struct Intruder {
    b: Bulkhead,
    seen: Mutex<Vec<Enter>>,
}

impl Wake for Intruder {
    fn wake(self: Arc<Self>) {
        let entered = self.b.enter(&Call::at(Instant::now()));
        self.seen.lock().unwrap().push(entered);
        panic!("of a waker");
    }
}

/// Raising the limit frees two permits at once, for three who wait. No lock is held while the
/// first is woken, and yet the second permit is not for whoever comes by.
#[tokio::test(start_paused = true)]
async fn nobody_slips_in_between_two_who_are_called_and_a_bad_waker_keeps_nobody_asleep() {
    let b = Bulkhead::new(1).queue(3).build().unwrap();
    let call = Call::at(Instant::now());
    assert!(matches!(b.enter(&call), Enter::Proceed(_)));
    let intruder = Arc::new(Intruder {
        b: b.clone(),
        seen: Mutex::default(),
    });
    let (bad, bell) = (Waker::from(intruder.clone()), Arc::new(Bell::default()));
    let good = Waker::from(bell.clone());
    for waker in [&bad, &good, &good] {
        let call = Call::at(call.now()).with_waker(waker);
        assert!(matches!(b.enter(&call), Enter::Wait { .. }));
    }
    b.set_limit(3);
    let seen = intruder.seen.lock().unwrap_or_else(|e| e.into_inner());
    assert!(matches!(seen[..], [Enter::Wait { .. }]), "{seen:?}");
    assert_eq!((bell.0.load(SeqCst), counts(&b)), (1, (3, 2)));
}

/// Many tasks on four threads, cancelled at random, while the limit moves between 0 and 3: no
/// permit is lost, none is made up, and nobody is left waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_permit_is_lost_under_contention() {
    struct Inside(Arc<AtomicU32>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    let b = Bulkhead::new(3).queue(10).build().unwrap();
    let (inside, most, done) = (
        Arc::default(),
        Arc::<AtomicU32>::default(),
        Arc::<AtomicU32>::default(),
    );
    let task = |seed: u64| {
        let (b, inside): (_, Arc<AtomicU32>) = (b.clone(), Arc::clone(&inside));
        let (most, done) = (most.clone(), done.clone());
        async move {
            let mut rng = numbers(seed);
            for _ in 0..1_000 {
                let (yields, patience) = (rng() % 6, rng() % 8);
                let run = b.run(|| async {
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    let _inside = Inside(inside.clone());
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    done.fetch_add(1, SeqCst);
                    Ok::<_, u8>(())
                });
                let give_up = async {
                    for _ in 0..patience {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! { biased; _ = run => {}, _ = give_up => {} }
            }
        }
    };
    let tasks: Vec<_> = (1..=16).map(|seed| tokio::spawn(task(seed))).collect();
    let mover = b.clone();
    let mover = tokio::spawn(async move {
        for limit in [0, 3, 1, 2].into_iter().cycle().take(2_000) {
            mover.set_limit(limit);
            tokio::task::yield_now().await;
        }
        mover.set_limit(3);
    });
    for task in tasks.into_iter().chain([mover]) {
        task.await.unwrap();
    }
    assert_eq!((b.limit(), counts(&b)), (3, (0, 0)));
    assert!(most.load(SeqCst) <= 3 && done.load(SeqCst) > 0);
    let held: Vec<_> = (0..3).map(|_| b.enter(&Call::at(Instant::now()))).collect();
    assert!(
        held.iter().all(|e| matches!(e, Enter::Proceed(_))),
        "{held:?}"
    );
}

/// A seeded stream of numbers (xorshift, Marsaglia 2003).
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
