//! Every ticket is settled by exactly one exit, in reverse order, however a call ends.
use crate::support::Ledger;
use seawall::Pipeline;

#[tokio::test(start_paused = true)]
async fn a_normal_end_settles_in_reverse_order() {
    let ledger = Ledger::new();
    let p = Pipeline::builder("p")
        .with(ledger.at("outer"))
        .with(ledger.at("inner"))
        .build()
        .unwrap();
    p.run(|| async { Ok::<_, std::io::Error>(()) })
        .await
        .unwrap();
    assert_eq!(ledger.nested(), ["inner: Success", "outer: Success"]);
}
