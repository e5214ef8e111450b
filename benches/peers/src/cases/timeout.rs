use crate::SECOND;
use crate::case::Case;
use crate::groups::{TIMEOUT, TIMEOUT_PENDS};
use crate::guards::timeout;
use crate::operation::{Leaf, consume, drive, guarded, operation, pends_once};
use tower::Layer;

pub fn cases() -> Vec<Case> {
    let group = &TIMEOUT;
    let closure = timeout::seawall();
    let service = closure.layer().layer(Leaf);
    let peer = timeout::tower_resilience().layer(Leaf);
    let mut cases = vec![
        guarded!(group, closure.clone()),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "tokio", || {
            tokio::time::timeout(SECOND, operation!())
        }),
        Case::service(group, "tower", tower::timeout::Timeout::new(Leaf, SECOND)),
        Case::service(group, "tower-resilience", peer),
    ];

    let group = &TIMEOUT_PENDS;
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
