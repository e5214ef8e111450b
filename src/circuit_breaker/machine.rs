//! The states and the ways between them; pure.
//!
//! ```text
//! Closed ──rule broken──► Open ──break over, a call comes──► HalfOpen ──probes well──► Closed
//!    └──told to wait──────►▲◄──────probes bad, told to wait─────┘
//!
//! by hand, from anywhere:  Isolated, Disabled, MetricsOnly, Closed
//! ```
//! Every change, and every reset, begins a generation. What comes from another one changes nothing.
use super::break_time::BreakTime;
use super::probes::{Answer, Probes};
use super::rules::Rules;
use super::tagged::Generation;
use super::{Cause, State};
use std::time::Duration;

/// What a breaker is, behind its lock. Times are nanoseconds, as of
/// [`Call::nanos`](crate::policy::Call::nanos).
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) generation: Generation,
    pub(super) state: State,
    pub(super) cause: Option<Cause>,
    pub(super) sequence: u64,
    pub(super) trips: u32,
    pub(super) open_until: u64,
    pub(super) probes: Probes,
    pub(super) breaks: BreakTime,
    pub(super) rules: Rules,
    pub(super) slow_after: Option<u64>,
    /// The longest break that a dependency may ask for.
    pub(super) heed: Option<u64>,
}

/// What becomes of a call that is not simply let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Free,
    Probe(u64),
    /// For so many nanoseconds more.
    Open(u64),
    ProbesOut,
    Isolated,
}

/// What an outcome says about the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ok,
    Failed,
    Throttled(Option<Duration>),
    Nothing,
}

/// A change of state, to be told after unlocking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) from: State,
    pub(super) to: State,
    pub(super) cause: Cause,
    pub(super) sequence: u64,
}

impl Machine {
    pub(super) fn admit(&mut self, now: u64) -> (Admission, Option<Change>) {
        match self.state {
            State::Closed | State::Disabled | State::MetricsOnly => (Admission::Free, None),
            State::Isolated => (Admission::Isolated, None),
            State::Open if now < self.open_until => (Admission::Open(self.open_until - now), None),
            State::Open => {
                let change = self.change(State::HalfOpen, Cause::BreakOver);
                self.probes.begin();
                (self.probe(now), Some(change))
            }
            State::HalfOpen => (self.probe(now), None),
        }
    }

    fn probe(&mut self, now: u64) -> Admission {
        let number = self.probes.admit(now);
        number.map_or(Admission::ProbesOut, Admission::Probe)
    }

    /// A rule was broken by a call of this generation.
    pub(super) fn trip(
        &mut self,
        generation: Generation,
        cause: Cause,
        now: u64,
    ) -> Option<Change> {
        let current = self.generation == generation && self.state == State::Closed;
        current.then(|| self.open(cause, now))
    }

    /// A call of this generation was told to come back later.
    pub(super) fn throttle(
        &mut self,
        generation: Generation,
        hint: Duration,
        now: u64,
    ) -> Option<Change> {
        let current = self.generation == generation;
        if !current || !matches!(self.state, State::Closed | State::HalfOpen) || hint.is_zero() {
            return None;
        }
        let length = crate::clock::nanos(hint).min(self.heed?);
        self.open_until = now.saturating_add(length);
        let break_for = Duration::from_nanos(length);
        // Obedience is no trip: the next break does not grow by it.
        Some(self.change(State::Open, Cause::RetryAfter { break_for }))
    }

    /// A probe of this generation has ended.
    pub(super) fn probe_over(
        &mut self,
        generation: Generation,
        number: u64,
        said: Said,
        now: u64,
    ) -> Option<Change> {
        // Probes are admitted half-open alone, and what ends that begins a generation.
        if self.generation != generation {
            return None;
        }
        let answer = match said {
            Said::Nothing => Answer::Nothing,
            Said::Ok => Answer::Said { failed: false },
            Said::Failed | Said::Throttled(None) => Answer::Said { failed: true },
            Said::Throttled(Some(hint)) => {
                if self.probes.holds(number)
                    && let Some(change) = self.throttle(generation, hint, now)
                {
                    return Some(change);
                }
                Answer::Said { failed: true }
            }
        };
        let settled = self.probes.settle(number, answer, self.slow_after, now);
        let answered = settled.ok().flatten()?;
        let cause = Cause::Probes {
            probes: answered.calls,
            failures: answered.failures,
            slow: answered.slow_calls,
        };
        Some(if self.rules.condemn(answered) {
            self.open(cause, now)
        } else {
            self.trips = 0;
            self.change(State::Closed, cause)
        })
    }

    /// Where it is told to go. It may be there already.
    pub(super) fn by_hand(&mut self, to: State) -> Option<Change> {
        if self.state == to {
            return None;
        }
        self.trips = 0;
        Some(self.change(to, Cause::ByHand))
    }

    /// As it was built, whatever it is.
    pub(super) fn reset(&mut self) -> Option<Change> {
        let change = self.by_hand(State::Closed);
        if change.is_none() {
            self.generation = self.generation.next();
        }
        (self.trips, self.cause) = (0, None);
        change
    }

    fn open(&mut self, cause: Cause, now: u64) -> Change {
        self.trips = self.trips.saturating_add(1);
        self.open_until = now.saturating_add(self.breaks.draw(self.trips));
        self.change(State::Open, cause)
    }

    fn change(&mut self, to: State, cause: Cause) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        self.generation = self.generation.next();
        self.sequence = self.sequence.saturating_add(1);
        self.cause = Some(cause);
        Change {
            from,
            to,
            cause,
            sequence: self.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    const FAILURES: Cause = Cause::ConsecutiveFailures { failures: 5 };

    fn machine() -> Machine {
        Machine {
            generation: Generation::default(),
            state: State::Closed,
            cause: None,
            sequence: 0,
            trips: 0,
            open_until: 0,
            probes: Probes::new(2, 50),
            breaks: BreakTime {
                base: 100,
                factor: 2.0,
                max: 300,
                jitter_ratio: 0.0,
                rng: Rng::with_seed(0),
            },
            rules: Rules {
                consecutive: Some(5),
                failures: None,
                slow: None,
                minimum: 1,
            },
            slow_after: None,
            heed: Some(80),
        }
    }

    fn tripped(at: u64) -> Machine {
        let mut m = machine();
        assert!(m.trip(m.generation, FAILURES, at).is_some());
        m
    }

    fn probe(m: &mut Machine, now: u64) -> u64 {
        match m.admit(now) {
            (Admission::Probe(number), _) => number,
            other => panic!("{other:?}"),
        }
    }

    /// Both probes; what came of the second.
    fn probes(m: &mut Machine, said: [Said; 2], now: u64) -> Option<Change> {
        let numbers = [(); 2].map(|()| probe(m, now));
        assert_eq!(m.probe_over(m.generation, numbers[0], said[0], now), None);
        m.probe_over(m.generation, numbers[1], said[1], now)
    }

    #[test]
    fn it_opens_at_the_trip_and_half_opens_with_the_first_call_after_the_break() {
        let mut m = tripped(1_000);
        assert_eq!(m.admit(1_000), (Admission::Open(100), None));
        assert_eq!(m.admit(10), (Admission::Open(1_090), None));
        assert_eq!(m.admit(1_099), (Admission::Open(1), None));
        assert_eq!(m.state, State::Open);
        let (admission, change) = m.admit(1_100);
        assert!(matches!(admission, Admission::Probe(_)));
        let change = change.unwrap();
        assert_eq!(
            (change.from, change.to, change.cause, change.sequence),
            (State::Open, State::HalfOpen, Cause::BreakOver, 2)
        );
        probe(&mut m, 1_100);
        assert_eq!(m.admit(1_100), (Admission::ProbesOut, None));
    }

    #[test]
    fn the_probes_decide_together_by_their_rate() {
        let mut m = tripped(0);
        let change = probes(&mut m, [Said::Ok, Said::Failed], 100).unwrap();
        assert_eq!((change.to, m.open_until, m.trips), (State::Open, 300, 2));
        let cause = Cause::Probes {
            probes: 2,
            failures: 1,
            slow: 0,
        };
        assert_eq!(change.cause, cause);
        let change = probes(&mut m, [Said::Ok, Said::Ok], 300).unwrap();
        assert_eq!((change.to, change.sequence, m.trips), (State::Closed, 5, 0));
    }

    #[test]
    fn breaks_grow_with_consecutive_trips_and_begin_anew_after_closing() {
        let mut m = tripped(0);
        let mut now = m.open_until;
        for length in [200, 300, 300] {
            probes(&mut m, [Said::Failed; 2], now);
            assert_eq!(m.open_until - now, length);
            now = m.open_until;
        }
        probes(&mut m, [Said::Ok; 2], now);
        let _ = m.trip(m.generation, FAILURES, now);
        assert_eq!(m.open_until - now, 100);
    }

    #[test]
    fn a_throttled_probe_has_failed() {
        let mut m = tripped(0);
        let said = [Said::Throttled(None), Said::Ok];
        assert_eq!(probes(&mut m, said, 100).unwrap().to, State::Open);
    }

    #[test]
    fn a_hint_opens_for_that_long_capped_and_is_no_trip() {
        let mut m = machine();
        let hint = Duration::from_nanos(30);
        let change = m.throttle(m.generation, hint, 7).unwrap();
        assert_eq!(change.cause, Cause::RetryAfter { break_for: hint });
        assert_eq!((m.open_until, m.trips), (37, 0));
        let number = probe(&mut m, 37);
        let said = Said::Throttled(Some(Duration::from_secs(1)));
        let change = m.probe_over(m.generation, number, said, 40).unwrap();
        assert_eq!((change.to, m.open_until), (State::Open, 120));
        let mut deaf = machine();
        deaf.heed = None;
        assert_eq!(deaf.throttle(deaf.generation, hint, 7), None);
        assert_eq!(m.throttle(m.generation, hint, 130), None);
    }

    #[test]
    fn told_to_wait_for_no_time_it_stays_as_it_is() {
        let mut m = machine();
        assert_eq!(m.throttle(m.generation, Duration::ZERO, 7), None);
        assert_eq!(m.state, State::Closed);
    }

    #[test]
    fn the_hint_of_a_probe_that_has_lost_its_slot_opens_nothing() {
        let mut m = tripped(0);
        let hung = [probe(&mut m, 100), probe(&mut m, 100)];
        let heir = probe(&mut m, 150);
        let said = Said::Throttled(Some(Duration::from_nanos(30)));
        assert_eq!(m.probe_over(m.generation, hung[0], said, 160), None);
        assert_eq!(m.state, State::HalfOpen);
        assert!(m.probe_over(m.generation, heir, said, 160).is_some());
    }

    #[test]
    fn nothing_of_an_earlier_generation_moves_it() {
        let mut m = machine();
        let old = m.generation;
        let _ = m.reset();
        assert_eq!(m.trip(old, FAILURES, 0), None);
        assert_eq!(m.throttle(old, Duration::from_secs(1), 0), None);
        let mut m = tripped(0);
        let first = probe(&mut m, 100);
        let half_open = m.generation;
        m.by_hand(State::Closed).unwrap();
        assert_eq!(m.probe_over(half_open, first, Said::Failed, 100), None);
        assert_eq!(m.state, State::Closed);
    }

    #[test]
    fn by_hand_it_goes_from_anywhere_to_anywhere_and_once() {
        let all = [
            State::Closed,
            State::Isolated,
            State::Disabled,
            State::MetricsOnly,
        ];
        for from in all {
            for to in all {
                let mut m = tripped(0);
                m.by_hand(from).unwrap();
                let change = m.by_hand(to);
                assert_eq!(change.is_some(), from != to);
                assert_eq!((m.state, m.trips), (to, 0));
                assert!(change.is_none_or(|c| c.cause == Cause::ByHand && c.sequence == 3));
            }
        }
    }

    #[test]
    fn what_is_open_by_hand_stays_so() {
        let mut m = machine();
        m.by_hand(State::Isolated).unwrap();
        assert_eq!(m.admit(u64::MAX), (Admission::Isolated, None));
        for state in [State::Disabled, State::MetricsOnly] {
            m.by_hand(state).unwrap();
            assert_eq!(m.admit(0), (Admission::Free, None));
            assert_eq!(m.trip(m.generation, FAILURES, 0), None);
        }
    }

    #[test]
    fn a_reset_of_a_closed_one_is_no_change_but_a_new_generation() {
        let mut m = machine();
        let before = m.generation;
        assert_eq!(m.reset(), None);
        assert_ne!(m.generation, before);
        let mut m = tripped(0);
        assert!(m.reset().is_some());
        assert_eq!((m.state, m.cause, m.trips), (State::Closed, None, 0));
    }
}
