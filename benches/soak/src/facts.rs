//! What a pipeline is made of, for whoever has to judge what came out of it.
use crate::gauge::REFUSAL;
use crate::watch::Watch;
use seawall::{Name, Reason, Rejected};
use std::sync::Arc;
use std::time::Duration;

pub enum Part {
    Timeout(Duration),
    Retry {
        attempts: u32,
    },
    Hedge {
        attempts: u32,
    },
    Breaker(Arc<Watch>),
    Bulkhead {
        queue: bool,
        max_wait: Option<Duration>,
    },
    Rate {
        weight: u32,
        burst: u32,
        waits: bool,
    },
    Gauge {
        unruly: bool,
    },
}

#[derive(Default)]
pub struct Facts {
    pub name: &'static str,
    pub parts: Vec<(Name, Part)>,
    pub observed: bool,
    /// Read by the crate's own dialect, where every error may be tried again.
    pub standard: bool,
    /// Which dependency it calls.
    pub of: usize,
}

/// How a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Run,
    RunOnce,
    Layer,
    LayerWith,
    LayerOnce,
    Single,
    SingleLayer,
}

impl Way {
    pub fn is_service(self) -> bool {
        !matches!(self, Way::Run | Way::RunOnce | Way::Single)
    }
}

impl Facts {
    pub fn part(&self, name: Name) -> Option<&Part> {
        let mut parts = self.parts.iter();
        parts
            .find(|(known, _)| *known == name)
            .map(|(_, part)| part)
    }

    fn any(&self, is: impl Fn(&Part) -> bool) -> bool {
        self.parts.iter().any(|(_, part)| is(part))
    }

    pub fn has_timeout(&self) -> bool {
        self.any(|part| matches!(part, Part::Timeout(_)))
    }

    pub fn is_hedged(&self) -> bool {
        self.any(|part| matches!(part, Part::Hedge { .. }))
    }

    /// Attempts of one call.
    pub fn most(&self) -> u32 {
        let each = self.parts.iter().map(|(_, part)| match part {
            Part::Retry { attempts } | Part::Hedge { attempts } => *attempts,
            _ => 1,
        });
        each.product()
    }

    pub fn can_wait(&self, name: Name) -> bool {
        matches!(
            self.part(name),
            Some(Part::Bulkhead { queue: true, .. } | Part::Rate { waits: true, .. })
        )
    }

    /// Whether this refusal is one that its policy can make.
    pub fn allows(&self, refusal: &Rejected, way: Way) -> bool {
        if refusal.policy.as_str() == self.name && !self.standard {
            // Another lane has sent the only copy since this one was let in.
            let only_copy = matches!(refusal.reason, Reason::Other(_));
            return only_copy && way.is_service() && self.is_hedged();
        }
        match (self.part(refusal.policy), refusal.reason) {
            (Some(Part::Timeout(limit)), Reason::TimedOut { after }) => *limit == after,
            (Some(Part::Breaker(_)), Reason::CircuitOpen { .. } | Reason::CircuitIsolated) => true,
            (Some(Part::Bulkhead { .. }), Reason::BulkheadFull) => true,
            (Some(Part::Bulkhead { max_wait, .. }), Reason::QueueTimeout { after }) => {
                *max_wait == Some(after)
            }
            (Some(Part::Rate { weight, burst, .. }), Reason::RateLimited { retry_after }) => {
                weight <= burst && *weight > 0 && !retry_after.is_zero()
            }
            (Some(Part::Rate { weight, burst, .. }), reason @ Reason::ExceedsBurst { .. }) => {
                weight > burst
                    && reason
                        == Reason::ExceedsBurst {
                            weight: *weight,
                            burst: *burst,
                        }
            }
            (Some(Part::Rate { waits, .. }), Reason::DeadlineTooClose { .. }) => {
                *waits && self.has_timeout()
            }
            (Some(Part::Gauge { unruly: true }), Reason::Other(why)) => why == REFUSAL,
            _ => false,
        }
    }
}
