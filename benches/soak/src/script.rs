//! What each attempt of each call does: drawn from the call's seed and the attempt's number alone, so
//! that an answer can be held against it afterwards.
use fastrand::Rng;
use seawall::Class;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    No,
    /// Wakes itself so many times.
    Yields(u8),
    Sleeps(Duration),
    /// Until it is dropped.
    ForEver,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    Answers(Class),
    Panics,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deed {
    /// The closure itself panics; there is no future.
    pub panics_at_once: bool,
    pub wait: Wait,
    pub then: Then,
    /// Dropped before it has answered.
    pub panics_when_dropped: bool,
}

/// How a service takes the request of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Readiness {
    /// After so many polls.
    After(u8),
    Fails,
}

const MS: Duration = Duration::from_millis(1);

/// Neighbours in, strangers out (the finalizer of SplitMix64).
pub fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// `sick`: the dependency has a bad time. `hangs`: something ends an attempt that never would.
pub fn deed(seed: u64, attempt: u32, sick: bool, hangs: bool) -> Deed {
    let mut rng = Rng::with_seed(mix(seed ^ u64::from(attempt)));
    let wait = match rng.u32(0..4096) {
        0..200 => Wait::Yields(rng.u8(1..4)),
        200..240 => Wait::Sleeps(MS * rng.u32(0..4)),
        240..250 if hangs => Wait::ForEver,
        250..330 if sick => Wait::Sleeps(MS),
        330..340 if sick && hangs => Wait::ForEver,
        _ => Wait::No,
    };
    let then = match rng.u32(0..4096) {
        0..2 => Then::Panics,
        n => Then::Answers(class(n, sick, &mut rng)),
    };
    Deed {
        panics_at_once: rng.u32(0..8192) == 0,
        wait,
        then,
        panics_when_dropped: rng.u32(0..64) == 0,
    }
}

fn class(n: u32, sick: bool, rng: &mut Rng) -> Class {
    let hint = |rng: &mut Rng| rng.bool().then(|| MS * rng.u32(0..3));
    match n {
        0..40 => Class::Transient,
        40..60 => Class::Permanent,
        60..80 => Class::Ignored,
        80..90 => Class::Failed,
        90..100 => Class::Throttled(hint(rng)),
        100..104 => Class::Pushback(hint(rng)),
        104..2400 if sick => Class::Transient,
        2400..2500 if sick => Class::Failed,
        2500..2600 if sick => Class::Throttled(hint(rng)),
        _ => Class::Success,
    }
}

pub fn readiness(seed: u64, attempt: u32) -> Readiness {
    match mix(seed ^ mix(u64::from(attempt))) % 2048 {
        0 => Readiness::Fails,
        1..40 => Readiness::After(1),
        40..44 => Readiness::After(5),
        _ => Readiness::After(0),
    }
}
