//! What became of one call, as its attempts and its observer tell it, and whether that can be.
//!
//! Each caller has a slot, and a slot one call at a time. Attempts know their slot; an observer finds
//! it by the thread, which polls or drops one call at a time.
use crate::facts::{Facts, Part, Way};
use crate::script::{self, Deed, Then, Wait};
use crate::watched::End;
use crate::wrong::wrong;
use seawall::{Class, Error, Event, Name, Reason, Rejected};
use std::sync::Mutex;

pub const SLOTS: usize = 1024;

/// A line of the cache or two for each.
#[repr(align(128))]
pub struct Slot(pub Mutex<Log>);

pub static LOGS: [Slot; SLOTS] = [const { Slot(Mutex::new(Log::NEW)) }; SLOTS];

/// Which attempt answered, and what sort of time it had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub slot: usize,
    pub call: u64,
    /// 0: the service did not become ready.
    pub attempt: u32,
    pub sick: bool,
}

/// An attempt that went wrong, and how its dialect reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fail {
    pub of: Answer,
    pub class: Class,
}

/// Where a call stands, by its events; of calls without a hedge.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Inward,
    Waiting(Name),
    TimedOut(Name),
    Answered,
    Refused,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub attempts: u32,
    pub retries: u32,
    pub hedges: u32,
    pub waits: u32,
    pub events: u32,
}

pub struct Log {
    pub call: u64,
    pub seed: u64,
    way: Way,
    /// Its attempts may hang: something will end them.
    pub hangs: bool,
    started: u32,
    /// Answered, dropped or panicked, and gone.
    ended: u32,
    live: u32,
    /// The last answer, and whether it has been told.
    last: u32,
    class: Option<Class>,
    at: At,
    waiting: u32,
    refusals: u32,
    answers: u32,
    refused: Option<Rejected>,
    counts: Counts,
    /// The last change of each breaker that this call has told.
    changes: [(Option<Name>, u64); 4],
}

impl Log {
    const NEW: Log = Log {
        call: 0,
        seed: 0,
        way: Way::Run,
        hangs: false,
        started: 0,
        ended: 0,
        live: 0,
        last: 0,
        class: None,
        at: At::Inward,
        waiting: 0,
        refusals: 0,
        answers: 0,
        refused: None,
        counts: Counts {
            attempts: 0,
            retries: 0,
            hedges: 0,
            waits: 0,
            events: 0,
        },
        changes: [(None, 0); 4],
    };

    pub fn begin(&mut self, call: u64, seed: u64, way: Way, hangs: bool) {
        *self = Log {
            call,
            seed,
            way,
            hangs,
            ..Log::NEW
        };
    }

    // ---- what attempts tell

    /// The number of one that begins.
    pub fn start(&mut self) -> u32 {
        self.started += 1;
        self.live += 1;
        self.counts.attempts += 1;
        self.started
    }

    /// For the readiness of the next.
    pub fn next(&self) -> u32 {
        self.started + 1
    }

    pub fn answers(&mut self, attempt: u32, class: Class) {
        self.last = attempt;
        self.class = Some(class);
    }

    pub fn gone(&mut self, call: u64) {
        if call != self.call {
            wrong(format!(
                "an attempt of call {call} outlived it: {}",
                self.call
            ));
            return;
        }
        self.live -= 1;
        self.ended += 1;
    }

    // ---- what the observer hears

    pub fn hear(&mut self, event: &Event<'_>, facts: &Facts) {
        self.counts.events += 1;
        let legal = match *event {
            Event::Waiting { policy, .. } => self.waits(policy, facts),
            Event::Waited { policy, .. } => self.waited(policy, facts),
            Event::AttemptEnded { attempt, class, .. } => self.attempt_ended(attempt, class, facts),
            Event::TimedOut {
                policy, running, ..
            } => self.timed_out(policy, running, facts),
            Event::Rejected(refusal) => self.rejected(refusal, facts),
            Event::RetryScheduled { policy, .. } => {
                self.counts.retries += 1;
                let legal = facts.is_hedged() || matches!(self.at, At::Answered | At::Refused);
                self.at = At::Inward;
                legal && matches!(facts.part(policy), Some(Part::Retry { .. }))
            }
            Event::GaveUp { policy, .. } => {
                let legal = facts.is_hedged() || matches!(self.at, At::Answered | At::Refused);
                legal && matches!(facts.part(policy), Some(Part::Retry { .. }))
            }
            Event::Hedged {
                policy, attempts, ..
            } => {
                self.counts.hedges += 1;
                matches!(facts.part(policy), Some(Part::Hedge { attempts: most })
                    if (2..=*most).contains(&attempts))
            }
            Event::StateChanged {
                policy, sequence, ..
            } => self.changed(policy, sequence),
            _ => false,
        };
        if !legal {
            wrong(format!("{event:?} in {}", self.tell(facts)));
        }
    }

    fn waits(&mut self, policy: Name, facts: &Facts) -> bool {
        self.counts.waits += 1;
        self.waiting += 1;
        let legal = facts.is_hedged() || self.at == At::Inward;
        self.at = At::Waiting(policy);
        legal && facts.can_wait(policy)
    }

    fn waited(&mut self, policy: Name, facts: &Facts) -> bool {
        let legal = facts.is_hedged() || self.at == At::Waiting(policy);
        self.at = At::Inward;
        if self.waiting == 0 {
            return false;
        }
        self.waiting -= 1;
        legal && facts.can_wait(policy)
    }

    fn attempt_ended(&mut self, attempt: u32, class: Class, facts: &Facts) -> bool {
        self.answers += 1;
        let legal = facts.is_hedged() || self.at == At::Inward;
        self.at = At::Answered;
        let Some(said) = self.class.take() else {
            return false;
        };
        let said = match said {
            Class::Success => Class::Success,
            _ if facts.standard => Class::Transient,
            other => other,
        };
        legal && attempt == self.ended && class == said
    }

    fn timed_out(&mut self, policy: Name, running: bool, facts: &Facts) -> bool {
        let legal = facts.is_hedged() || matches!(self.at, At::Inward | At::Waiting(_));
        // A service that is not ready yet runs, and has no attempt.
        let fits = if running {
            self.live > 0 || self.way.is_service()
        } else {
            self.live == 0 || facts.is_hedged()
        };
        self.at = At::TimedOut(policy);
        legal && fits && matches!(facts.part(policy), Some(Part::Timeout(_)))
    }

    fn rejected(&mut self, refusal: &Rejected, facts: &Facts) -> bool {
        self.refusals += 1;
        self.refused = Some(*refusal);
        let is_timeout = matches!(facts.part(refusal.policy), Some(Part::Timeout(_)));
        let legal = facts.is_hedged()
            || match self.at {
                // Who had to wait is refused while it waits.
                At::Inward => !is_timeout && !matches!(refusal.reason, Reason::QueueTimeout { .. }),
                At::Waiting(policy) => policy == refusal.policy,
                At::TimedOut(policy) => policy == refusal.policy,
                At::Answered | At::Refused => false,
            };
        if !facts.is_hedged() {
            self.waiting = 0;
        }
        self.at = At::Refused;
        legal && refusal.started == self.ended && facts.allows(refusal, self.way)
    }

    /// Sequences of one breaker rise within a call.
    fn changed(&mut self, policy: Name, sequence: u64) -> bool {
        let known = |(name, _): &&mut (Option<Name>, u64)| name.is_none_or(|name| name == policy);
        let Some(last) = self.changes.iter_mut().find(known) else {
            return false;
        };
        let before = std::mem::replace(last, (Some(policy), sequence));
        before.1 < sequence
    }

    // ---- what the caller got

    pub fn finish(
        &mut self,
        end: &End<Result<Answer, Error<Fail>>>,
        slot: usize,
        facts: &Facts,
    ) -> Counts {
        let fits = match end {
            End::Answered(Ok(answer)) => self.is_answer(answer, Class::Success, slot, facts),
            End::Answered(Err(Error::Inner(fail))) => {
                self.is_answer(&fail.of, fail.class, slot, facts)
            }
            End::Answered(Err(Error::Rejected(refusal))) => self.is_refusal(refusal, facts),
            End::Dropped | End::Panicked(_) => true,
        };
        let over = self.live == 0 && self.ended == self.started;
        if !fits || !over || self.started > self.most(facts) {
            let end = match end {
                End::Answered(answer) => format!("{answer:?}"),
                End::Dropped => "dropped".to_owned(),
                End::Panicked(_) => "panicked".to_owned(),
            };
            wrong(format!("{end} of {}", self.tell(facts)));
        }
        self.counts
    }

    fn most(&self, facts: &Facts) -> u32 {
        match self.way {
            Way::RunOnce | Way::LayerOnce => 1,
            _ => facts.most(),
        }
    }

    fn is_answer(&self, answer: &Answer, class: Class, slot: usize, facts: &Facts) -> bool {
        let Answer { attempt, sick, .. } = *answer;
        let mine = answer.slot == slot && answer.call == self.call && attempt <= self.started;
        let scripted = if attempt == 0 {
            self.way.is_service() && class == Class::Transient
        } else {
            let Deed { wait, then, .. } = script::deed(self.seed, attempt, sick, self.hangs);
            wait != Wait::ForEver && then == Then::Answers(class)
        };
        let in_turn = facts.is_hedged() && class != Class::Success || attempt == self.last;
        let told = !facts.observed || facts.is_hedged() || self.at == At::Answered;
        mine && scripted && in_turn && told && self.passes_fit(facts)
    }

    fn is_refusal(&self, refusal: &Rejected, facts: &Facts) -> bool {
        let told = !facts.observed
            || facts.is_hedged()
            || self.at == At::Refused && self.refused == Some(*refusal);
        told && facts.allows(refusal, self.way)
            && refusal.started == self.ended
            && refusal.never_sent() == (self.ended == 0)
            && self.passes_fit(facts)
    }

    /// Every way in ends with an answer or a refusal, and leads to an attempt at most.
    fn passes_fit(&self, facts: &Facts) -> bool {
        let Counts { retries, .. } = self.counts;
        !facts.observed
            || facts.is_hedged()
            || self.answers + self.refusals == 1 + retries && self.waiting == 0
    }

    fn tell(&self, facts: &Facts) -> String {
        let parts: Vec<_> = facts.parts.iter().map(|(name, _)| name.as_str()).collect();
        let Log {
            call,
            seed,
            way,
            started,
            ended,
            live,
            last,
            class,
            at,
            waiting,
            answers,
            refusals,
            counts,
            ..
        } = self;
        format!(
            "call {call} (seed {seed:#x}, {way:?} through {} {parts:?}): {started} attempts, \
             {ended} over, {live} live, last answer {last} {class:?}; {at:?}, {waiting} waiting, \
             {answers} answers and {refusals} refusals told, {counts:?}",
            facts.name
        )
    }
}
