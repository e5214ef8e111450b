//! The undo of a step: its key, its tombstone, and what the service hears of it.
use super::{Answer, Site, file};
use axum::{body::Body, extract::Request, response::Response};
use reqwest::Method;
use seawall::saga::idempotency::IdempotencyLayer;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

impl Site {
    async fn undo(&self, path: &str, key: &str, step: &str) -> Answer {
        let headers = [("idempotency-key", key), ("saga-step", step)];
        self.ask(Method::POST, path, &headers, "").await
    }
}

#[tokio::test]
async fn a_step_that_comes_after_its_undo_never_reaches_the_service() {
    let site = Site::start().await;
    for is_replayed in [false, true] {
        let undone = site.undo("/charges/undo", "k/undo", "k").await;
        assert_eq!((undone.status, undone.is_replayed()), (204, is_replayed));
    }
    let late = site.post("k", "5").await;
    assert_eq!(late.status, 410);
    assert_eq!(
        late.problem(),
        "this step has been undone, and will not be done any more"
    );
    // On no route of the service.
    let late = site
        .ask(Method::PUT, "/mails", &[("idempotency-key", "k")], "5")
        .await;
    assert_eq!(late.status, 410);
    assert_eq!(site.hits(), 0);
}

#[tokio::test]
async fn the_undo_of_an_applied_step_runs_once_on_each_of_its_routes() {
    let site = Site::start().await;
    assert_eq!(site.post("k", "5").await.status, 201);
    for (path, hits) in [("/charges/undo", 2), ("/mails/undo", 3)] {
        for is_replayed in [false, true] {
            let undone = site.undo(path, "k/undo", "k").await;
            assert_eq!((undone.status, undone.is_replayed()), (201, is_replayed));
            assert_eq!(site.hits(), hits);
        }
    }
    // What it was answered once is no answer any more.
    assert_eq!(site.post("k", "5").await.status, 410);
}

#[tokio::test]
async fn a_refused_step_has_nothing_to_undo_and_one_in_doubt_has() {
    let site = Site::start().await;
    assert_eq!(site.post("no", "no").await.status, 409);
    assert_eq!(site.undo("/undo", "no/undo", "no").await.status, 204);
    assert_eq!(site.hits(), 1);
    for body in ["fail", "busy", "long", "torn"] {
        site.post(body, body).await;
        let before = site.hits();
        let undone = site.undo("/undo", &format!("{body}/undo"), body).await;
        assert_eq!((undone.status, site.hits()), (201, before + 1), "{body}");
        assert_eq!(site.post(body, body).await.status, 410);
    }
}

/// The first attempt made a charge and its answer was lost; the second one is told that there is a
/// charge already. That 4xx was taken for "nothing was done", so the undo was answered 204 and the
/// charge stayed.
#[tokio::test]
async fn a_step_that_is_refused_after_an_attempt_in_doubt_is_undone_by_the_service() {
    let charges = Arc::new(AtomicU32::new(0));
    let made = charges.clone();
    let service = tower::service_fn(move |request: Request| {
        let undo = request.uri().path().ends_with("/undo");
        let status = match (undo, made.load(SeqCst)) {
            (true, _) => {
                made.store(0, SeqCst);
                200
            }
            (false, 0) => {
                made.store(1, SeqCst);
                500
            }
            (false, _) => 409,
        };
        let answer = Response::builder().status(status).body(Body::empty());
        std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
    });
    let folder = tempfile::tempdir().unwrap();
    let layer = IdempotencyLayer::new(file(&folder)).build().unwrap();
    let service = tower::Layer::layer(&layer, service);
    let post = |path: &str, headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(Request::post(path), |r, (name, value)| {
                r.header(*name, *value)
            });
        let request = request.body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(service.clone(), request)
    };
    let step = [("idempotency-key", "k")];
    assert_eq!(post("/charges", &step).await.unwrap().status(), 500);
    assert_eq!(post("/charges", &step).await.unwrap().status(), 409);
    let undo = [("idempotency-key", "k/undo"), ("saga-step", "k")];
    assert_eq!(post("/charges/undo", &undo).await.unwrap().status(), 200);
    assert_eq!(charges.load(SeqCst), 0);
}

#[tokio::test]
async fn an_undo_waits_for_its_step_and_lets_no_other_attempt_begin() {
    let mut site = Site::start().await;
    let step = site.begin("k").await;
    let early = site.undo("/undo", "k/undo", "k").await;
    assert_eq!(
        (early.status, early.headers["retry-after"].to_str().unwrap()),
        (409, "1")
    );
    // The step is shut from here on, but its attempt is still told how it ended.
    assert_eq!(site.post("k", "wait").await.status, 410);
    site.open_gate();
    assert_eq!(step.await.unwrap().unwrap().status, 200);
    assert_eq!(site.hits(), 1);
    assert_eq!(site.undo("/undo", "k/undo", "k").await.status, 201);
    assert_eq!(site.hits(), 2);
}

#[tokio::test]
async fn an_undo_that_fails_runs_again() {
    let site = Site::start().await;
    assert_eq!(site.post("k", "5").await.status, 201);
    let undo = [("idempotency-key", "k/undo"), ("saga-step", "k")];
    for hits in [2, 3] {
        let failed = site.ask(Method::POST, "/undo", &undo, "fail").await;
        assert_eq!((failed.status, site.hits()), (502, hits));
    }
}

/// It was kept like the refusal of a step. An operator who had removed what stood in its way, and
/// tried the saga again, was given the old refusal for as long as keys are kept.
#[tokio::test]
async fn an_undo_that_is_refused_runs_again() {
    let site = Site::start().await;
    assert_eq!(site.post("k", "5").await.status, 201);
    let undo = [("idempotency-key", "k/undo"), ("saga-step", "k")];
    for hits in [2, 3] {
        let refused = site.ask(Method::POST, "/undo", &undo, "no").await;
        assert_eq!((refused.status, refused.is_replayed()), (409, false));
        assert_eq!(site.hits(), hits);
    }
    assert_eq!(site.post("k", "5").await.status, 410);
}

#[tokio::test]
async fn the_key_of_an_undo_belongs_to_one_step() {
    let site = Site::start().await;
    for key in ["a", "b"] {
        assert_eq!(site.post(key, "5").await.status, 201);
    }
    assert_eq!(site.undo("/undo", "a/undo", "a").await.status, 201);
    // A good answer would leave `b` applied.
    assert_eq!(site.undo("/undo", "a/undo", "b").await.status, 422);
    assert_eq!(site.undo("/charges", "a", "b").await.status, 422);
    assert_eq!(site.hits(), 3);
    let replayed = site.post("b", "5").await;
    assert!(
        replayed.is_replayed(),
        "`b` was shut by an undo that was refused"
    );
    // Half an undo is none.
    for headers in [
        vec![("idempotency-key", "b/undo")],
        vec![("saga-step", "b")],
        vec![("idempotency-key", "b"), ("saga-step", "b")],
    ] {
        let answer = site.ask(Method::POST, "/undo", &headers, "").await;
        assert_eq!(answer.status, 400, "{headers:?}");
        answer.problem();
    }
}
