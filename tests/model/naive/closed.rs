//! What closes a call: the box around the outermost.
use super::{Calling, World};
use crate::case::{Case, Closing, Falls, Form, Ms, OnlyIf, Rescue, Script, ms};
use crate::told::{Answer, BY_HAND, Bad, FALLBACK, Told, VALUE};
use std::time::Duration;

/// A call, and what is to become of its end.
pub struct Closed {
    call: Calling,
    closing: Option<Closing>,
    /// Its number among those that want to keep their answer, and when it began.
    wants: Option<(usize, Ms)>,
    /// The other call, and the error that it is to make good once it is under way.
    fallback: Option<Calling>,
    first: Option<Bad>,
    over: bool,
}

impl Closed {
    pub fn new(script: Script) -> Self {
        let closing = script.closing.clone();
        let fallback = match closing.as_ref().map(|closing| &closing.by) {
            Some(Rescue::Run(other)) => Some((**other).clone()),
            Some(Rescue::Service(other)) => {
                let mut other = (**other).clone();
                // It is asked a copy, and not at all where there is none.
                let Form::Service(request) = script.form else {
                    unreachable!("around a service");
                };
                request.copy().map(|copy| {
                    other.form = Form::Service(copy);
                    other
                })
            }
            _ => None,
        };
        Closed {
            call: Calling::new(script, 0),
            closing,
            wants: None,
            fallback: fallback.map(|script| Calling::new(script, FALLBACK)),
            first: None,
            over: false,
        }
    }

    /// As [`Calling::poll`].
    pub fn poll(&mut self, world: &mut World, case: &Case) -> (Option<Answer>, bool) {
        if self.is_fresh() && self.keeps() {
            self.wants = Some(world.good.begin(world.now));
        }
        let (mut end, mut moved) = (None, false);
        if self.first.is_none() {
            (end, moved) = self.call.poll(world, case);
            end = end.and_then(|answer| self.close(answer, world));
        }
        if let Some(first) = self.first
            && let Some(fallback) = &mut self.fallback
        {
            let (answer, further) = fallback.poll(world, case);
            moved |= further;
            end = answer.map(|answer| match answer {
                Answer::Bad(fallback) => Answer::Both(first, fallback),
                other => other,
            });
        }
        self.over |= end.is_some();
        (end, moved)
    }

    /// `None`: the other call begins.
    fn close(&mut self, answer: Answer, world: &mut World) -> Option<Answer> {
        let Some(closing) = &self.closing else {
            return Some(answer);
        };
        let bad = match answer {
            Answer::Bad(bad) => bad,
            Answer::Ok(value) => {
                if let Some(call) = self.wants {
                    world.good.offer(call, value);
                }
                return Some(answer);
            }
            _ => return Some(answer),
        };
        let wanted = match closing.only_if {
            OnlyIf::Every => true,
            OnlyIf::Refusals => matches!(bad, Bad::Refused(_)),
            OnlyIf::Errors => matches!(bad, Bad::Err(_)),
            OnlyIf::Panics => false,
        };
        match closing.by {
            Rescue::Run(_) | Rescue::Service(_) if !wanted || self.fallback.is_none() => {
                Some(Answer::Passed(bad))
            }
            Rescue::Run(_) | Rescue::Service(_) => {
                self.first = Some(bad);
                None
            }
            _ if !wanted => Some(answer),
            Rescue::Value | Rescue::With(Falls::Ok) => Some(Answer::Ok(VALUE)),
            Rescue::With(Falls::Err) => Some(answer),
            Rescue::With(Falls::Panics) => Some(Answer::Panicked),
            Rescue::LastGood => match world.good.last(world.now) {
                None => Some(answer),
                Some((value, age)) => {
                    world.told.push(Told::ServedStale(age));
                    Some(Answer::Stale(value, age))
                }
            },
        }
    }

    /// The caller goes away.
    pub fn leave(&mut self, world: &mut World, case: &Case) {
        self.call.leave(world, case);
        if let Some(fallback) = &mut self.fallback {
            fallback.leave(world, case);
        }
        self.over = true;
    }

    fn keeps(&self) -> bool {
        matches!(&self.closing, Some(closing) if matches!(closing.by, Rescue::LastGood))
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn is_fresh(&self) -> bool {
        !self.over && self.call.is_fresh()
    }

    pub fn due(&self) -> Option<Ms> {
        let fallback = self.fallback.as_ref().and_then(Calling::due);
        self.call.due().or(fallback)
    }

    /// Attempts that run, and clones of the service: of the call, and of its fallback.
    pub fn counts(&self) -> [(u32, u32); 2] {
        let count = |call: &Calling, over: bool| {
            let services = match call.script.form {
                // One for further attempts, and one for each that is not ready yet.
                Form::Service(_) if !over => 1 + call.readying,
                _ => 0,
            };
            (call.live, services)
        };
        let fallback = self.fallback.as_ref();
        [
            count(&self.call, self.call.is_over()),
            fallback.map_or((0, 0), |call| count(call, self.over)),
        ]
    }
}

/// Every answer there ever was.
pub struct Good {
    max_age: Ms,
    begun: usize,
    /// Who began before this one comes too late.
    cleared: usize,
    answers: Vec<(usize, Ms, usize)>,
}

impl Good {
    pub fn new(max_age: Ms) -> Self {
        Good {
            max_age,
            begun: 0,
            cleared: 0,
            answers: Vec::new(),
        }
    }

    fn begin(&mut self, now: Ms) -> (usize, Ms) {
        self.begun += 1;
        (self.begun, now)
    }

    fn offer(&mut self, (number, began): (usize, Ms), value: usize) {
        self.answers.push((number, began, value));
    }

    pub fn set(&mut self, now: Ms) {
        let call = self.begin(now);
        self.offer(call, BY_HAND);
    }

    pub fn clear(&mut self) {
        self.cleared = self.begun;
    }

    /// That of the latest call, and its age.
    pub fn last(&self, now: Ms) -> Option<(usize, Duration)> {
        let since = self.answers.iter().filter(|call| call.0 > self.cleared);
        let (_, began, value) = since.max()?;
        (now - began <= self.max_age).then(|| (*value, ms(now - began)))
    }
}
