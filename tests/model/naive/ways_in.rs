//! The ways into the boxes: who comes, who looks, whose time has come.
use super::boxes::{Frame, Hold, Inner, Running};
use super::counters::{Came, Standing};
use super::ends::{End, Fate};
use super::race::Race;
use super::{Calling, Shared, World};
use crate::case::{Custom, Ms, Place, Policy, Says, Then, ms};
use crate::told::{ALONE, Bad, How, STACKS, Told, name};
use seawall::{Class, Name, Reason, Rejected};

/// What the innermost are told in a pass: look, or your time has come.
#[derive(Clone, Copy, PartialEq)]
pub enum Pass {
    Asked,
    Fired,
}

pub struct Turn<'a> {
    pub world: &'a mut World,
    pub call: &'a mut Calling,
    pub stack: &'a [Place],
    pub moved: bool,
    pub panicked: bool,
    /// A deadline was extended in this pass: the hedges inside of it are looked at in the next.
    pub extended: bool,
}

/// What a policy says to whoever comes.
enum Asked {
    In(Hold),
    Later(Hold, Inner),
    No(Reason),
}

impl Turn<'_> {
    /// Policy `i` and all that is further in. `around`: the earliest deadline out there.
    pub fn enter(&mut self, i: usize, around: Option<Ms>) -> Result<Inner, End> {
        self.moved = true;
        if i == self.stack.len() {
            return self.attempt();
        }
        let now = self.world.now;
        let (hold, later) = match self.ask(i) {
            Asked::In(hold) => (hold, None),
            Asked::No(reason) => return Err(self.refuse(i, reason)),
            Asked::Later(hold, inner) => {
                let until = inner.due();
                if let Inner::Turn { until, .. } = inner
                    && around.is_some_and(|deadline| until >= deadline)
                {
                    self.exit(i, &hold, &How::Unused);
                    let wait = ms(until - now);
                    return Err(self.refuse(i, Reason::DeadlineTooClose { wait }));
                }
                let at_most = until.map(|until| ms(until - now));
                self.tell(Told::Waiting(self.name(i), at_most));
                (hold, Some(inner))
            }
        };
        let mut frame = Frame {
            i,
            hold,
            inner: Inner::Over,
        };
        let end = match later {
            Some(inner) => {
                frame.inner = inner;
                None
            }
            None => self.inward(&mut frame, around),
        };
        match end {
            None => Ok(Inner::Frame(Box::new(frame))),
            Some(end) => Err(end),
        }
    }

    /// What is inside this box, begun anew.
    pub fn inward(&mut self, frame: &mut Frame, around: Option<Ms>) -> Option<End> {
        if let Hold::Hedge = frame.hold {
            frame.inner = Inner::Lanes(Race::new());
            return self.race(frame, Pass::Asked, around);
        }
        match self.enter(frame.i + 1, frame.deadline(around, self.world.now)) {
            Ok(inner) => {
                frame.inner = inner;
                None
            }
            Err(end) => self.after(frame, end, around),
        }
    }

    fn ask(&mut self, i: usize) -> Asked {
        let Place { id, policy } = &self.stack[i];
        let now = self.world.now;
        let World { told, shared, .. } = &mut *self.world;
        match (policy, &mut shared[*id]) {
            (Policy::Timeout(span), _) => Asked::In(Hold::Within {
                span: *span,
                at: None,
            }),
            (Policy::Retry(_), shared) => {
                if let Shared::Budget(budget) = shared {
                    budget.deposit(now);
                }
                Asked::In(Hold::Retry {
                    attempt: 1,
                    since: now,
                    drawn: now,
                })
            }
            (Policy::Breaker(_), Shared::Breaker(breaker)) => match breaker.enter(now, told) {
                Ok(ticket) => Asked::In(Hold::Breaker(ticket)),
                Err(reason) => Asked::No(reason),
            },
            (Policy::Bulkhead { max_wait, .. }, Shared::Bulkhead(bulkhead)) => {
                match bulkhead.enter() {
                    Ok(Came::In(who)) => Asked::In(Hold::Bulkhead(who)),
                    Ok(Came::InLine(who)) => {
                        let until = max_wait.map(|wait| now + wait);
                        Asked::Later(Hold::Bulkhead(who), Inner::InLine { until, since: now })
                    }
                    Err(reason) => Asked::No(reason),
                }
            }
            (Policy::Rate { weight, .. }, Shared::Rate(rate)) => match rate.enter(*weight, now) {
                Ok((end, 0)) => Asked::In(Hold::Rate(end)),
                Ok((end, wait)) => {
                    let until = now + wait;
                    Asked::Later(Hold::Rate(end), Inner::Turn { until, since: now })
                }
                Err(reason) => Asked::No(reason),
            },
            (Policy::Hedge { .. }, _) => Asked::In(Hold::Hedge),
            (Policy::Custom(custom), Shared::Count(count)) => match *custom {
                Custom::Every(n) => {
                    *count += 1;
                    if (*count).is_multiple_of(n) {
                        Asked::No(Reason::Other("every so many"))
                    } else {
                        Asked::In(Hold::Custom)
                    }
                }
                Custom::Delay(wait) => {
                    let until = now + wait;
                    Asked::Later(Hold::Custom, Inner::Turn { until, since: now })
                }
                Custom::Within { after, .. } => Asked::In(Hold::Within {
                    span: after,
                    at: None,
                }),
                Custom::Wait(wait) => {
                    let until = now + wait;
                    Asked::Later(Hold::Custom, Inner::Wait { until, since: now })
                }
            },
            _ => unreachable!("each policy has its kind of memory"),
        }
    }

    fn attempt(&mut self) -> Result<Inner, End> {
        let Some((number, attempt)) = self.call.take() else {
            // It was there when this lane was let in; another lane has sent it since.
            let why = Reason::Other("no copy of the request is left to send");
            let name = match STACKS.get(self.call.script.stack) {
                Some(pipeline) => Name::from_static(pipeline),
                None => self.name(0),
            };
            return Err(self.refuse_as(name, why));
        };
        self.call.readying += 1;
        let mut inner = Inner::Attempt(Running {
            number,
            attempt,
            sent: false,
            at: attempt.ready.after.map(|after| self.world.now + after),
        });
        match self.answer(&mut inner) {
            Some(end) => Err(end),
            None => Ok(inner),
        }
    }

    /// What is ready is sent, and may answer at once.
    fn answer(&mut self, inner: &mut Inner) -> Option<End> {
        let Inner::Attempt(running) = inner else {
            return None;
        };
        let (now, says) = (self.world.now, running.attempt.says);
        if running.at.is_none_or(|at| at > now) {
            return None;
        }
        self.moved = true;
        let panics = if running.sent {
            self.call.live -= 1;
            says == Says::Panics
        } else {
            self.call.readying -= 1;
            match running.attempt.ready.then {
                Then::IsReady if says != Says::PanicsAtOnce => {
                    self.call.live += 1;
                    running.sent = true;
                    running.at = (says != Says::Never).then_some(now + running.attempt.takes);
                    return self.answer(inner);
                }
                Then::Fails => false,
                Then::IsReady | Then::Panics => true,
            }
        };
        if panics {
            self.panicked = true;
            *inner = Inner::Panicked;
            return None;
        }
        self.call.ended += u32::from(running.sent);
        let number = running.number;
        let answer = if running.sent && says == Says::Ok {
            Ok(number)
        } else {
            Err(Bad::Err(number))
        };
        // It knows no other errors.
        let is_failure = answer.is_err() && self.call.script.stack == ALONE;
        let class = if is_failure {
            Class::Transient
        } else {
            says.class()
        };
        self.tell(Told::AttemptEnded(self.call.ended, class));
        Some(End {
            how: How::Answered(class),
            answer,
            may: self.call.may_repeat(false),
        })
    }

    pub fn tell(&mut self, told: Told) {
        self.world.told.push(told);
    }

    pub fn name(&self, i: usize) -> Name {
        name(self.stack[i].id)
    }

    fn memory(&mut self, i: usize) -> &mut Shared {
        &mut self.world.shared[self.stack[i].id]
    }

    /// A refusal by policy `i`, which holds nothing any more.
    pub fn refuse(&mut self, i: usize, reason: Reason) -> End {
        self.refuse_as(self.name(i), reason)
    }

    fn refuse_as(&mut self, name: Name, reason: Reason) -> End {
        let mut refused = Rejected::new(name, reason);
        refused.started = self.call.ended;
        self.tell(Told::Rejected(refused));
        End::refused(refused, self.call.may_repeat(false))
    }

    pub fn poll(&mut self, inner: &mut Inner, pass: Pass, around: Option<Ms>) -> Option<End> {
        match inner {
            Inner::Attempt(_) if pass == Pass::Asked => self.answer(inner),
            Inner::Frame(frame) => self.poll_frame(frame, pass, around),
            _ => None,
        }
    }

    fn poll_frame(&mut self, frame: &mut Frame, pass: Pass, around: Option<Ms>) -> Option<End> {
        let (now, i) = (self.world.now, frame.i);
        if pass == Pass::Fired && frame.is_due(now) && !self.extend(frame) {
            return self.cut(frame, around);
        }
        let is_over = |until: Ms| pass == Pass::Fired && until <= now;
        // A wait that ends after a deadline ended too late, and at equal instants in time.
        let late = around.is_some_and(|deadline| deadline < now);
        match &mut frame.inner {
            Inner::InLine { .. } | Inner::Wait { .. } if late => None,
            Inner::InLine { until, since } => {
                let Hold::Bulkhead(who) = frame.hold else {
                    unreachable!("only bulkheads have a line");
                };
                let (until, since) = (*until, *since);
                let Shared::Bulkhead(bulkhead) = self.memory(i) else {
                    unreachable!("a bulkhead's memory");
                };
                match bulkhead.look(who) {
                    Standing::Granted => self.waited(frame, since, around),
                    Standing::Refused => Some(self.sent_away(frame, Reason::BulkheadFull)),
                    Standing::Waiting if until.is_some_and(|until| until <= now) => {
                        let Policy::Bulkhead { max_wait, .. } = &self.stack[i].policy else {
                            unreachable!("a bulkhead");
                        };
                        let after = ms(max_wait.unwrap_or(0));
                        Some(self.sent_away(frame, Reason::QueueTimeout { after }))
                    }
                    Standing::Waiting => None,
                }
            }
            Inner::Wait { until, since } if *until <= now => {
                let since = *since;
                self.waited(frame, since, around)
            }
            Inner::Turn { until, since } if is_over(*until) => {
                let since = *since;
                self.waited(frame, since, around)
            }
            Inner::Pause { until } if is_over(*until) => {
                self.moved = true;
                self.inward(frame, around)
            }
            Inner::Lanes(_) => self.race(frame, pass, around),
            Inner::Attempt(_) | Inner::Frame(_) => {
                let deadline = frame.deadline(around, now);
                let end = self.poll(&mut frame.inner, pass, deadline)?;
                self.after(frame, end, around)
            }
            _ => None,
        }
    }

    fn waited(&mut self, frame: &mut Frame, since: Ms, around: Option<Ms>) -> Option<End> {
        self.moved = true;
        let waited = ms(self.world.now - since);
        self.tell(Told::Waited(self.name(frame.i), waited));
        self.inward(frame, around)
    }

    /// Out of the line, without having been let in.
    fn sent_away(&mut self, frame: &Frame, reason: Reason) -> End {
        self.moved = true;
        self.exit(frame.i, &frame.hold, &How::Unused);
        self.refuse(frame.i, reason)
    }

    /// The deadline of this box has passed.
    fn cut(&mut self, frame: &mut Frame, around: Option<Ms>) -> Option<End> {
        self.moved = true;
        let i = frame.i;
        let running = frame.inner.is_running();
        self.tell(Told::TimedOut(self.name(i), running));
        let may = self.call.may_repeat(frame.inner.is_sent()) && !frame.inner.forbids();
        let inner = std::mem::replace(&mut frame.inner, Inner::Over);
        self.settle(inner, Fate::Cut);
        let reason = match self.stack[i].policy {
            Policy::Timeout(span) => Reason::TimedOut { after: ms(span) },
            _ => Reason::Other("late"),
        };
        let mut end = self.refuse(i, reason);
        end.may = may;
        if running {
            end.how = How::TimedOut;
        }
        self.after(frame, end, around)
    }

    /// A third-party policy may grant more time.
    fn extend(&mut self, frame: &mut Frame) -> bool {
        let (Policy::Custom(Custom::Within { more, times, .. }), Shared::Count(granted)) =
            (&self.stack[frame.i].policy, self.memory(frame.i))
        else {
            return false;
        };
        if *granted >= *times {
            return false;
        }
        *granted += 1;
        (self.moved, self.extended) = (true, true);
        frame.hold = Hold::Within {
            span: *more,
            at: None,
        };
        true
    }
}
