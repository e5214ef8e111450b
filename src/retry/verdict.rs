//! Which outcomes are tried again: the class table, as code.
use crate::event::contain;
use crate::policy::Outcome;
use crate::{Class, Reason};
use std::{sync::Arc, time::Duration};

pub(super) type Predicate = Arc<dyn Fn(&Outcome<'_>) -> bool + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Stop,
    /// After the backoff, and not before this time has passed.
    Again(Duration),
    /// After this time, whatever the backoff.
    Exactly(Duration),
}

#[derive(Clone)]
pub(super) struct Rules {
    pub(super) refusals: bool,
    pub(super) circuit: bool,
    pub(super) max_retry_after: Duration,
    pub(super) retry_if: Option<Predicate>,
}

impl Rules {
    pub(super) fn judge(&self, outcome: &Outcome<'_>) -> Verdict {
        let (again, verdict) = match *outcome {
            Outcome::Answered(Class::Success | Class::Failed | Class::Pushback(None))
            | Outcome::Cancelled
            | Outcome::Unused
            | Outcome::Panicked => return Verdict::Stop,
            Outcome::Answered(Class::Transient) | Outcome::TimedOut => {
                (true, Verdict::Again(Duration::ZERO))
            }
            Outcome::Answered(Class::Throttled(hint)) => (true, self.hinted(hint)),
            Outcome::Answered(Class::Pushback(Some(pause))) => (true, Verdict::Exactly(pause)),
            Outcome::Answered(Class::Permanent | Class::Ignored) => {
                (false, Verdict::Again(Duration::ZERO))
            }
            Outcome::Rejected(refusal) => match self.refused(refusal.reason) {
                Verdict::Stop => return Verdict::Stop,
                verdict => (true, verdict),
            },
        };
        let again = match &self.retry_if {
            None => again,
            Some(asked) => contain(false, || asked(outcome)),
        };
        if again { verdict } else { Verdict::Stop }
    }

    /// Attempts that were sent before the refusal (`Rejected::started`) play no part: each was
    /// judged when it ended, and what was refused was not sent.
    fn refused(&self, reason: Reason) -> Verdict {
        match reason {
            // These never change by themselves; without a timer no wait is possible.
            Reason::CircuitIsolated | Reason::ExceedsBurst { .. } | Reason::NoTimer => {
                Verdict::Stop
            }
            Reason::CircuitOpen { retry_after } if self.circuit => match retry_after {
                Some(hint) => Verdict::Exactly(hint),
                None => Verdict::Again(Duration::ZERO),
            },
            reason if self.refusals => self.hinted(reason.retry_after()),
            _ => Verdict::Stop,
        }
    }

    fn hinted(&self, hint: Option<Duration>) -> Verdict {
        Verdict::Again(hint.unwrap_or_default().min(self.max_retry_after))
    }
}

/// A predicate is equal to its own clones.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let predicates = match (&self.retry_if, &other.retry_if) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        predicates
            && (self.refusals, self.circuit, self.max_retry_after)
                == (other.refusals, other.circuit, other.max_retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, Rejected};

    const S: Duration = Duration::from_secs(1);
    const NOW: Verdict = Verdict::Again(Duration::ZERO);

    fn rules() -> Rules {
        Rules {
            refusals: false,
            circuit: false,
            max_retry_after: 10 * S,
            retry_if: None,
        }
    }

    fn deciding(by: impl Fn(&Outcome<'_>) -> bool + Send + Sync + 'static) -> Rules {
        Rules {
            retry_if: Some(Arc::new(by)),
            ..rules()
        }
    }

    fn refusal(rules: &Rules, reason: Reason) -> Verdict {
        let refusal = Rejected::new(Name::from_static("inner"), reason);
        rules.judge(&Outcome::Rejected(&refusal))
    }

    #[test]
    fn rules_are_equal_if_they_say_the_same_and_ask_the_same_predicate() {
        let differing = [
            Rules {
                refusals: true,
                ..rules()
            },
            Rules {
                circuit: true,
                ..rules()
            },
            Rules {
                max_retry_after: S,
                ..rules()
            },
            deciding(|_| true),
            deciding(|_| true),
        ];
        assert!(rules() == rules());
        for (i, a) in differing.iter().enumerate() {
            assert!(*a != rules() && rules() != *a);
            for (j, b) in differing.iter().enumerate() {
                assert_eq!(*a == b.clone(), i == j);
            }
        }
    }

    const OPEN: Reason = Reason::CircuitOpen {
        retry_after: Some(S),
    };

    #[test]
    fn the_table_is_as_documented() {
        let table = [
            (Outcome::Answered(Class::Success), Verdict::Stop),
            (Outcome::Answered(Class::Transient), NOW),
            (Outcome::Answered(Class::Throttled(None)), NOW),
            (Outcome::Answered(Class::Pushback(None)), Verdict::Stop),
            (
                Outcome::Answered(Class::Pushback(Some(60 * S))),
                Verdict::Exactly(60 * S),
            ),
            (
                Outcome::Answered(Class::Throttled(Some(S))),
                Verdict::Again(S),
            ),
            (Outcome::Answered(Class::Failed), Verdict::Stop),
            (Outcome::Answered(Class::Permanent), Verdict::Stop),
            (Outcome::Answered(Class::Ignored), Verdict::Stop),
            (Outcome::TimedOut, NOW),
            (Outcome::Cancelled, Verdict::Stop),
            (Outcome::Unused, Verdict::Stop),
            (Outcome::Panicked, Verdict::Stop),
        ];
        for (outcome, verdict) in table {
            assert_eq!(rules().judge(&outcome), verdict, "{outcome:?}");
        }
        assert_eq!(refusal(&rules(), OPEN), Verdict::Stop);
        assert_eq!(refusal(&rules(), Reason::BulkheadFull), Verdict::Stop);
    }

    #[test]
    fn a_hint_is_capped_but_a_circuits_is_waited_out() {
        let mut rules = rules();
        let throttled = Outcome::Answered(Class::Throttled(Some(60 * S)));
        assert_eq!(rules.judge(&throttled), Verdict::Again(10 * S));
        rules.circuit = true;
        let reason = Reason::CircuitOpen {
            retry_after: Some(60 * S),
        };
        assert_eq!(refusal(&rules, reason), Verdict::Exactly(60 * S));
        assert_eq!(
            refusal(&rules, Reason::CircuitOpen { retry_after: None }),
            NOW
        );
        assert_eq!(refusal(&rules, Reason::BulkheadFull), Verdict::Stop);
    }

    #[test]
    fn refusals_are_retried_when_asked_unless_they_are_for_good() {
        let rules = Rules {
            refusals: true,
            circuit: true,
            ..rules()
        };
        let limited = Reason::RateLimited { retry_after: 2 * S };
        assert_eq!(refusal(&rules, limited), Verdict::Again(2 * S));
        assert_eq!(refusal(&rules, Reason::BulkheadFull), NOW);
        for never in [
            Reason::CircuitIsolated,
            Reason::NoTimer,
            Reason::ExceedsBurst {
                weight: 2,
                burst: 1,
            },
        ] {
            assert_eq!(refusal(&rules, never), Verdict::Stop, "{never:?}");
        }
    }

    #[test]
    fn a_predicate_widens_and_narrows_but_never_repeats_what_must_not_be() {
        let everything = deciding(|_| true);
        assert_eq!(everything.judge(&Outcome::Answered(Class::Permanent)), NOW);
        assert_eq!(everything.judge(&Outcome::Answered(Class::Ignored)), NOW);
        let failed = Outcome::Answered(Class::Failed);
        assert_eq!(everything.judge(&failed), Verdict::Stop);
        assert_eq!(refusal(&everything, OPEN), Verdict::Stop);
        let nothing = deciding(|_| false);
        assert_eq!(nothing.judge(&Outcome::TimedOut), Verdict::Stop);
    }

    #[test]
    fn a_predicate_that_panics_stops() {
        let panics = deciding(|_| panic!("a bad predicate"));
        assert_eq!(panics.judge(&Outcome::TimedOut), Verdict::Stop);
    }
}
