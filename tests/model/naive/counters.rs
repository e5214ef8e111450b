//! A bulkhead that knows everybody by number, a rate limit that keeps every turn, and a budget that
//! keeps every attempt.
use crate::case::{self, Ms, ms};
use seawall::Reason;

pub struct Bulkhead {
    pub limit: u32,
    queue: u32,
    next: u64,
    /// Who has a permit and knows it.
    inside: Vec<u64>,
    /// In order of arrival.
    line: Vec<u64>,
    /// Who was called and has not looked yet; `false`: sent away.
    called: Vec<(u64, bool)>,
}

pub enum Came {
    In(u64),
    InLine(u64),
}

#[derive(PartialEq)]
pub enum Standing {
    Waiting,
    Granted,
    Refused,
}

impl Bulkhead {
    pub fn new(limit: u32, queue: u32) -> Self {
        Bulkhead {
            limit,
            queue,
            next: 0,
            inside: Vec::new(),
            line: Vec::new(),
            called: Vec::new(),
        }
    }

    pub fn in_flight(&self) -> usize {
        self.inside.len() + self.called.iter().filter(|c| c.1).count()
    }

    pub fn queued(&self) -> usize {
        self.line.len()
    }

    fn has_free(&self) -> bool {
        self.in_flight() < self.limit as usize
    }

    pub fn enter(&mut self) -> Result<Came, Reason> {
        self.next += 1;
        if self.line.is_empty() && self.has_free() {
            self.inside.push(self.next);
            return Ok(Came::In(self.next));
        }
        if self.limit == 0 || self.line.len() >= self.queue as usize {
            return Err(Reason::BulkheadFull);
        }
        self.line.push(self.next);
        Ok(Came::InLine(self.next))
    }

    /// Granted, it is inside from now on.
    pub fn look(&mut self, who: u64) -> Standing {
        match self.called.iter().position(|c| c.0 == who) {
            None => Standing::Waiting,
            Some(at) if self.called[at].1 => {
                self.called.remove(at);
                self.inside.push(who);
                Standing::Granted
            }
            Some(_) => Standing::Refused,
        }
    }

    pub fn leave(&mut self, who: u64) {
        self.inside.retain(|w| *w != who);
        self.line.retain(|w| *w != who);
        self.called.retain(|c| c.0 != who);
        self.call();
    }

    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        self.call();
    }

    fn call(&mut self) {
        while !self.line.is_empty() && (self.has_free() || self.limit == 0) {
            let first = self.line.remove(0);
            self.called.push((first, self.limit > 0));
        }
    }
}

pub struct Rate {
    interval: Ms,
    burst: u32,
    max_wait: Ms,
    /// Every turn that was given and not given back.
    turns: Vec<(Ms, Ms)>,
}

impl Rate {
    pub fn new(interval: Ms, burst: u32, max_wait: Ms) -> Self {
        Rate {
            interval,
            burst,
            max_wait,
            turns: Vec::new(),
        }
    }

    fn end(&self) -> Ms {
        self.turns.last().map_or(0, |turn| turn.1)
    }

    /// The end of the turn, and how long to wait for it.
    pub fn enter(&mut self, weight: u32, now: Ms) -> Result<(Ms, Ms), Reason> {
        if weight == 0 {
            return Ok((0, 0));
        }
        if weight > self.burst {
            let burst = self.burst;
            return Err(Reason::ExceedsBurst { weight, burst });
        }
        let start = self.end().max(now);
        let end = start + self.interval * u64::from(weight);
        let wait = end.saturating_sub(now + self.interval * u64::from(self.burst));
        if wait > self.max_wait {
            let retry_after = ms(wait);
            return Err(Reason::RateLimited { retry_after });
        }
        self.turns.push((start, end));
        Ok((end, wait))
    }

    /// The turn that ends then will not be taken. Only the last can be given back.
    pub fn give_back(&mut self, end: Ms) {
        if self.end() == end {
            self.turns.pop();
        }
    }

    pub fn available(&self, now: Ms) -> u32 {
        let full = now + self.interval * u64::from(self.burst);
        (full.saturating_sub(self.end().max(now)) / self.interval) as u32
    }
}

pub struct Budget {
    spec: case::Budget,
    /// Both by the tenth of the window in which they were made.
    deposits: Vec<u64>,
    retries: Vec<u64>,
    /// The youngest tenth there has been.
    tenth: u64,
}

impl Budget {
    pub fn new(spec: case::Budget) -> Self {
        Budget {
            spec,
            deposits: Vec::new(),
            retries: Vec::new(),
            tenth: 0,
        }
    }

    fn at(&mut self, now: Ms) -> u64 {
        self.tenth = now / self.spec.tenth;
        self.tenth
    }

    pub fn deposit(&mut self, now: Ms) {
        let tenth = self.at(now);
        self.deposits.push(tenth);
    }

    pub fn available(&mut self, now: Ms) -> u64 {
        let tenth = self.at(now);
        let recent = |all: &[u64]| all.iter().filter(|at| **at + 10 > tenth).count() as u64;
        let earned = (recent(&self.deposits) * self.spec.percent + self.spec.reserve * 100) / 100;
        earned.saturating_sub(recent(&self.retries))
    }

    pub fn withdraw(&mut self, now: Ms) -> bool {
        let may = self.available(now) > 0;
        if may {
            self.retries.push(self.tenth);
        }
        may
    }

    /// One that was drawn then, forgotten or not.
    pub fn refund(&mut self, drawn: Ms) {
        let drawn = drawn / self.spec.tenth;
        let at = self.retries.iter().position(|tenth| *tenth == drawn);
        self.retries.remove(at.expect("it was drawn"));
    }
}
