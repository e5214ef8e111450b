//! What is compared with what, in words.

/// Cases that are compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    pub title: &'static str,
    /// What a call of it goes through, for one who reads the table only.
    pub about: &'static str,
}

macro_rules! groups {
    ($($name:ident: $title:literal, $about:literal;)*) => {
        $(pub static $name: Group = Group { title: $title, about: $about };)*
    };
}

groups! {
    NOTHING: "nothing",
    "The operation that every other case guards, alone: it is ready at once with a number. And what a look at a clock costs here.";
    TIMEOUT: "timeout",
    "A limit of a second around an operation that is ready at once, so that no limit is ever reached.";
    TIMEOUT_PENDS: "timeout, the operation pends once",
    "The same, but the operation is ready at its second poll only: now a timer has to be set and taken back.";
    RETRY: "retry, the first attempt answers",
    "Three attempts with a growing, jittered backoff of a second, of which only the first is needed.";
    CONSECUTIVE: "breaker, consecutive failures",
    "A closed breaker that would open after five failures in a row.";
    COUNT_WINDOW: "breaker, failure rate over 100 calls",
    "A closed breaker that would open at half of the last 100 calls failed.";
    TIME_WINDOW: "breaker, failure rate over 10 s",
    "A closed breaker that would open at half of the calls of the last ten seconds failed. It has to know the time of each call.";
    CONTENTS: "breaker, failure rate over an hour",
    "The same over an hour, with all calls of the run in the window and with hardly any: what is in it should not matter.";
    SLOW_CALLS: "breaker, failure rate and slow calls over 100 calls",
    "A closed breaker that would also open at half of the last 100 calls slower than a second. It has to know the time before and after each call.";
    BULKHEAD: "bulkhead, a permit is free",
    "A hundred calls at a time, of which this is the only one.";
    RATE_LIMIT: "rate limit, a permit is free",
    "More calls a second than the loop can make. All but tower-resilience's and tower's are GCRA, on the system's monotonic clock.";
    RATE_LIMIT_COUNTER: "rate limit, on the processor's counter in place of the system's clock",
    "The same, on the clock that governor reads unless told otherwise: the processor's counter, through `quanta`.";
    OPEN: "refused: the breaker is open",
    "A breaker that is open for an hour. Who tells when to come back has to look at the clock; so has who has to see whether the hour is over.";
    FULL: "refused: the bulkhead is full",
    "A bulkhead without a free permit, whose callers do not wait.";
    SPENT: "refused: the rate limit is spent",
    "One call an hour, and that was it. On the system's clock.";
    SPENT_COUNTER: "refused: the rate limit is spent, on the processor's counter",
    "The same, on the processor's counter.";
    FIVE: "five: timeout, retry, breaker, bulkhead, rate limit",
    "The policies of the tables above in one stack, in this order, the breaker over 100 calls (by hand: five in a row).";
    FOUR: "four: without the rate limit, so that nobody reads a clock",
    "The stack of five without what reads a clock.";
    FIVE_PENDS: "five, the operation pends once",
    "The stack of five, with a timer that has to be set and taken back.";
    LENGTHS: "pipelines of breakers",
    "So many breakers over 100 calls in one pipeline: each further one should cost what the one before it did.";
    LENGTHS_LAYER: "pipelines of breakers, as a Layer",
    "The same around a service.";
    MIXED: "pipelines of several policies",
    "1: a timeout. 2: and a retry. 3: and a breaker. 5: and a bulkhead and a rate limit. 8: and a hedge, a second breaker, a timeout of each attempt. 12: and four further breakers.";
    MIXED_LAYER: "pipelines of several policies, as a Layer",
    "The same around a service.";
    TWO_TIMEOUT: "two threads: timeout", "Two threads share one guard. Here they share nothing that changes.";
    TWO_RETRY: "two threads: retry", "Nor here.";
    TWO_CONSECUTIVE: "two threads: breaker, consecutive failures", "Both count successes.";
    TWO_COUNT_WINDOW: "two threads: breaker, failure rate over 100 calls", "Both write the same window.";
    TWO_TIME_WINDOW: "two threads: breaker, failure rate over 10 s", "Both write the same window.";
    TWO_SLOW_CALLS: "two threads: breaker, failure rate and slow calls over 100 calls", "Both write the same window.";
    TWO_BULKHEAD: "two threads: bulkhead, a permit is free", "Both take and give back permits of the same hundred.";
    TWO_RATE_LIMIT: "two threads: rate limit, a permit is free", "Both move the same instant.";
    TWO_OPEN: "two threads, refused: the breaker is open",
    "Both are refused by the same breaker. Without tower-resilience: a call of it that finds its lock taken sleeps a millisecond.";
    TWO_FULL: "two threads, refused: the bulkhead is full", "Both are refused by the same bulkhead.";
    TWO_SPENT: "two threads, refused: the rate limit is spent", "Both are refused by the same limiter.";
    TWO_FIVE: "two threads: five", "Both call through the same stack of five.";
    TWO_FOUR: "two threads: four, without the rate limit", "And through the same stack of four.";
}
