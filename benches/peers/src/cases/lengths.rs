//! Pipelines of 1, 2, 3, 5, 8 and 12 policies: is the price of one more always the same?
use crate::case::Case;
use crate::groups::{Group, LENGTHS, LENGTHS_LAYER, MIXED, MIXED_LAYER};
use crate::guards::{breaker, bulkhead, rate_limit, retry};
use crate::operation::{Leaf, guarded};
use crate::{HOUR, SECOND};
use seawall::pipeline::Builder;
use seawall::{Hedge, Pipeline, Timeout};
use tower::Layer;

/// How many, and how the table calls it.
pub const LENGTHS_OF: [(usize, &str); 6] = [
    (1, "seawall, 1"),
    (2, "seawall, 2"),
    (3, "seawall, 3"),
    (5, "seawall, 5"),
    (8, "seawall, 8"),
    (12, "seawall, 12"),
];

pub fn cases() -> Vec<Case> {
    let mut cases = both(&LENGTHS, &LENGTHS_LAYER, breakers);
    cases.extend(both(&MIXED, &MIXED_LAYER, mixed));
    cases
}

fn both(run: &'static Group, layer: &'static Group, pipeline: fn(usize) -> Pipeline) -> Vec<Case> {
    let runs = LENGTHS_OF.map(|(length, who)| guarded!(run, who, pipeline(length)));
    let layers = LENGTHS_OF.map(|(length, who)| {
        let service = pipeline(length).layer().layer(Leaf);
        Case::service(layer, who, service)
    });
    runs.into_iter().chain(layers).collect()
}

fn breakers(length: usize) -> Pipeline {
    (0..length)
        .fold(Pipeline::builder("bench"), |b, _| {
            b.with(breaker::seawall())
        })
        .build()
        .expect("at most twelve")
}

/// The first so many of twelve.
fn mixed(length: usize) -> Pipeline {
    let policies: [fn(Builder) -> Builder; 12] = [
        |b| b.with(Timeout::after(SECOND)),
        |b| b.with(retry::seawall()),
        |b| b.with(breaker::seawall()),
        |b| b.with(bulkhead::seawall()),
        |b| b.with(rate_limit::seawall()),
        |b| b.with(Hedge::after(HOUR)),
        |b| b.with(breaker::seawall()),
        |b| b.with(Timeout::after(SECOND)),
        |b| b.with(breaker::seawall()),
        |b| b.with(breaker::seawall()),
        |b| b.with(breaker::seawall()),
        |b| b.with(breaker::seawall()),
    ];
    let start = Pipeline::builder("bench");
    let pipeline = policies[..length].iter().fold(start, |b, with| with(b));
    pipeline.build().expect("at most twelve")
}
