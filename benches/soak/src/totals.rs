//! What there was, counted by each caller and added up at the end.
use crate::caller::Ended;
use crate::facts::Way;
use crate::log::Counts;
use crate::watched::End;
use seawall::{Error, Reason};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub calls: u64,
    ways: BTreeMap<Way, u64>,
    succeeded: u64,
    failed: u64,
    refused: BTreeMap<&'static str, u64>,
    dropped: u64,
    aborted: u64,
    pub panicked: u64,
    attempts: u64,
    retries: u64,
    hedges: u64,
    waits: u64,
    events: u64,
    pub trips: u64,
    pub recoveries: u64,
    pub changes: u64,
}

impl Totals {
    pub fn add(&mut self, way: Way, end: &Ended, aborted: bool, counts: &Counts) {
        self.calls += 1;
        *self.ways.entry(way).or_default() += 1;
        match end {
            End::Answered(Ok(_)) => self.succeeded += 1,
            End::Answered(Err(Error::Inner(_))) => self.failed += 1,
            End::Answered(Err(Error::Rejected(refusal))) => {
                *self.refused.entry(label(&refusal.reason)).or_default() += 1;
            }
            End::Dropped if aborted => self.aborted += 1,
            End::Dropped => self.dropped += 1,
            End::Panicked(_) => self.panicked += 1,
        }
        self.attempts += u64::from(counts.attempts);
        self.retries += u64::from(counts.retries);
        self.hedges += u64::from(counts.hedges);
        self.waits += u64::from(counts.waits);
        self.events += u64::from(counts.events);
    }

    pub fn merge(&mut self, other: &Totals) {
        for (way, n) in &other.ways {
            *self.ways.entry(*way).or_default() += n;
        }
        for (reason, n) in &other.refused {
            *self.refused.entry(reason).or_default() += n;
        }
        for (sum, n) in [
            (&mut self.calls, other.calls),
            (&mut self.succeeded, other.succeeded),
            (&mut self.failed, other.failed),
            (&mut self.dropped, other.dropped),
            (&mut self.aborted, other.aborted),
            (&mut self.panicked, other.panicked),
            (&mut self.attempts, other.attempts),
            (&mut self.retries, other.retries),
            (&mut self.hedges, other.hedges),
            (&mut self.waits, other.waits),
            (&mut self.events, other.events),
            (&mut self.trips, other.trips),
            (&mut self.recoveries, other.recoveries),
            (&mut self.changes, other.changes),
        ] {
            *sum += n;
        }
    }
}

fn label(reason: &Reason) -> &'static str {
    match reason {
        Reason::CircuitOpen { .. } => "circuit open",
        Reason::CircuitIsolated => "circuit isolated",
        Reason::BulkheadFull => "bulkhead full",
        Reason::QueueTimeout { .. } => "queue timeout",
        Reason::RateLimited { .. } => "rate limited",
        Reason::ExceedsBurst { .. } => "exceeds burst",
        Reason::TimedOut { .. } => "timed out",
        Reason::DeadlineTooClose { .. } => "deadline too close",
        Reason::Other(_) => "other",
        _ => "unexpected",
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: Vec<(String, u64)>| -> String {
            let all = counts.into_iter().map(|(what, n)| format!("{n} {what}"));
            all.collect::<Vec<_>>().join(", ")
        };
        let ways = self.ways.iter().map(|(way, n)| (format!("{way:?}"), *n));
        let refused = self.refused.iter();
        let refused = refused.map(|(why, n)| ((*why).to_owned(), *n));
        let refusals: u64 = self.refused.values().sum();
        writeln!(f, "calls      {}: {}", self.calls, list(ways.collect()))?;
        writeln!(
            f,
            "answered   {} well, {} with an error",
            self.succeeded, self.failed
        )?;
        writeln!(f, "refused    {refusals}: {}", list(refused.collect()))?;
        writeln!(
            f,
            "dropped    {} at a poll, {} by the end of their task",
            self.dropped, self.aborted
        )?;
        writeln!(f, "panicked   {}", self.panicked)?;
        writeln!(
            f,
            "attempts   {}; told: {} retries, {} hedges, {} waits, of {} events",
            self.attempts, self.retries, self.hedges, self.waits, self.events
        )?;
        write!(
            f,
            "breakers   {} trips, {} recoveries; {} changes of limits and states by hand",
            self.trips, self.recoveries, self.changes
        )
    }
}
