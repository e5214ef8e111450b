//! The pure part of a last known good: what is kept, and for whom.
use crate::clock::Instant;
use std::time::Duration;

/// A call that has begun: its number, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    number: u64,
    at: Instant,
}

/// One value: the answer of the latest call that gave one.
#[derive(Debug)]
pub(super) struct Shelf<V> {
    /// The number of the last call that has begun.
    last: u64,
    /// Answers up to this number come too late.
    floor: u64,
    kept: Option<(Begun, V)>,
}

impl<V: Clone> Shelf<V> {
    pub(super) fn new() -> Self {
        Shelf {
            last: 0,
            floor: 0,
            kept: None,
        }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Instant) -> Begun {
        self.last = self.last.saturating_add(1);
        Begun {
            number: self.last,
            at: now,
        }
    }

    /// It has answered. Gives back what is not needed any more, to be dropped elsewhere: the older
    /// value, or this one if it comes too late.
    pub(super) fn offer(&mut self, by: Begun, value: V) -> Option<V> {
        if by.number <= self.floor {
            return Some(value);
        }
        self.floor = by.number;
        self.kept.replace((by, value)).map(|(_, older)| older)
    }

    /// The value and its age, and what has grown too old, to be dropped elsewhere.
    pub(super) fn serve(
        &mut self,
        max_age: Duration,
        now: Instant,
    ) -> (Option<(V, Duration)>, Option<V>) {
        match &self.kept {
            Some((by, value)) => {
                let age = now.saturating_duration_since(by.at);
                if age <= max_age {
                    (Some((value.clone(), age)), None)
                } else {
                    (None, self.kept.take().map(|(_, expired)| expired))
                }
            }
            None => (None, None),
        }
    }

    /// Forgets the value, and the answers of all calls that have begun. Gives back what was kept.
    pub(super) fn clear(&mut self) -> Option<V> {
        self.floor = self.last;
        self.kept.take().map(|(_, forgotten)| forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    fn value<V>(served: (Option<(V, Duration)>, Option<V>)) -> Option<V> {
        served.0.map(|(value, _)| value)
    }

    #[test]
    fn a_late_answer_to_an_earlier_call_does_not_replace_a_newer_one() {
        let (mut shelf, t) = (Shelf::new(), crate::clock::now());
        let (early, late) = (shelf.begin(t), shelf.begin(t));
        assert_eq!(shelf.offer(late, "new"), None);
        assert_eq!(shelf.offer(early, "old"), Some("old"));
        assert_eq!(value(shelf.serve(S, t)), Some("new"));
    }

    #[test]
    fn nothing_that_began_before_a_clear_is_kept() {
        let (mut shelf, t) = (Shelf::new(), crate::clock::now());
        let (first, under_way) = (shelf.begin(t), shelf.begin(t));
        shelf.offer(first, 1);
        assert_eq!(shelf.clear(), Some(1));
        assert_eq!(shelf.offer(under_way, 2), Some(2));
        let after = shelf.begin(t);
        assert_eq!(shelf.offer(after, 3), None);
        assert_eq!(value(shelf.serve(S, t)), Some(3));
    }

    #[test]
    fn age_counts_from_the_beginning_of_the_call_and_never_below_zero() {
        let (mut shelf, t) = (Shelf::new(), crate::clock::now() + S);
        let call = shelf.begin(t);
        shelf.offer(call, ());
        assert_eq!(shelf.serve(S, t + S).0, Some(((), S)));
        assert_eq!(shelf.serve(S, t - S).0, Some(((), Duration::ZERO)));
    }

    #[test]
    fn what_is_too_old_is_given_back_once_and_stays_gone() {
        let (mut shelf, t) = (Shelf::new(), crate::clock::now());
        let call = shelf.begin(t);
        shelf.offer(call, 'a');
        let past = t + S + Duration::from_nanos(1);
        assert_eq!(shelf.serve(S, past), (None, Some('a')));
        assert_eq!(shelf.serve(S, t), (None, None));
    }

    #[derive(Clone, Debug)]
    enum Do {
        Begin,
        /// The n-th of the calls under way answers.
        Answer(usize),
        Pass(u64),
        Serve,
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Do>> {
        let step = prop_oneof![
            4 => Just(Do::Begin),
            4 => (0..8_usize).prop_map(Do::Answer),
            3 => (0..4_u64).prop_map(Do::Pass),
            3 => Just(Do::Serve),
            1 => Just(Do::Clear),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// The model keeps every answer there ever was: what is served is that of the latest call,
        /// if it began after the last clear and is young enough.
        #[test]
        fn it_serves_what_a_full_history_would(steps in steps()) {
            let max_age = 3 * S;
            let (mut shelf, mut now) = (Shelf::new(), crate::clock::now());
            let mut under_way: Vec<Begun> = Vec::new();
            let mut answers: Vec<(Begun, u64)> = Vec::new();
            let (mut begun, mut cleared) = (0, 0);
            for step in steps {
                match step {
                    Do::Begin => {
                        begun += 1;
                        under_way.push(shelf.begin(now));
                    }
                    Do::Answer(n) if n < under_way.len() => {
                        let call = under_way.remove(n);
                        answers.push((call, call.number));
                        shelf.offer(call, call.number);
                    }
                    Do::Answer(_) => {}
                    Do::Pass(seconds) => now += seconds as u32 * S,
                    Do::Clear => {
                        cleared = begun;
                        shelf.clear();
                    }
                    Do::Serve => {
                        let latest = answers
                            .iter()
                            .filter(|(call, _)| call.number > cleared)
                            .max_by_key(|(call, _)| call.number)
                            .map(|(call, value)| (*value, now - call.at))
                            .filter(|(_, age)| *age <= max_age);
                        prop_assert_eq!(shelf.serve(max_age, now).0, latest);
                    }
                }
            }
        }
    }
}
