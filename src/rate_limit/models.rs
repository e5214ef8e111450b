//! Every interleaving of a few calls at one limit.
use super::RateLimit;
use crate::clock;
use crate::policy::{Call, Enter, Outcome, Policy};
use loom::thread;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_last_permit_goes_to_one_of_two() {
    loom::model(|| {
        let limit = RateLimit::new(1, DAY).build().unwrap();
        let now = clock::now();
        let enters =
            move |limit: &RateLimit| matches!(limit.enter(&Call::at(now)), Enter::Proceed(_));
        let other = {
            let limit = limit.clone();
            thread::spawn(move || enters(&limit))
        };
        let mine = enters(&limit);
        assert!(mine ^ other.join().unwrap());
    });
}

#[test]
fn a_turn_is_given_back_whole_or_not_at_all() {
    loom::model(|| {
        let limit = RateLimit::new(2, DAY).burst(2).build().unwrap();
        let now = clock::now();
        let Enter::Proceed(ticket) = limit.enter(&Call::at(now)) else {
            panic!("the burst is there");
        };
        let gives_back = {
            let limit = limit.clone();
            thread::spawn(move || {
                limit.exit(ticket, &Outcome::Unused, &Call::at(now));
            })
        };
        let entered = matches!(limit.enter(&Call::at(now)), Enter::Proceed(_));
        gives_back.join().unwrap();
        assert!(entered);
        // Given back before the other came, or lost: never both turns free, never a third taken.
        let free = (0..3).filter(|_| matches!(limit.enter(&Call::at(now)), Enter::Proceed(_)));
        assert!(free.count() <= 1);
    });
}

#[test]
fn of_two_that_wait_each_has_a_turn_of_its_own() {
    loom::model(|| {
        let limit = RateLimit::new(1, DAY).max_wait(9 * DAY).build().unwrap();
        let now = clock::now();
        assert!(matches!(limit.enter(&Call::at(now)), Enter::Proceed(_)));
        let waits = move |limit: &RateLimit| match limit.enter(&Call::at(now)) {
            Enter::Delay { until, .. } => until,
            other => panic!("{other:?}"),
        };
        let other = {
            let limit = limit.clone();
            thread::spawn(move || waits(&limit))
        };
        let mut turns = [waits(&limit), other.join().unwrap()];
        turns.sort_unstable();
        assert_eq!(turns, [now + DAY, now + 2 * DAY]);
    });
}
