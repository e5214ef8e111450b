//! The conformance suite, on the stores there are, and on one that breaks a promise.
use super::*;
use seawall::saga::MemoryStore;
use seawall::saga::store::conformance::{PROMISES, check};

#[tokio::test]
async fn both_stores_keep_every_promise() {
    check(|| async { MemoryStore::new() }).await.unwrap();
    let mut folders = Vec::new();
    for promise in PROMISES {
        let (folder, store) = fresh().await;
        promise.check(&store).await.unwrap();
        folders.push(folder);
    }
}
