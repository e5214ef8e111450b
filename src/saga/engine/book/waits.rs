//! What a saga waits for beside its steps: timers, signals, and the letters that no wait has taken
//! yet. A saga may have very many of each: none of this looks through them.
use super::Raw;
use crate::saga::flow::Letter;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Default)]
pub(in crate::saga::engine) struct Waits {
    timers: BTreeMap<u32, i64>,
    /// The signal's name, and until when.
    waits: BTreeMap<u32, (String, Option<i64>)>,
    /// The same by name. Numbers rise, so the first has waited longest.
    by_name: BTreeMap<String, BTreeSet<u32>>,
    /// When timers fire and waits end.
    ends: BTreeSet<(i64, u32)>,
    /// By the signal's name.
    letters: BTreeMap<String, VecDeque<Letter>>,
    arrived: u64,
}

impl Waits {
    pub(super) fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.waits.is_empty()
    }

    pub(super) fn add_timer(&mut self, op: u32, at: i64) {
        self.timers.insert(op, at);
        self.ends.insert((at, op));
    }

    /// `false`: there is none.
    pub(super) fn end_timer(&mut self, op: u32) -> bool {
        let at = self.timers.remove(&op);
        at.is_some_and(|at| self.ends.remove(&(at, op)))
    }

    pub(super) fn add_wait(&mut self, op: u32, name: String, until: Option<i64>) {
        self.by_name.entry(name.clone()).or_default().insert(op);
        self.ends.extend(until.map(|until| (until, op)));
        self.waits.insert(op, (name, until));
    }

    /// `false`: there is none.
    pub(super) fn end_wait(&mut self, op: u32) -> bool {
        let Some((name, until)) = self.waits.remove(&op) else {
            return false;
        };
        if let Some(of_name) = self.by_name.get_mut(&name) {
            of_name.remove(&op);
        }
        if let Some(until) = until {
            self.ends.remove(&(until, op));
        }
        true
    }

    pub(super) fn has_timer(&self, op: u32) -> bool {
        self.timers.contains_key(&op)
    }

    pub(super) fn has_wait(&self, op: u32) -> bool {
        self.waits.contains_key(&op)
    }

    /// When the next one comes due.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// The operations that are due, by when and by number.
    pub(super) fn due(&self, now: i64) -> impl Iterator<Item = u32> {
        let due = self.ends.range(..=(now, u32::MAX));
        due.map(|(_, op)| *op)
    }

    pub(super) fn put(&mut self, id: String, name: String, body: Raw) {
        self.arrived = self.arrived.saturating_add(1);
        let arrival = self.arrived;
        let of_name = self.letters.entry(name.clone()).or_default();
        of_name.push_back(Letter {
            arrival,
            id,
            name,
            body,
        });
    }

    /// One that was taken, and not looked at: to where it was.
    pub(super) fn put_back(&mut self, letter: Letter) {
        let of_name = self.letters.entry(letter.name.clone()).or_default();
        let place = of_name.partition_point(|other| other.arrival < letter.arrival);
        of_name.insert(place, letter);
    }

    /// The wait that has waited longest of those with a letter, and that letter; both are taken.
    pub(super) fn take(&mut self) -> Option<(u32, Letter)> {
        let first = |name: &String| self.by_name.get(name)?.first().copied();
        let with_letter = self
            .letters
            .iter()
            .filter(|(_, letters)| !letters.is_empty());
        let (op, name) = with_letter
            .filter_map(|(name, _)| Some((first(name)?, name)))
            .min()?;
        let name = name.clone();
        let letter = self.letters.get_mut(&name)?.pop_front()?;
        self.end_wait(op);
        Some((op, letter))
    }

    /// All letters, in the order of their arrival.
    pub(super) fn unread(&mut self) -> impl Iterator<Item = Letter> {
        let letters = std::mem::take(&mut self.letters).into_values().flatten();
        let unread: BTreeMap<_, _> = letters.map(|letter| (letter.arrival, letter)).collect();
        unread.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    const NAMES: [&str; 3] = ["paid", "shipped", "cancelled"];

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Timer(i64),
        Wait(usize, Option<i64>),
        Letter(usize),
        Take,
        PutBack(usize),
        End(usize),
        Unread,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0i64..20).prop_map(Step::Timer),
            (0usize..3, prop::option::of(0i64..20)).prop_map(|(n, until)| Step::Wait(n, until)),
            (0usize..3).prop_map(Step::Letter),
            Just(Step::Take),
            any::<usize>().prop_map(Step::PutBack),
            any::<usize>().prop_map(Step::End),
            Just(Step::Unread),
        ]
    }

    /// An operation: its number, the name it waits for (a timer has none), and when it ends.
    type Asked = (u32, Option<usize>, Option<i64>);

    proptest! {
        /// The model keeps all in the order in which it came, and looks through it.
        #[test]
        fn letters_go_to_the_longest_wait_and_ends_come_in_their_order(
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let mut waits = Waits::default();
            let (mut asked, mut letters) = (Vec::<Asked>::new(), Vec::<(usize, u32)>::new());
            let mut held = Vec::new();
            for (n, step) in (0u32..).zip(steps) {
                match step {
                    Step::Timer(at) => {
                        waits.add_timer(n, at);
                        asked.push((n, None, Some(at)));
                    }
                    Step::Wait(name, until) => {
                        waits.add_wait(n, NAMES[name].to_owned(), until);
                        asked.push((n, Some(name), until));
                    }
                    Step::Letter(name) => {
                        let body = RawValue::from_string(n.to_string()).unwrap();
                        waits.put(n.to_string(), NAMES[name].to_owned(), body);
                        letters.push((name, n));
                    }
                    Step::Take => {
                        let fits = |a: &Asked| {
                            letters.iter().position(|l| Some(l.0) == a.1)
                        };
                        let found = asked.iter().enumerate().find_map(|(i, a)| Some((i, fits(a)?)));
                        let taken = waits.take().map(|(op, letter)| {
                            let body = letter.body.get().to_owned();
                            held.push(letter);
                            (op, body)
                        });
                        let expected = found.map(|(wait, letter)| {
                            (asked.remove(wait).0, letters.remove(letter).1.to_string())
                        });
                        prop_assert_eq!(taken, expected);
                    }
                    Step::PutBack(_) if held.is_empty() => {}
                    Step::PutBack(pick) => {
                        let letter = held.remove(pick % held.len());
                        let name = NAMES.iter().position(|name| *name == letter.name);
                        letters.push((name.unwrap(), letter.body.get().parse().unwrap()));
                        letters.sort_by_key(|letter| letter.1);
                        waits.put_back(letter);
                    }
                    Step::End(pick) if !asked.is_empty() => {
                        let (op, name, _) = asked.remove(pick % asked.len());
                        let (timer, wait) = (waits.end_timer(op), waits.end_wait(op));
                        prop_assert_eq!((timer, wait), (name.is_none(), name.is_some()));
                    }
                    Step::End(op) => prop_assert!(!waits.end_wait(op as u32)),
                    Step::Unread => {
                        let ids: Vec<_> = waits.unread().map(|letter| letter.id).collect();
                        let expected: Vec<_> = letters.drain(..).map(|l| l.1.to_string()).collect();
                        prop_assert_eq!(ids, expected);
                    }
                }
                let mut ends: Vec<_> = asked.iter().filter_map(|a| Some((a.2?, a.0))).collect();
                ends.sort_unstable();
                prop_assert_eq!(waits.next_due(), ends.first().map(|end| end.0));
                let due: Vec<u32> = ends.iter().filter(|end| end.0 <= 9).map(|end| end.1).collect();
                prop_assert_eq!(waits.due(9).collect::<Vec<_>>(), due);
                prop_assert_eq!(waits.is_empty(), asked.is_empty());
            }
        }
    }
}
