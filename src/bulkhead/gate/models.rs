//! Every interleaving of a few calls at the door.
use super::*;
use loom::{cell::UnsafeCell, future::block_on, sync::Arc, thread};
use std::{future::poll_fn, task::Poll};

/// As the policy enters and waits: a permit, or told that there is none.
async fn enter(gate: &Gate) -> bool {
    match gate.try_enter() {
        Ok(()) => return true,
        Err(instead) if gate.is_full(instead) => return false,
        Err(_) => {}
    }
    let mut place = None;
    poll_fn(|cx| match place {
        None => match gate.join(None, cx.waker()) {
            Joined::Permit => Poll::Ready(true),
            Joined::Full => Poll::Ready(false),
            Joined::Place(at) => {
                place = Some(at);
                Poll::Pending
            }
        },
        Some(at) => match gate.look(at, cx.waker()) {
            Standing::Granted => Poll::Ready(true),
            Standing::Refused => {
                gate.leave(at);
                Poll::Ready(false)
            }
            Standing::Waiting(_) => Poll::Pending,
        },
    })
    .await
}

/// A place in line, taken while no permit was free.
fn join(gate: &Gate) -> u32 {
    match gate.join(None, Waker::noop()) {
        Joined::Place(at) => at,
        _ => panic!("no place"),
    }
}

fn is_granted(gate: &Gate, place: u32) -> bool {
    matches!(gate.look(place, Waker::noop()), Standing::Granted)
}

#[test]
fn each_waits_for_the_one_before_and_sees_what_it_did() {
    loom::model(|| {
        let shared = Arc::new((Gate::new(1, 2), UnsafeCell::new(())));
        let work = |shared: &(Gate, UnsafeCell<()>)| {
            assert!(block_on(enter(&shared.0)));
            // Whoever has the only permit is alone; loom fails where it is not.
            shared.1.with_mut(|_| ());
            shared.0.release();
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || work(&shared))
        };
        work(&shared);
        other.join().unwrap();
        assert_eq!((shared.0.in_flight(), shared.0.queued()), (0, 0));
        assert!(shared.0.try_enter().is_ok());
    });
}

#[test]
fn a_permit_goes_on_when_the_call_it_was_given_to_leaves() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1, 2));
        assert!(gate.try_enter().is_ok());
        let (first, second) = (join(&gate), join(&gate));
        let leaves = {
            let gate = gate.clone();
            thread::spawn(move || gate.leave(first))
        };
        gate.release();
        leaves.join().unwrap();
        assert!(is_granted(&gate, second));
        assert_eq!((gate.in_flight(), gate.queued()), (1, 0));
    });
}

#[test]
fn nobody_passes_those_in_line() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1, 1));
        assert!(gate.try_enter().is_ok());
        let place = join(&gate);
        let comes_by = {
            let gate = gate.clone();
            thread::spawn(move || gate.try_enter().is_ok())
        };
        gate.release();
        assert!(!comes_by.join().unwrap());
        assert!(is_granted(&gate, place));
    });
}

#[test]
fn a_higher_limit_lets_in_whoever_is_joining() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1, 1));
        assert!(gate.try_enter().is_ok());
        let raises = {
            let gate = gate.clone();
            thread::spawn(move || gate.set_limit(2))
        };
        assert!(block_on(enter(&gate)));
        raises.join().unwrap();
        assert_eq!((gate.in_flight(), gate.queued()), (2, 0));
    });
}

#[test]
fn a_limit_of_zero_leaves_nobody_in_line() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1, 1));
        assert!(gate.try_enter().is_ok());
        let closes = {
            let gate = gate.clone();
            thread::spawn(move || gate.set_limit(0))
        };
        assert!(!block_on(enter(&gate)));
        closes.join().unwrap();
        gate.release();
        assert_eq!((gate.in_flight(), gate.queued()), (0, 0));
        gate.set_limit(1);
        assert!(gate.try_enter().is_ok());
    });
}
