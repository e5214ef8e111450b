//! The observer: writes into the log of the call that this thread is at.
use crate::facts::{Facts, Part};
use crate::log::LOGS;
use crate::script::mix;
use crate::thrown::Thrown;
use crate::watched::current;
use crate::wrong::wrong;
use seawall::{Event, Name, Observer};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub struct Ear {
    facts: Arc<Facts>,
    heard: AtomicU64,
}

impl Ear {
    pub fn new(facts: Arc<Facts>) -> Self {
        let heard = AtomicU64::new(0);
        Ear { facts, heard }
    }
}

impl Observer for Ear {
    fn on_event(&self, source: Name, event: &Event<'_>) {
        if source.as_str() != self.facts.name {
            wrong(format!("{event:?} is told of {source}"));
        }
        if let Event::StateChanged { policy, .. } = event {
            match self.facts.part(*policy) {
                Some(Part::Breaker(watch)) => watch.told(event),
                _ => wrong(format!("{event:?} in {source}, which has no such breaker")),
            }
        }
        match (current(), event) {
            (Some(slot), _) => LOGS[slot].0.lock().unwrap().hear(event, &self.facts),
            // By hand, or to see how it stands at rest.
            (None, Event::StateChanged { .. }) => {}
            (None, _) if self.facts.standard => {}
            (None, _) => wrong(format!("{event:?} in {source}, outside of any call")),
        }
        // What an observer throws ends with it.
        let heard = self.heard.fetch_add(1, Relaxed);
        if mix(heard).is_multiple_of(4096) {
            resume_unwind(Box::new(Thrown::Observer));
        }
    }
}
