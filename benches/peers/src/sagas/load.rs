//! The same load for everyone: so many clients, each of which starts its next saga when its last
//! one has ended. The program of the saga peers includes this very file.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Runs sagas for `span` and gives how many ended per second. Each is given a number that none
/// had before. A client that is in the middle of a saga when the span is over ends it first, and
/// both that saga and its time count.
pub fn rate<F>(
    runtime: &Runtime,
    clients: usize,
    span: Duration,
    saga: impl Fn(u64) -> F + Clone + Send + 'static,
) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ended = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    runtime.block_on(async {
        let running: Vec<_> = (0..clients)
            .map(|_| {
                let (saga, ended) = (saga.clone(), ended.clone());
                tokio::spawn(async move {
                    while start.elapsed() < span {
                        saga(NEXT.fetch_add(1, Relaxed)).await;
                        ended.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        for client in running {
            client.await.expect("a client that ends");
        }
    });
    ended.load(Relaxed) as f64 / start.elapsed().as_secs_f64()
}
