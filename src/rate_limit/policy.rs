use super::config::RateLimitConfig;
use super::state::{Decision, Gcra, TICKS, duration, ticks};
use crate::clock;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::sync::AtomicU64;
use crate::{Name, Observer, Reason};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// So many calls per time.
///
/// Clones, also those of another [`weight`](RateLimit::weight), share the permits.
///
/// See the [module](crate::rate_limit).
#[derive(Clone)]
pub struct RateLimit {
    core: Arc<Core>,
    weight: u32,
    /// What a call of this weight covers, in ticks.
    cost: u64,
}

pub(super) struct Core {
    name: Name,
    gcra: Gcra,
    max_wait: u64,
    /// The end of the last turn. It decides alone and publishes nothing else: relaxed will do.
    full_at: AtomicU64,
    observer: Option<Arc<dyn Observer>>,
}

/// What a [`RateLimit`] would say at the moment it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// How many permits the heaviest call may need that would be let through at once.
    pub available: u32,
    /// When the whole burst is there again, if nobody comes before. Longer than a spent burst takes
    /// to come back: calls wait for turns.
    pub full_in: Duration,
}

impl RateLimit {
    /// This many permits per `per`, on average; up to [`burst`](RateLimitConfig::burst) at once.
    #[allow(clippy::new_ret_no_self)]
    pub const fn new(permits: u32, per: Duration) -> RateLimitConfig {
        RateLimitConfig::new(permits, per)
    }

    /// This many permits per second.
    pub const fn per_second(permits: u32) -> RateLimitConfig {
        RateLimitConfig::new(permits, Duration::from_secs(1))
    }

    pub(super) fn of(core: Core) -> Self {
        RateLimit {
            core: Arc::new(core),
            weight: 1,
            cost: 0,
        }
        .weight(1)
    }

    /// A handle to the same permits, each call of which takes `weight` of them, all or none.
    ///
    /// Heavier than the burst, a call is refused for ever
    /// ([`Reason::ExceedsBurst`](crate::Reason::ExceedsBurst)). One of weight 0 takes nothing and is
    /// always let through.
    ///
    /// ```
    /// use seawall::{RateLimit, Reason};
    ///
    /// # tokio_test::block_on(async {
    /// let rows = RateLimit::per_second(100).build()?;
    /// let page = rows.weight(60);
    /// page.run(|| async { Ok::<_, std::io::Error>(()) }).await?;
    /// assert!(page.run(|| async { Ok::<_, std::io::Error>(()) }).await.is_err());
    /// rows.run(|| async { Ok::<_, std::io::Error>(()) }).await?;
    /// let table = rows.weight(1_000).run(|| async { Ok::<_, std::io::Error>(()) }).await;
    /// let reason = table.unwrap_err().rejected().map(|r| r.reason);
    /// assert_eq!(reason, Some(Reason::ExceedsBurst { weight: 1_000, burst: 100 }));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn weight(&self, weight: u32) -> RateLimit {
        RateLimit {
            core: self.core.clone(),
            weight,
            cost: self.core.gcra.cost(weight),
        }
    }

    /// The name it was built with.
    pub fn name(&self) -> Name {
        self.core.name
    }

    /// How many permits may be spent at once.
    pub fn burst(&self) -> u32 {
        self.core.gcra.burst()
    }

    /// What is there now. Takes nothing.
    pub fn snapshot(&self) -> Snapshot {
        let now = ticks_of(clock::now_nanos());
        let full_at = self.core.full_at.load(Relaxed);
        Snapshot {
            available: self.core.gcra.available(full_at, now),
            full_in: duration(full_at.saturating_sub(now)),
        }
    }

    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.core).addr()
    }

    /// Weights that have nothing to do with the rate.
    #[cold]
    fn beyond(&self) -> Enter {
        match self.weight {
            0 => Enter::Proceed(Ticket::default()),
            weight => Enter::Reject(Reason::ExceedsBurst {
                weight,
                burst: self.burst(),
            }),
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.name())
            .field("burst", &self.burst())
            .field("weight", &self.weight)
            .field("available", &self.snapshot().available)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(
        name: Name,
        gcra: Gcra,
        max_wait: Duration,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Core {
            name,
            gcra,
            max_wait: ticks(max_wait),
            full_at: AtomicU64::new(0),
            observer,
        }
    }

    /// The turn that ends at `end` was reserved and will not be taken. See [`Gcra`] for why only
    /// the last can be given back.
    #[cold]
    fn give_back(&self, end: u64, cost: u64) {
        let start = end.saturating_sub(cost);
        let _ = self.full_at.compare_exchange(end, start, Relaxed, Relaxed);
    }

    #[cold]
    fn delay(&self, end: u64, cost: u64, wait: u64, call: &Call<'_>) -> Enter {
        match call.now().checked_add(duration(wait)) {
            Some(until) => Enter::Delay {
                ticket: Ticket(end),
                until,
            },
            None => {
                self.give_back(end, cost);
                too_soon(wait)
            }
        }
    }
}

/// As [`Call::nanos`], in ticks: for 36 years.
#[inline]
fn ticks_of(nanos: u64) -> u64 {
    nanos.saturating_mul(TICKS)
}

#[cold]
fn too_soon(wait: u64) -> Enter {
    Enter::Reject(Reason::RateLimited {
        retry_after: duration(wait),
    })
}

impl Policy for RateLimit {
    fn name(&self) -> Name {
        self.core.name
    }

    #[inline]
    fn enter(&self, call: &Call<'_>) -> Enter {
        let core = &*self.core;
        if self.weight.wrapping_sub(1) >= core.gcra.burst() {
            return self.beyond();
        }
        let now = ticks_of(call.nanos());
        let mut full_at = core.full_at.load(Relaxed);
        loop {
            let (end, wait) = match core.gcra.decide(self.cost, core.max_wait, full_at, now) {
                Decision::Turn { end, wait } => (end, wait),
                Decision::TooSoon { wait } => return too_soon(wait),
            };
            match core
                .full_at
                .compare_exchange_weak(full_at, end, Relaxed, Relaxed)
            {
                Ok(_) if wait == 0 => return Enter::Proceed(Ticket(end)),
                Ok(_) => return core.delay(end, self.cost, wait, call),
                Err(seen) => full_at = seen,
            }
        }
    }

    #[inline]
    fn exit(&self, Ticket(end): Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        if let Outcome::Unused = outcome {
            self.core.give_back(end, self.cost);
        }
        Exit::Pass
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.core.observer.as_deref()
    }
}

crate::pipeline::single!(RateLimit, gate);
