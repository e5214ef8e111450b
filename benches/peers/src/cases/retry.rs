use crate::case::Case;
use crate::groups::RETRY;
use crate::guards::retry;
use crate::operation::{Leaf, guarded, operation};
use backon::Retryable;
use tower::Layer;

pub fn cases() -> Vec<Case> {
    let group = &RETRY;
    let guard = retry::seawall().build().expect("three attempts");
    let service = guard.layer().layer(Leaf);
    let tower = tower::retry::Retry::new(retry::tower(), Leaf);
    let peer = retry::tower_resilience().layer(Leaf);
    vec![
        guarded!(group, guard),
        Case::service(group, "seawall, Layer", service),
        Case::future(group, "backon", || (|| operation!()).retry(retry::backon())),
        Case::service(group, "tower", tower),
        Case::service(group, "tower-resilience", peer),
    ]
}
