//! `IdempotencyLayer` around an axum server on real sockets, with reqwest as the client.
//!
//! The runtime of these tests has one thread. So when a handler tells its end, its answer is on the
//! way to the file before any other request is.
mod build;
mod crash;
mod site;
mod undo;

use site::{Answer, LIMIT, Site, file, read};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use reqwest::Method;
use seawall::saga::idempotency::IdempotencyConfig;

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_is_done_once() {
    let site = Site::start().await;
    let first = site.post("k", "5").await;
    assert_eq!((first.status, first.body.as_str()), (201, "done 5"));
    assert!(!first.is_replayed());
    // With quotes, as the draft has it, it is the same key.
    for key in ["k", "\"k\""] {
        let again = site.post(key, "5").await;
        assert!(again.is_replayed());
        assert_eq!((again.status, again.body.as_str()), (201, "done 5"));
        for name in ["location", "x-n", "content-type", "content-length"] {
            assert_eq!(again.headers[name], first.headers[name], "{name}");
        }
    }
    assert_eq!(site.hits(), 1);
    // A no of the business is an answer like others.
    assert_eq!(site.post("n", "no").await.status, 409);
    let no = site.post("n", "no").await;
    assert!(no.is_replayed() && no.body == "no");
    assert_eq!(site.hits(), 2);
}

#[tokio::test]
async fn another_payload_is_refused_and_another_route_is_another_call() {
    let site = Site::start().await;
    let key = [("idempotency-key", "k")];
    assert_eq!(site.post("k", "5").await.status, 201);
    let other = site.post("k", "6").await;
    assert_eq!(other.status, 422);
    assert_eq!(
        other.problem(),
        "this Idempotency-Key has been used for another request"
    );
    // The query is a part of the payload, not of the route.
    let other = site.ask(Method::POST, "/charges?fast", &key, "5").await;
    assert_eq!(other.status, 422);
    assert_eq!(site.hits(), 1);
    for (method, path) in [(Method::POST, "/mails"), (Method::PUT, "/charges")] {
        let fresh = site.ask(method, path, &key, "6").await;
        assert!(fresh.status == 201 && !fresh.is_replayed(), "{path}");
    }
    assert_eq!(site.hits(), 3);
}

#[tokio::test]
async fn keys_that_are_missing_or_wrong_are_told_and_never_reach_the_service() {
    let site = Site::start().await;
    let long = "k".repeat(256);
    let shown = "k".repeat(40);
    for (method, headers, detail) in [
        (
            Method::POST,
            vec![],
            "this request needs the header Idempotency-Key, so that it may be sent again",
        ),
        (
            Method::PATCH,
            vec![],
            "this request needs the header Idempotency-Key, so that it may be sent again",
        ),
        (
            Method::POST,
            vec![("idempotency-key", "")],
            "idempotency-key is \"\" (0 bytes), but has to be 1 to 255 bytes long",
        ),
        (
            Method::PUT,
            vec![("idempotency-key", long.as_str())],
            &format!(
                "idempotency-key is \"{shown}\"… (256 bytes), but has to be 1 to 255 bytes long"
            ),
        ),
        (
            Method::POST,
            vec![("idempotency-key", "a b")],
            "the header idempotency-key has to be a string in double quotes (RFC 9651), \
             or visible ASCII without them",
        ),
        (
            Method::POST,
            vec![("idempotency-key", "a"), ("idempotency-key", "b")],
            "the header idempotency-key is there more than once",
        ),
    ] {
        let answer = site.ask(method, "/charges", &headers, "5").await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, detail));
    }
    assert_eq!(site.hits(), 0);
    // What cannot do harm twice needs none; and where the service says so, nothing does.
    assert_eq!(site.ask(Method::GET, "/charges", &[], "").await.status, 201);
    assert_eq!(
        site.ask(Method::DELETE, "/charges", &[], "").await.status,
        201
    );
    let optional = Site::with(IdempotencyConfig::optional).await;
    for _ in 0..2 {
        assert_eq!(
            optional
                .ask(Method::POST, "/charges", &[], "5")
                .await
                .status,
            201
        );
    }
    assert_eq!(optional.hits(), 2);
}

#[tokio::test]
async fn bodies_have_a_limit_on_both_sides() {
    let site = Site::start().await;
    let long = site.post("k", &"x".repeat(LIMIT + 1)).await;
    assert_eq!(
        (long.status, long.problem().as_str()),
        (413, "the body is longer than 1000 bytes")
    );
    assert_eq!(site.hits(), 0);
    // Nothing was begun under the key.
    assert_eq!(site.post("k", &"x".repeat(LIMIT)).await.status, 201);

    // The work is done, so it must not be done again for the sake of its answer.
    for _ in 0..2 {
        let answer = site.post("long", "long").await;
        let detail = "it has been done, but the answer is longer than 1000 bytes";
        assert_eq!((answer.status, answer.problem().as_str()), (500, detail));
    }
    assert_eq!(site.hits(), 2);
}

/// Also a 401, which was kept: a client whose token had run out was refused under the new one, too, for as
/// long as keys are kept.
#[tokio::test]
async fn answers_that_ask_to_be_asked_again_run_again() {
    let site = Site::start().await;
    for (i, (body, status)) in [
        ("fail", 502),
        ("busy", 429),
        ("torn", 500),
        ("stranger", 401),
    ]
    .into_iter()
    .enumerate()
    {
        for attempt in 1..=2 {
            let answer = site.post(body, body).await;
            assert!(answer.status == status && !answer.is_replayed());
            assert_eq!(site.hits(), 2 * i as u32 + attempt);
        }
        // The key is this request's all the same.
        assert_eq!(site.post(body, "other").await.status, 422);
    }
}

#[tokio::test]
async fn a_panic_of_the_handler_reaches_the_caller_and_frees_the_key() {
    let site = Site::start().await;
    for hits in 1..=2 {
        let sent = read(site.request(
            Method::POST,
            "/charges",
            &[("idempotency-key", "k")],
            "panic",
        ));
        assert!(sent.await.is_err(), "the server hangs up");
        assert_eq!(site.hits(), hits);
    }
    // As a tower service, the panic is the caller's own, unchanged.
    let service = tower::service_fn(|_: Request| async {
        if true {
            panic!("on purpose");
        }
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    });
    let service = tower::Layer::layer(&site.layer, service);
    let request = Request::post("/x")
        .header("idempotency-key", "k")
        .body(Body::empty());
    let call = tower::ServiceExt::oneshot(service, request.unwrap());
    let panic = tokio::spawn(call).await.unwrap_err().into_panic();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
}

#[tokio::test]
async fn of_many_at_a_time_one_runs() {
    let mut site = Site::start().await;
    let first = site.begin("k").await;
    for busy in site.many(16, "k", "wait").await {
        assert_eq!(busy.status, 409);
        assert_eq!(
            busy.problem(),
            "the same request, or the step that it undoes, is in progress"
        );
        assert_eq!(busy.headers["retry-after"], "1");
    }
    // That the key is another's does not have to wait.
    assert_eq!(site.post("k", "other").await.status, 422);
    site.open_gate();
    assert_eq!(first.await.unwrap().unwrap().body, "waited");
    for again in site.many(16, "k", "wait").await {
        assert!(again.is_replayed() && again.body == "waited");
    }
    assert_eq!(site.hits(), 1);
    // Many that nobody has announced.
    let all = site.many(64, "many", "5").await;
    let count = |f: fn(&Answer) -> bool| all.iter().filter(|answer| f(answer)).count();
    assert_eq!(count(|a| a.status == 201 && !a.is_replayed()), 1);
    assert_eq!(count(|a| a.status == 409 || a.is_replayed()), 63);
    assert_eq!(site.hits(), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_finds_the_answer_when_it_comes_again() {
    let mut site = Site::start().await;
    let sent = site.begin("k").await;
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    assert_eq!(site.post("k", "wait").await.status, 409);
    site.open_gate();
    site.ended.recv().await.unwrap();
    let again = site.post("k", "wait").await;
    assert!(again.is_replayed());
    assert_eq!((again.body.as_str(), site.hits()), ("waited", 1));
}

#[tokio::test]
async fn keys_of_different_callers_never_meet() {
    let by_token = |config: IdempotencyConfig| {
        config.caller(|head| {
            let token = head.headers.get("authorization");
            token
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        })
    };
    let site = Site::with(by_token).await;
    let as_ = |who| [("idempotency-key", "k"), ("authorization", who)];
    let undo = |who| {
        [
            ("idempotency-key", "k/undo"),
            ("saga-step", "k"),
            ("authorization", who),
        ]
    };
    assert_eq!(
        site.ask(Method::POST, "/undo", &undo("eve"), "")
            .await
            .status,
        204
    );
    let ada = site.ask(Method::POST, "/charges", &as_("ada"), "5").await;
    assert_eq!(ada.status, 201);
    let eve = site.ask(Method::POST, "/charges", &as_("eve"), "5").await;
    assert_eq!(eve.status, 410);
    let bela = site.ask(Method::POST, "/charges", &as_("bela"), "6").await;
    assert!(bela.status == 201 && !bela.is_replayed());
}
