//! What outlives a process, and what several of them on one file make of each other.
use super::{Site, file};
use seawall::saga::idempotency::IdempotencyConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A wall clock that the test sets, in seconds.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, SeqCst);
    }

    fn tell(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let Clock(seconds) = self.clone();
        move || UNIX_EPOCH + Duration::from_secs(seconds.load(SeqCst))
    }
}

/// The files as a crash at this moment would leave them. Nothing is being written.
fn image(of: &TempDir) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for name in ["keys.db", "keys.db-wal"] {
        std::fs::copy(of.path().join(name), image.path().join(name)).unwrap();
    }
    image
}

#[tokio::test]
async fn answers_and_tombstones_outlive_the_process() {
    let site = Site::start().await;
    assert_eq!(site.post("k", "5").await.status, 201);
    let undo = [("idempotency-key", "u/undo"), ("saga-step", "u")];
    let undone = site.ask(reqwest::Method::POST, "/undo", &undo, "").await;
    assert_eq!(undone.status, 204);

    let next = Site::on(image(&site.folder), |config| config).await;
    let again = next.post("k", "5").await;
    assert!(again.is_replayed() && again.body == "done 5");
    assert_eq!(next.post("u", "5").await.status, 410);
    assert_eq!(next.hits(), 0);
}

#[tokio::test]
async fn what_a_dead_process_had_in_hand_is_locked_for_a_lease_and_then_runs_again() {
    let clock = Clock::default();
    clock.set(1_000);
    let with = |config: IdempotencyConfig| config.clock(clock.tell());
    let mut site = Site::with(with).await;
    let _step = site.begin("k").await;
    let image = image(&site.folder);
    // Nobody renews the marks of the image.
    let next = Site::on(image, with).await;
    clock.set(1_029);
    let busy = next.post("k", "wait").await;
    assert_eq!(
        (busy.status, busy.headers["retry-after"].to_str().unwrap()),
        (409, "1")
    );
    clock.set(1_000);
    assert_eq!(next.post("k", "wait").await.headers["retry-after"], "30");
    clock.set(1_030);
    // Its undo asks the service: nobody knows whether the handler had done its work.
    let undo = [("idempotency-key", "k/undo"), ("saga-step", "k")];
    let undone = next.ask(reqwest::Method::POST, "/undo", &undo, "").await;
    assert_eq!((undone.status, next.hits()), (201, 1));

    let next = Site::on(self::image(&site.folder), with).await;
    clock.set(1_060);
    next.open_gate();
    let again = next.post("k", "wait").await;
    assert_eq!(
        (again.status, again.is_replayed(), next.hits()),
        (200, false, 1)
    );
}

#[tokio::test]
async fn a_mark_is_renewed_for_as_long_as_its_handler_runs() {
    let clock = Clock::default();
    clock.set(1_000);
    let with = |config: IdempotencyConfig| config.lease(Duration::from_secs(3)).clock(clock.tell());
    let mut site = Site::with(with).await;
    let step = site.begin("k").await;
    // Another process on the same file.
    let other = seawall::saga::idempotency::IdempotencyLayer::new(file(&site.folder));
    let other = with(other).build().unwrap();
    let ask_other = || {
        let service = tower::service_fn(|_: axum::extract::Request| async {
            Ok::<_, std::convert::Infallible>(axum::response::Response::new(
                axum::body::Body::from("twice"),
            ))
        });
        let request = axum::extract::Request::post("/charges")
            .header("idempotency-key", "k")
            .body(axum::body::Body::from("wait"))
            .unwrap();
        tower::ServiceExt::oneshot(tower::Layer::layer(&other, service), request)
    };
    // Long after the first lease has run out. The first process holds its own in any case, and
    // being asked, it sees that renewing is due.
    clock.set(1_100);
    assert_eq!(site.post("k", "wait").await.status, 409);
    assert_eq!(ask_other().await.unwrap().status(), 409);
    site.open_gate();
    assert_eq!(step.await.unwrap().unwrap().body, "waited");
    let replayed = ask_other().await.unwrap();
    assert_eq!(replayed.headers()["idempotency-replayed"], "true");
    assert_eq!(site.hits(), 1);
}

#[tokio::test]
async fn answers_and_tombstones_are_forgotten_after_their_time() {
    let clock = Clock::default();
    clock.set(1_000_000);
    let with =
        |config: IdempotencyConfig| config.keep(Duration::from_secs(100)).clock(clock.tell());
    let mut site = Site::with(with).await;
    assert_eq!(site.post("k", "5").await.status, 201);
    let undo = [("idempotency-key", "u/undo"), ("saga-step", "u")];
    site.ask(reqwest::Method::POST, "/undo", &undo, "").await;
    let step = site.begin("running").await;
    clock.set(1_000_100);
    assert!(site.post("k", "5").await.is_replayed());
    assert_eq!(site.post("u", "5").await.status, 410);
    // Older leaves with the commit of whichever request comes next.
    clock.set(1_000_101);
    assert_eq!(site.post("other", "5").await.status, 201);
    for key in ["k", "u"] {
        let fresh = site.post(key, "7").await;
        assert_eq!((fresh.status, fresh.is_replayed()), (201, false), "{key}");
    }
    // What is running is never forgotten.
    assert_eq!(site.post("running", "wait").await.status, 409);
    site.open_gate();
    assert_eq!(step.await.unwrap().unwrap().status, 200);
}
