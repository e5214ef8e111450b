//! The boxes: where a call stands.
use super::breaker;
use super::race::{Lane, Race};
use crate::case::{Attempt, Ms, Place, Policy};

/// What a box holds inside: where this call stands, seen from there.
pub enum Inner {
    Over,
    Attempt(Running),
    /// The panic goes on through all of the boxes, and whoever drops the call settles them.
    Panicked,
    Frame(Box<Frame>),
    /// In a bulkhead's line.
    InLine {
        until: Option<Ms>,
        since: Ms,
    },
    /// In a third-party policy's line, which is over then.
    Wait {
        until: Ms,
        since: Ms,
    },
    /// Let in at that instant.
    Turn {
        until: Ms,
        since: Ms,
    },
    /// The backoff.
    Pause {
        until: Ms,
    },
    Lanes(Race),
}

pub struct Running {
    pub number: usize,
    pub attempt: Attempt,
    /// Or the service gets ready.
    pub sent: bool,
    /// When it goes on.
    pub at: Option<Ms>,
}

/// One policy, entered.
pub struct Frame {
    pub i: usize,
    pub hold: Hold,
    pub inner: Inner,
}

pub enum Hold {
    /// So much time, from the first wait on; then until that instant.
    Within {
        span: Ms,
        at: Option<Ms>,
    },
    Retry {
        attempt: u32,
        since: Ms,
        /// When this attempt was drawn from a budget.
        drawn: Ms,
    },
    Breaker(breaker::Ticket),
    Bulkhead(u64),
    Rate(Ms),
    Hedge,
    Custom,
}

impl Frame {
    /// The earliest deadline in force inside of it.
    pub fn deadline(&self, around: Option<Ms>, now: Ms) -> Option<Ms> {
        let own = match self.hold {
            Hold::Within { span, at } => Some(at.unwrap_or(now + span)),
            _ => None,
        };
        [own, around].into_iter().flatten().min()
    }

    pub fn is_due(&self, now: Ms) -> bool {
        matches!(self.hold, Hold::Within { at: Some(at), .. } if at <= now)
    }
}

impl Inner {
    /// The call has to wait: spans begin to run.
    pub fn start_clocks(&mut self, now: Ms, stack: &[Place]) {
        match self {
            Inner::Frame(frame) => {
                if let Hold::Within { span, at } = &mut frame.hold {
                    at.get_or_insert(now + *span);
                }
                if let (Inner::Lanes(race), Policy::Hedge { after, .. }) =
                    (&mut frame.inner, &stack[frame.i].policy)
                {
                    race.start_clock(now + after);
                }
                frame.inner.start_clocks(now, stack);
            }
            Inner::Lanes(race) => {
                for inner in race.going() {
                    inner.start_clocks(now, stack);
                }
            }
            _ => {}
        }
    }

    /// The earliest instant at which a policy has something to do.
    pub fn due(&self) -> Option<Ms> {
        match self {
            Inner::InLine { until, .. } => *until,
            Inner::Wait { until, .. } | Inner::Turn { until, .. } | Inner::Pause { until } => {
                Some(*until)
            }
            Inner::Frame(frame) => {
                let own = match frame.hold {
                    Hold::Within { at, .. } => at,
                    _ => None,
                };
                [own, frame.inner.due()].into_iter().flatten().min()
            }
            Inner::Lanes(race) => race.due(),
            Inner::Over | Inner::Attempt(_) | Inner::Panicked => None,
        }
    }

    /// The earliest instant at which an operation answers, or a service is ready.
    pub fn answers_at(&self) -> Option<Ms> {
        match self {
            Inner::Attempt(running) => running.at,
            Inner::Frame(frame) => frame.inner.answers_at(),
            Inner::Lanes(race) => {
                let lanes = race.lanes.iter().filter_map(|lane| match lane {
                    Lane::Going(inner) => inner.answers_at(),
                    _ => None,
                });
                lanes.min()
            }
            _ => None,
        }
    }

    /// Whether this is so of anything that stands here.
    fn any(&self, p: &dyn Fn(&Inner) -> bool) -> bool {
        let further = match self {
            Inner::Frame(frame) => frame.inner.any(p),
            Inner::Lanes(race) => race
                .lanes
                .iter()
                .any(|lane| matches!(lane, Lane::Going(inner) if inner.any(p))),
            _ => false,
        };
        further || p(self)
    }

    pub fn has_panicked(&self) -> bool {
        self.any(&|inner| matches!(inner, Inner::Panicked))
    }

    pub fn is_running(&self) -> bool {
        self.any(&|inner| matches!(inner, Inner::Attempt(_)))
    }

    /// Whether a dependency may have been reached by what runs.
    pub fn is_sent(&self) -> bool {
        self.any(&|inner| matches!(inner, Inner::Attempt(Running { sent: true, .. })))
    }

    /// An attempt that is over forbids another.
    pub fn forbids(&self) -> bool {
        self.any(&|inner| matches!(inner, Inner::Lanes(race) if !race.may))
    }
}
