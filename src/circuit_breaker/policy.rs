use super::config::CircuitBreakerConfig;
use super::machine::{Admission, Change, Machine, Said};
use super::meter::Meter;
use super::snapshot::Snapshot;
use super::state::{CLOSED, HALF_OPEN, METRICS_ONLY};
use super::tagged::{Generation, VALUE, value};
use super::{Cause, State};
use crate::clock::{self, Instant};
use crate::event::notify;
use crate::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use crate::sync::{AtomicU64, Mutex, MutexGuard};
use crate::{Class, Event, Name, Observer, Reason};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::{fmt, time::Duration};

/// A handle on a circuit breaker. Clones share its state, so one can guard several pipelines.
///
/// See the [module](super) for what it counts and when it trips.
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Core>);

pub(super) struct Core {
    /// generation << 48 | state; a mirror of the machine's, written under its lock.
    word: AtomicU64,
    /// As [`Call::nanos`]; written before the word that says open.
    open_until: AtomicU64,
    slow_after: Option<u64>,
    meter: Meter,
    machine: Mutex<Machine>,
    seed: u64,
    name: Name,
    observer: Option<Arc<dyn Observer>>,
}

impl CircuitBreaker {
    /// Begins a breaker of this name.
    ///
    /// With no rule set it trips when half of the last 100 calls, and at least 20, have failed.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: impl Into<Name>) -> CircuitBreakerConfig {
        CircuitBreakerConfig::new(name.into())
    }

    pub(super) fn of(
        meter: Meter,
        machine: Machine,
        seed: u64,
        name: Name,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        CircuitBreaker(Arc::new(Core {
            word: AtomicU64::new(machine.generation.with(machine.state.bits())),
            open_until: AtomicU64::new(0),
            slow_after: machine.slow_after,
            meter,
            machine: Mutex::new(machine),
            seed,
            name,
            observer,
        }))
    }

    /// The label in refusals, events and metrics.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// What it does with calls now.
    ///
    /// Reading it moves nothing: an open breaker whose break is over is open until a call comes.
    pub fn state(&self) -> State {
        State::from_bits(value(self.0.word.load(Acquire)))
    }

    /// State, counts, cause and the next attempt's time. Reads the clock, and moves nothing.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot(clock::now())
    }

    /// Refuses every call, with [`Reason::CircuitIsolated`], until told otherwise by hand.
    ///
    /// Calls under way go on and count nowhere.
    pub fn isolate(&self) {
        self.0.by_hand(|machine| machine.by_hand(State::Isolated));
    }

    /// Closes it, with empty windows, and counts again; the next break is as short as the first.
    ///
    /// What is closed already stays as it is.
    pub fn close(&self) {
        self.0.by_hand(|machine| machine.by_hand(State::Closed));
    }

    /// As it was built: closed, windows empty, no trips, no cause, also if it is closed already.
    ///
    /// The `sequence` of its events goes on.
    pub fn reset(&self) {
        self.0.by_hand(Machine::reset);
    }

    /// Lets every call through and counts nothing, until told otherwise by hand.
    pub fn disable(&self) {
        self.0.by_hand(|machine| machine.by_hand(State::Disabled));
    }

    /// Lets every call through and counts, from nothing, but never trips.
    ///
    /// Until told otherwise by hand: to see what the rules would make of real traffic.
    pub fn metrics_only(&self) {
        self.0
            .by_hand(|machine| machine.by_hand(State::MetricsOnly));
    }

    pub(crate) fn state_id(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}

impl Policy for CircuitBreaker {
    fn name(&self) -> Name {
        self.0.name
    }

    #[inline]
    fn enter(&self, call: &Call<'_>) -> Enter {
        let word = self.0.word.load(Acquire);
        if value(word) == CLOSED {
            self.0.let_through(word, call)
        } else {
            self.0.enter_not_closed(word, call)
        }
    }

    #[inline]
    fn exit(&self, Ticket(ticket): Ticket, outcome: &Outcome<'_>, call: &Call<'_>) -> Exit {
        let word = self.0.word.load(Acquire);
        let ok = matches!(
            outcome,
            Outcome::Answered(Class::Success | Class::Permanent)
        );
        if !ok || value(word) != CLOSED || Generation::of(word) != Generation::of(ticket) {
            self.0.exit_rare(word, ticket, outcome, call);
        } else if !self.0.meter.is_unmoved_by_success() {
            self.0.count(word, ticket, false, call);
        }
        Exit::Pass
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
    }
}

crate::pipeline::single!(CircuitBreaker, gate);

/// The counting table of the module.
#[inline(always)]
fn said(outcome: &Outcome<'_>) -> Said {
    match *outcome {
        Outcome::Answered(Class::Success | Class::Permanent) => Said::Ok,
        Outcome::Answered(Class::Transient | Class::Failed)
        | Outcome::TimedOut
        | Outcome::Panicked => Said::Failed,
        Outcome::Answered(Class::Throttled(hint)) => Said::Throttled(hint),
        Outcome::Answered(Class::Pushback(pause)) => Said::Throttled(pause),
        Outcome::Answered(Class::Ignored)
        | Outcome::Rejected(_)
        | Outcome::Cancelled
        | Outcome::Unused => Said::Nothing,
    }
}

impl Core {
    /// The ticket: generation, and the time of entry where somebody will ask.
    #[inline(always)]
    fn let_through(&self, word: u64, call: &Call<'_>) -> Enter {
        let since = match self.slow_after {
            Some(_) => call.nanos(),
            None => 0,
        };
        Enter::Proceed(Ticket(Generation::of(word).with(since)))
    }

    /// An open breaker refuses here, without the lock: a word that says open was written after the
    /// end of its break.
    #[inline(never)]
    fn enter_not_closed(&self, word: u64, call: &Call<'_>) -> Enter {
        match State::from_bits(value(word)) {
            State::Open => {
                let now = call.nanos();
                match self.open_until.load(Acquire).saturating_sub(now) {
                    0 => self.enter_locked(call),
                    left => refuse(left),
                }
            }
            State::Isolated => Enter::Reject(Reason::CircuitIsolated),
            State::HalfOpen => self.enter_locked(call),
            State::Closed | State::Disabled | State::MetricsOnly => self.let_through(word, call),
        }
    }

    #[cold]
    fn enter_locked(&self, call: &Call<'_>) -> Enter {
        let now = call.nanos();
        let mut machine = self.machine.lock();
        let (admission, change) = machine.admit(now);
        let generation = machine.generation;
        self.publish(machine);
        self.emit(change, call);
        match admission {
            Admission::Free => self.let_through(generation.with(0), call),
            Admission::Probe(number) => Enter::Proceed(Ticket(generation.with(number))),
            Admission::Open(left) => refuse(left),
            Admission::ProbesOut => Enter::Reject(Reason::CircuitOpen { retry_after: None }),
            Admission::Isolated => Enter::Reject(Reason::CircuitIsolated),
        }
    }

    #[inline(never)]
    fn count(&self, word: u64, ticket: u64, failed: bool, call: &Call<'_>) {
        let generation = Generation::of(word);
        let slow = match self.slow_after {
            Some(limit) => elapsed(value(ticket), call.nanos()) > limit,
            None => false,
        };
        let broken = self.meter.record(generation, failed, slow, || call.nanos());
        if let Some(cause) = broken {
            self.trip(word, cause, call);
        }
    }

    /// Everything but a success of a closed breaker.
    #[inline(never)]
    fn exit_rare(&self, word: u64, ticket: u64, outcome: &Outcome<'_>, call: &Call<'_>) {
        let generation = Generation::of(word);
        if generation != Generation::of(ticket) {
            return;
        }
        match (value(word), said(outcome)) {
            (CLOSED | METRICS_ONLY, Said::Ok) => self.count(word, ticket, false, call),
            (CLOSED | METRICS_ONLY, Said::Failed) => self.count(word, ticket, true, call),
            (CLOSED, Said::Throttled(Some(hint))) => self.throttle(generation, hint, call),
            (HALF_OPEN, said) => self.probe_over(generation, value(ticket), said, call),
            _ => {}
        }
    }

    #[cold]
    fn trip(&self, word: u64, cause: Cause, call: &Call<'_>) {
        if value(word) != CLOSED {
            return;
        }
        let now = call.nanos();
        let mut machine = self.machine.lock();
        let change = machine.trip(Generation::of(word), cause, now);
        self.publish(machine);
        self.emit(change, call);
    }

    #[cold]
    fn throttle(&self, generation: Generation, hint: Duration, call: &Call<'_>) {
        let now = call.nanos();
        let mut machine = self.machine.lock();
        let change = machine.throttle(generation, hint, now);
        self.publish(machine);
        self.emit(change, call);
    }

    #[cold]
    fn probe_over(&self, generation: Generation, number: u64, said: Said, call: &Call<'_>) {
        let now = call.nanos();
        let mut machine = self.machine.lock();
        let change = machine.probe_over(generation, number, said, now);
        self.publish(machine);
        self.emit(change, call);
    }

    fn by_hand(&self, act: impl FnOnce(&mut Machine) -> Option<Change>) {
        let mut machine = self.machine.lock();
        let change = act(&mut machine);
        self.publish(machine);
        if let (Some(change), Some(observer)) = (change, &self.observer) {
            notify(&**observer, self.name, &self.event(change));
        }
    }

    /// Lets the calls see what the machine has become, and unlocks. The meter and the end of the
    /// break come before the word, so whoever reads the word sees them.
    fn publish(&self, machine: MutexGuard<'_, Machine>) {
        let word = machine.generation.with(machine.state.bits());
        if self.word.load(Acquire) == word {
            return;
        }
        if machine.state.counts() {
            self.meter.reset(machine.generation);
        } else {
            self.meter.freeze(machine.generation);
        }
        self.open_until.store(machine.open_until, Release);
        self.word.store(word, Release);
    }

    fn emit(&self, change: Option<Change>, call: &Call<'_>) {
        if let Some(change) = change {
            call.emit(self.event(change));
        }
    }

    fn event(&self, change: Change) -> Event<'static> {
        Event::StateChanged {
            policy: self.name,
            from: change.from,
            to: change.to,
            cause: change.cause,
            sequence: change.sequence,
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let nanos = clock::nanos_of(now);
        let machine = self.machine.lock();
        let left = machine.open_until.saturating_sub(nanos);
        let (open, half_open) = (
            machine.state == State::Open,
            machine.state == State::HalfOpen,
        );
        Snapshot {
            state: machine.state,
            cause: machine.cause,
            sequence: machine.sequence,
            trips: machine.trips,
            next_attempt_at: open
                .then(|| now.checked_add(Duration::from_nanos(left)))
                .flatten(),
            consecutive_failures: self.meter.streak(),
            count_window: self.meter.count_window(),
            time_window: self.meter.time_window(nanos),
            probes: half_open.then(|| machine.probes.snapshot()),
        }
    }
}

#[inline(always)]
fn refuse(left: u64) -> Enter {
    let retry_after = Some(Duration::from_nanos(left));
    Enter::Reject(Reason::CircuitOpen { retry_after })
}

/// Nanoseconds since a ticket's time, which is 48 bits of a time of 64: right for calls of up to 76
/// hours, and 0 for a clock that is up to an hour behind.
#[inline(always)]
fn elapsed(since: u64, now: u64) -> u64 {
    let passed = value(now.wrapping_sub(since));
    if passed > VALUE - BEHIND { 0 } else { passed }
}

/// About 73 minutes.
const BEHIND: u64 = 1 << 42;

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.0.name)
            .field("state", &self.state())
            .field("seed", &self.0.seed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_counted_while_another_trips_it_moves_no_window() {
        let breaker = CircuitBreaker::new("b")
            .consecutive_failures(2)
            .count_window(4)
            .time_window(Duration::from_secs(1))
            .build()
            .unwrap();
        let call = Call::at(clock::now());
        // The word that the late one has read.
        let word = breaker.0.word.load(Acquire);
        let Enter::Proceed(Ticket(ticket)) = breaker.enter(&call) else {
            panic!("closed");
        };
        for _ in 0..2 {
            breaker.exit(Ticket(ticket), &Outcome::TimedOut, &call);
        }
        let tripped = breaker.0.snapshot(call.now());
        assert_eq!(tripped.state, State::Open);
        breaker.0.count(word, ticket, true, &call);
        assert_eq!(breaker.0.snapshot(call.now()), tripped);
    }

    #[test]
    fn elapsed_survives_wrapping_and_a_clock_that_runs_backwards() {
        assert_eq!(elapsed(10, 35), 25);
        assert_eq!(elapsed(35, 10), 0);
        assert_eq!(elapsed(VALUE, VALUE + 8), 8);
        assert_eq!(elapsed(value(VALUE + 8), VALUE), 0);
        let day = 86_400_000_000_000;
        assert_eq!(elapsed(0, 3 * day), 3 * day);
    }
}
