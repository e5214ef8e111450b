//! Half-open: exactly so many probes, and their answers.
//!
//! | | |
//! |---|---|
//! | a call comes | takes a slot, if answers and probes under way are fewer than needed |
//! | | or that of the oldest probe whose lease is over |
//! | a probe answers | its slot becomes an answer |
//! | a probe says nothing | its slot is free again |
//! | whoever lost its slot answers | counts nowhere |
//!
//! A probe whose lease is over still counts for as long as nobody has taken its slot.
//!
//! Those that are out stand in the order in which they were let in, so the first has the oldest
//! lease: a call that is refused looks at that one alone.
use super::snapshot::{self, Counts};
use super::tagged::VALUE;
use std::collections::VecDeque;

/// The slots of one half-open breaker, used again each time.
#[derive(Debug)]
pub(super) struct Probes {
    needed: u32,
    /// Nanoseconds.
    lease: u64,
    /// By number, and so by lease.
    out: VecDeque<Out>,
    last: u64,
    answered: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    number: u64,
    since: u64,
}

/// What a probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Said { failed: bool },
}

impl Probes {
    pub(super) fn new(needed: u32, lease: u64) -> Self {
        let needed = needed.max(1);
        Probes {
            needed,
            lease,
            out: VecDeque::with_capacity(needed as usize),
            last: 0,
            answered: Counts::default(),
        }
    }

    /// Nobody is out, nobody has answered.
    pub(super) fn begin(&mut self) {
        self.out.clear();
        self.answered = Counts::default();
    }

    /// The number of a new probe; `None`: all slots are taken.
    pub(super) fn admit(&mut self, now: u64) -> Option<u64> {
        let taken = self.answered.calls.saturating_add(self.out.len() as u64);
        if taken >= u64::from(self.needed) {
            let oldest = self.out.front()?;
            if now.saturating_sub(oldest.since) < self.lease {
                return None;
            }
            self.out.pop_front();
        }
        // Never again given out while an old holder may come back with it: 48 bits.
        let number = self.last.wrapping_add(1) & VALUE;
        // Time may come out of order between threads; leases do not.
        let since = self.out.back().map_or(now, |last| now.max(last.since));
        self.out.push_back(Out { number, since });
        self.last = number;
        Some(number)
    }

    /// `slow_after` in nanoseconds. `Some`: it was the last, and these are the answers. `Err`: the
    /// probe has no slot.
    pub(super) fn settle(
        &mut self,
        number: u64,
        answer: Answer,
        slow_after: Option<u64>,
        now: u64,
    ) -> Result<Option<Counts>, Forgotten> {
        let probe = self.place(number).and_then(|at| self.out.remove(at));
        let probe = probe.ok_or(Forgotten)?;
        let Answer::Said { failed } = answer else {
            return Ok(None);
        };
        let slow = slow_after.is_some_and(|limit| now.saturating_sub(probe.since) > limit);
        let answered = &mut self.answered;
        answered.calls = answered.calls.saturating_add(1);
        answered.failures = answered.failures.saturating_add(u64::from(failed));
        answered.slow_calls = answered.slow_calls.saturating_add(u64::from(slow));
        Ok((answered.calls >= u64::from(self.needed)).then_some(*answered))
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        self.place(number).is_some()
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.out
            .binary_search_by_key(&number, |out| out.number)
            .ok()
    }

    pub(super) fn snapshot(&self) -> snapshot::Probes {
        snapshot::Probes {
            needed: self.needed,
            out: u32::try_from(self.out.len()).unwrap_or(u32::MAX),
            answered: self.answered,
        }
    }
}

/// A probe that has lost its slot to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forgotten;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OK: Answer = Answer::Said { failed: false };

    #[test]
    fn a_probe_that_says_nothing_gives_its_slot_back() {
        let mut probes = Probes::new(1, 100);
        let first = probes.admit(0).unwrap();
        assert_eq!(probes.admit(0), None);
        assert_eq!(probes.settle(first, Answer::Nothing, None, 1), Ok(None));
        let second = probes.admit(1).unwrap();
        let counts = probes.settle(second, OK, None, 2).unwrap().unwrap();
        assert_eq!((counts.calls, counts.failures), (1, 0));
        assert_eq!(
            probes.admit(3),
            None,
            "an answer does not free the slot of a probe"
        );
    }

    #[test]
    fn a_probe_is_slow_that_took_longer_than_the_limit() {
        let slow = |took: u64| {
            let mut probes = Probes::new(1, 100);
            let probe = probes.admit(5).unwrap();
            let answers = probes.settle(probe, OK, Some(10), 5 + took);
            answers.unwrap().unwrap().slow_calls
        };
        assert_eq!([0, 10, 11, 99].map(slow), [0, 0, 1, 1]);
    }

    #[test]
    fn a_slot_is_given_up_when_its_lease_is_over_and_not_before() {
        let mut probes = Probes::new(1, 100);
        let hung = probes.admit(5).unwrap();
        assert_eq!(probes.admit(104), None);
        assert_eq!(probes.admit(0), None, "time runs backwards");
        let heir = probes.admit(105).unwrap();
        assert_eq!(probes.settle(hung, OK, None, 106), Err(Forgotten));
        assert!(probes.settle(heir, OK, None, 107).unwrap().is_some());
    }

    #[test]
    fn a_lease_does_not_end_before_that_of_a_probe_let_in_earlier() {
        let mut probes = Probes::new(2, 100);
        let first = probes.admit(50).unwrap();
        let second = probes.admit(10).unwrap(); // by a thread whose clock reading is older
        assert_eq!(probes.admit(149), None);
        probes.admit(150).unwrap();
        assert!(!probes.holds(first) && probes.holds(second));
        probes.admit(150).unwrap();
        assert!(!probes.holds(second));
    }

    #[test]
    fn after_its_lease_a_probe_counts_until_its_slot_is_taken() {
        let mut probes = Probes::new(1, 100);
        let late = probes.admit(0).unwrap();
        assert!(probes.settle(late, OK, None, 1_000).unwrap().is_some());
    }

    #[test]
    fn slow_is_strictly_longer_than_the_limit() {
        let mut probes = Probes::new(3, 1_000);
        let out = [(); 3].map(|()| probes.admit(10).unwrap());
        probes.settle(out[0], OK, Some(50), 60).unwrap();
        probes.settle(out[1], OK, Some(50), 61).unwrap();
        let counts = probes.settle(out[2], OK, Some(50), 0).unwrap().unwrap();
        assert_eq!(counts.slow_calls, 1);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Admit,
        Settle(usize, Option<bool>),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Admit),
            3 => (any::<prop::sample::Index>(), any::<Option<bool>>())
                .prop_map(|(i, said)| Step::Settle(i.index(64), said)),
            1 => (0u64..80).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// The model keeps every probe there ever was, with what became of it.
        #[test]
        fn never_more_probes_than_needed_and_never_one_answer_too_many(
            needed in 1u32..5,
            steps in prop::collection::vec(step(), 0..150),
        ) {
            #[derive(Debug, PartialEq)]
            enum Fate { Out(u64), Said(bool), Nothing, Replaced }
            let mut probes = Probes::new(needed, 100);
            let mut model: Vec<(u64, Fate)> = Vec::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Wait(for_) => now += for_,
                    Step::Admit => {
                        let used = model.iter().filter(|p| matches!(p.1, Fate::Out(_) | Fate::Said(_)));
                        let free = used.count() < needed as usize;
                        let over = model.iter().any(|p| matches!(p.1, Fate::Out(since) if now - since >= 100));
                        let admitted = probes.admit(now);
                        prop_assert_eq!(admitted.is_some(), free || over);
                        if let Some(number) = admitted {
                            if !free {
                                let gone = model.iter_mut().find(|p| {
                                    matches!(p.1, Fate::Out(since) if now - since >= 100) && !probes.holds(p.0)
                                });
                                gone.unwrap().1 = Fate::Replaced;
                            }
                            prop_assert!(model.iter().all(|p| p.0 != number));
                            model.push((number, Fate::Out(now)));
                        }
                    }
                    Step::Settle(i, said) => {
                        if model.is_empty() {
                            continue;
                        }
                        let i = i % model.len();
                        let answer = said.map_or(Answer::Nothing, |failed| Answer::Said { failed });
                        let settled = probes.settle(model[i].0, answer, None, now);
                        prop_assert_eq!(settled.is_ok(), matches!(model[i].1, Fate::Out(_)));
                        if settled.is_ok() {
                            model[i].1 = said.map_or(Fate::Nothing, Fate::Said);
                        }
                        let said = model.iter().filter(|p| matches!(p.1, Fate::Said(_))).count();
                        let failed = model.iter().filter(|p| p.1 == Fate::Said(true)).count();
                        prop_assert!(said <= needed as usize);
                        prop_assert_eq!(probes.snapshot().answered.failures, failed as u64);
                        if let Ok(Some(counts)) = settled {
                            prop_assert_eq!(counts.calls, u64::from(needed));
                            probes.begin();
                            model.retain_mut(|p| {
                                p.1 = Fate::Replaced;
                                true
                            });
                        }
                    }
                }
                let out = model.iter().filter(|p| matches!(p.1, Fate::Out(_))).count();
                prop_assert_eq!(probes.snapshot().out as usize, out);
            }
        }
    }
}
