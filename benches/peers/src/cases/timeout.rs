use crate::{Case, Leaf, SECOND, consume, drive, guarded, operation, pends_once};
use seawall::Timeout;
use tower::Layer;
use tower_resilience::timelimiter::TimeLimiterLayer;

pub fn cases() -> Vec<Case> {
    let group = "timeout";
    let closure = seawall();
    let service = seawall().layer().layer(Leaf);
    let peer = TimeLimiterLayer::builder().timeout_duration(SECOND).build();
    let mut cases = vec![
        guarded!(group, closure.clone()),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "tokio", || {
            tokio::time::timeout(SECOND, operation!())
        }),
        Case::service(group, "tower", tower::timeout::Timeout::new(Leaf, SECOND)),
        Case::service(group, "tower-resilience", peer.layer(Leaf)),
    ];

    let group = "timeout, the operation pends once";
    let bytes = size_of_val(&closure.run(pends_once));
    cases.push(Case::new(group, "seawall", bytes, move || {
        consume(drive(closure.run(pends_once)));
    }));
    let bytes = size_of_val(&tokio::time::timeout(SECOND, pends_once()));
    cases.push(Case::new(group, "tokio", bytes, || {
        consume(drive(tokio::time::timeout(SECOND, pends_once())));
    }));
    cases
}

fn seawall() -> Timeout {
    Timeout::after(SECOND).build().expect("a limit of a second")
}
