//! The ways out: what each box makes of an outcome, and of being left.
use super::boxes::{Frame, Hold, Inner};
use super::race::Lane;
use super::ways_in::Turn;
use super::{Shared, World};
use crate::case::{Ms, Policy, Retry, ms};
use crate::told::{Bad, How, Told};
use seawall::event::GaveUp;
use seawall::{Class, Reason, Rejected};
use std::time::Duration;

/// What has come out of a box.
#[derive(Clone, Copy)]
pub struct End {
    pub how: How,
    pub answer: Result<usize, Bad>,
    /// Whether the request can, and may, be sent again after it.
    pub may: bool,
}

impl End {
    pub fn refused(refused: Rejected, may: bool) -> Self {
        End {
            how: How::Rejected(refused),
            answer: Err(Bad::Refused(refused)),
            may,
        }
    }
}

/// Why a box is left without an outcome of its own.
#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    /// By a deadline: it timed out, if it ran.
    Cut,
    /// By the caller, or because another lane has won.
    Dropped,
}

enum Verdict {
    Stop,
    Again(Duration),
    Exactly(Duration),
}

impl Turn<'_> {
    /// `None`: this box has begun anew.
    pub fn after(&mut self, frame: &mut Frame, end: End, around: Option<Ms>) -> Option<End> {
        frame.inner = Inner::Over;
        let (Hold::Retry { attempt, since, .. }, Policy::Retry(spec)) =
            (&frame.hold, &self.stack[frame.i].policy)
        else {
            self.exit(frame.i, &frame.hold, &end.how);
            return Some(end);
        };
        let (attempt, since) = (*attempt, *since);
        let (at_least, exactly) = match judge(spec, &end.how) {
            Verdict::Stop => return Some(end),
            Verdict::Again(at_least) => (at_least, None),
            Verdict::Exactly(pause) => (pause, Some(pause)),
        };
        let next = if end.may {
            self.again(frame.i, spec, attempt, since, at_least, exactly, around)
        } else {
            Err(GaveUp::NotRepeatable)
        };
        match next {
            Err(why) => {
                self.tell(Told::GaveUp(self.name(frame.i), why));
                Some(end)
            }
            Ok(after) => {
                frame.hold = Hold::Retry {
                    attempt: attempt + 1,
                    since,
                    drawn: self.world.now,
                };
                let told = Told::RetryScheduled(self.name(frame.i), after);
                self.tell(told);
                if after.is_zero() {
                    return self.inward(frame, around);
                }
                frame.inner = Inner::Pause {
                    until: self.world.now + after.as_millis() as Ms,
                };
                None
            }
        }
    }

    /// How long to wait for another attempt.
    #[allow(clippy::too_many_arguments)] // the whole of a retry's decision, in its order
    fn again(
        &mut self,
        i: usize,
        spec: &Retry,
        attempt: u32,
        since: Ms,
        at_least: Duration,
        exactly: Option<Duration>,
        around: Option<Ms>,
    ) -> Result<Duration, GaveUp> {
        let now = self.world.now;
        if spec.attempts.is_some_and(|most| attempt >= most) {
            return Err(GaveUp::Attempts);
        }
        let after = match exactly {
            Some(pause) => pause,
            None => {
                let backoff = spec.backoff.delay(attempt, 0);
                backoff.ok_or(GaveUp::Attempts)?.max(at_least)
            }
        };
        if spec
            .within
            .is_some_and(|limit| ms(now - since) + after >= ms(limit))
        {
            return Err(GaveUp::Deadline);
        }
        let mut drawn = None;
        if let Shared::Budget(budget) = &mut self.world.shared[self.stack[i].id] {
            if !budget.withdraw(now) {
                return Err(GaveUp::Budget);
            }
            drawn = Some(budget);
        }
        let late = around.is_some_and(|deadline| ms(now) + after >= ms(deadline));
        if late {
            if let Some(budget) = drawn {
                budget.refund(now);
            }
            return Err(GaveUp::Deadline);
        }
        Ok(after)
    }

    /// A policy hears how what it let in has ended.
    pub fn exit(&mut self, i: usize, hold: &Hold, how: &How) {
        let (now, name) = (self.world.now, self.name(i));
        let World { told, shared, .. } = &mut *self.world;
        match (hold, &mut shared[self.stack[i].id]) {
            (Hold::Breaker(ticket), Shared::Breaker(breaker)) => {
                breaker.exit(*ticket, how, now, told);
            }
            (Hold::Bulkhead(who), Shared::Bulkhead(bulkhead)) => bulkhead.leave(*who),
            (Hold::Rate(end), Shared::Rate(rate)) if *how == How::Unused => rate.give_back(*end),
            (Hold::Retry { attempt, drawn, .. }, Shared::Budget(budget))
                if *how == How::Unused && *attempt > 1 =>
            {
                budget.refund(*drawn);
            }
            (Hold::Custom | Hold::Within { .. }, Shared::Count(_)) => {
                told.push(Told::Exit(name, *how));
            }
            _ => {}
        }
    }

    /// Whatever stands here is dropped, the innermost first.
    pub fn settle(&mut self, inner: Inner, fate: Fate) {
        let (running, panicked) = (inner.is_running(), inner.has_panicked());
        match inner {
            Inner::Attempt(running) if running.sent => {
                self.call.live -= 1;
                self.call.ended += 1;
            }
            Inner::Attempt(_) => self.call.readying -= 1,
            Inner::Frame(frame) => {
                let Frame { i, hold, inner } = *frame;
                let waits = inner.waits();
                self.settle(inner, fate);
                let how = match fate {
                    _ if panicked => How::Panicked,
                    _ if waits => How::Unused,
                    Fate::Cut if running => How::TimedOut,
                    _ => How::Cancelled,
                };
                self.exit(i, &hold, &how);
            }
            Inner::Lanes(race) => {
                let mut lanes = race.lanes;
                let first = lanes.remove(0);
                for lane in lanes.into_iter().rev().chain([first]) {
                    if let Lane::Going(inner) = lane {
                        self.settle(inner, fate);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Inner {
    /// Not let in yet.
    fn waits(&self) -> bool {
        matches!(
            self,
            Inner::InLine { .. } | Inner::Wait { .. } | Inner::Turn { .. } | Inner::Pause { .. }
        )
    }
}

/// The table of `seawall::retry`.
fn judge(spec: &Retry, how: &How) -> Verdict {
    let most = ms(spec.max_retry_after);
    let hinted = |hint: Option<Duration>| Verdict::Again(hint.unwrap_or_default().min(most));
    match *how {
        How::Answered(Class::Transient) | How::TimedOut => Verdict::Again(Duration::ZERO),
        How::Answered(Class::Throttled(hint)) => hinted(hint),
        How::Answered(Class::Pushback(Some(pause))) => Verdict::Exactly(pause),
        How::Rejected(refused) => match refused.reason {
            Reason::CircuitIsolated | Reason::ExceedsBurst { .. } => Verdict::Stop,
            Reason::CircuitOpen { retry_after } if spec.circuit => match retry_after {
                Some(hint) => Verdict::Exactly(hint),
                None => Verdict::Again(Duration::ZERO),
            },
            reason if spec.refusals => hinted(reason.retry_after()),
            _ => Verdict::Stop,
        },
        _ => Verdict::Stop,
    }
}
