use super::ticket::{Counted, Timed, WALKS};
use super::verdict::{Rules, Verdict};
use super::{Backoff, RetryBudget, jitter::mix};
use crate::event::GaveUp;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use crate::{Class, Event, Name, Observer};
use std::{fmt, sync::Arc, time::Duration};

/// Another attempt after a failure. See [the module](crate::retry).
///
/// What it knows of a call is in the call's ticket; clones share the [budget](RetryBudget) and
/// nothing else, and one may stand in any number of pipelines.
#[derive(Clone)]
pub struct Retry {
    name: Name,
    /// There is something to do before the first attempt.
    accounted: bool,
    limit: Option<Limit>,
    budget: Option<RetryBudget>,
    settings: Arc<Settings>,
    observer: Option<Arc<dyn Observer>>,
}

/// What only a failure asks for.
pub(super) struct Settings {
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Backoff,
    pub(super) rules: Rules,
}

/// A limit of elapsed time.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    after: Duration,
    /// Tells apart calls of two handles that started in the same microsecond.
    salt: u64,
}

impl Limit {
    pub(super) fn new(after: Duration) -> Self {
        Limit {
            after,
            salt: fastrand::u64(..),
        }
    }
}

fn now_us(call: &Call<'_>) -> u64 {
    call.nanos() / 1_000
}

impl Retry {
    pub(super) fn new(
        name: Name,
        settings: Settings,
        limit: Option<Limit>,
        budget: Option<RetryBudget>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Retry {
            name,
            accounted: limit.is_some() || budget.is_some(),
            limit,
            budget,
            settings: Arc::new(settings),
            observer,
        }
    }

    /// Whether no attempt starts after some time.
    pub(crate) fn is_bounded_in_time(&self) -> bool {
        self.limit.is_some()
    }

    #[inline(never)]
    fn account(&self, call: &Call<'_>) -> Ticket {
        if let Some(budget) = &self.budget {
            budget.deposit(|| call.now());
        }
        match &self.limit {
            Some(_) => Timed::first(now_us(call)).ticket(),
            None => Counted::FIRST,
        }
    }

    #[cold]
    fn judge(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        if let Outcome::Unused = outcome {
            self.refund(ticket, call);
            return Exit::Pass;
        }
        if call.is_settling() {
            return Exit::Pass;
        }
        let verdict = self.settings.rules.judge(outcome);
        if verdict == Verdict::Stop {
            return Exit::Pass;
        }
        match self.another(ticket, verdict, call) {
            Ok((ticket, after)) => Exit::Again { ticket, after },
            Err(why) => {
                let policy = self.name;
                call.emit(Event::GaveUp { policy, why });
                Exit::Pass
            }
        }
    }

    /// The budget comes last: nothing is drawn for an attempt that cannot be made.
    fn another(
        &self,
        ticket: Ticket,
        verdict: Verdict,
        call: &Call<'_>,
    ) -> Result<(Ticket, Duration), GaveUp> {
        if !call.may_repeat() {
            return Err(GaveUp::NotRepeatable);
        }
        let attempt = self.attempt(ticket);
        if self.settings.attempts.is_some_and(|most| attempt >= most) {
            return Err(GaveUp::Attempts);
        }
        let (next, seed) = self.repeat(ticket);
        let after = match verdict {
            Verdict::Exactly(hint) => hint,
            Verdict::Again(at_least) => {
                let wait = self.settings.backoff.delay(attempt, seed);
                wait.ok_or(GaveUp::Attempts)?.max(at_least)
            }
            Verdict::Stop => return Err(GaveUp::Attempts),
        };
        if let Some(limit) = &self.limit {
            let elapsed = Timed::of(ticket).elapsed(now_us(call));
            if elapsed.saturating_add(after) >= limit.after {
                return Err(GaveUp::Deadline);
            }
        }
        let Some(budget) = &self.budget else {
            return Ok((next, after));
        };
        let drawn = budget.withdraw(call.now()).ok_or(GaveUp::Budget)?;
        let next = match &self.limit {
            Some(_) => Timed::of(next).paid(drawn).ticket(),
            None => Counted::of(next).paid(drawn).ticket(),
        };
        Ok((next, after))
    }

    /// The next attempt's ticket, and the seed of the wait before it.
    fn repeat(&self, ticket: Ticket) -> (Ticket, u64) {
        let backoff = &self.settings.backoff;
        let anew = || fastrand::u64(..);
        let (next, seed) = match &self.limit {
            Some(limit) => {
                let timed = Timed::of(ticket);
                let walk = || limit.salt ^ mix(timed.start_us());
                let seed = if backoff.walks() { walk() } else { anew() };
                (timed.next().ticket(), seed)
            }
            None if backoff.walks() => {
                let mut counted = Counted::of(ticket);
                if counted.attempt == 1 {
                    counted.walk = fastrand::u32(..WALKS);
                }
                (counted.next().ticket(), u64::from(counted.walk))
            }
            None => (Counted::of(ticket).next().ticket(), anew()),
        };
        (next, backoff.fixed_seed().unwrap_or(seed))
    }

    fn attempt(&self, ticket: Ticket) -> u32 {
        match &self.limit {
            Some(_) => Timed::of(ticket).attempt,
            None => Counted::of(ticket).attempt,
        }
    }

    /// The first attempt was not paid for.
    #[cold]
    fn refund(&self, ticket: Ticket, call: &Call<'_>) {
        let Some(budget) = &self.budget else { return };
        if self.attempt(ticket) < 2 {
            return;
        }
        let drawn = match &self.limit {
            Some(_) => Timed::of(ticket).drawn,
            None => Counted::of(ticket).drawn,
        };
        budget.refund(drawn, call.now());
    }
}

impl Policy for Retry {
    fn name(&self) -> Name {
        self.name
    }

    #[inline]
    fn enter(&self, call: &Call<'_>) -> Enter {
        Enter::Proceed(if self.accounted {
            self.account(call)
        } else {
            Counted::FIRST
        })
    }

    #[inline]
    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        if let Outcome::Answered(Class::Success) = outcome {
            return Exit::Pass;
        }
        self.judge(ticket, outcome, call)
    }

    fn role(&self) -> Role {
        Role::Repeat
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }
}

crate::pipeline::single!(Retry, repeats);

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("name", &self.name)
            .field("attempts", &self.settings.attempts)
            .field("max_elapsed", &self.limit.map(|limit| limit.after))
            .field("backoff", &self.settings.backoff)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
