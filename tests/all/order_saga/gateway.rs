//! The gateway's manners, asked over HTTP.
use super::{ALL, SERVICES, Serving, alone, signed, token};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

/// The first line of the answer. Clients would tidy the path up.
async fn raw(system: &Serving, path: &str, token: &str) -> String {
    let address = system.gateway.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(connection).lines();
    lines.next_line().await.unwrap().unwrap()
}

#[tokio::test]
async fn who_may_pass_and_where_to() {
    let _alone = alone().await;
    let system = Serving::start().await;
    let with = |path, token: String| system.get(path).bearer_auth(token);
    let mine = || token("ada", ALL, 60);

    // Who.
    let answer = system.get("/api/catalog").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    let forged = signed("another secret", "ada", ALL, 60);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9.".to_owned();
    for bad in [
        forged,
        unsigned,
        token("ada", ALL, -1),
        "nonsense".to_owned(),
    ] {
        assert_eq!(
            status(with("/api/catalog", bad.clone())).await,
            401,
            "{bad}"
        );
    }
    assert_eq!(
        status(system.get("/api/catalog").basic_auth("ada", Some("x"))).await,
        401
    );
    assert_eq!(
        status(with("/api/users/ada", token("ada", "products:read", 60))).await,
        403
    );
    let reader = token("ada", "orders:read", 60);
    let order = system.http.post(format!("{}/api/orders", system.gateway));
    assert_eq!(status(order.bearer_auth(reader)).await, 403);

    // Where to: the path is rewritten, and nothing leads out of its prefix.
    let lamp = json_of(with("/api/catalog/lamp", mine())).await;
    assert_eq!(
        (&lamp["sku"], &lamp["price_cents"]),
        (&json!("lamp"), &json!(4_900))
    );
    assert_eq!(status(with("/api/catalog/boat", mine())).await, 404);
    assert_eq!(status(with("/api/orderspace", mine())).await, 404);
    assert_eq!(status(with("/products", mine())).await, 404);
    for climbing in ["/api/users/../admin/faults", "/api/orders/%2E%2e/guards"] {
        assert_eq!(
            raw(&system, climbing, &mine()).await,
            "HTTP/1.1 400 Bad Request"
        );
    }
    let post = system.http.post(format!("{}/api/catalog", system.gateway));
    assert_eq!(status(post.bearer_auth(mine())).await, 405);
    let no_key = system.http.post(format!("{}/api/orders", system.gateway));
    let no_key = no_key.json(&json!({ "sku": "lamp", "quantity": 1 }));
    assert_eq!(status(no_key.bearer_auth(mine())).await, 400);

    // An order is its owner's, and its key belongs to one order.
    assert_eq!(status(system.order("o-1", "lamp", 1)).await, 201);
    assert_eq!(status(system.order("o-1", "lamp", 1)).await, 201);
    assert_eq!(status(system.order("o-1", "lamp", 2)).await, 422);
    assert_eq!(status(with("/api/orders/o-1", mine())).await, 200);
    assert_eq!(
        status(with("/api/orders/o-1", token("emil", ALL, 60))).await,
        404
    );
    let guessed = system.http.post(format!("{}/api/orders", system.gateway));
    let guessed = guessed.bearer_auth(token("emil", ALL, 60));
    let guessed = guessed.header("idempotency-key", "o-1");
    let guessed = guessed.json(&json!({ "sku": "chair", "quantity": 7 }));
    let told = json_of(guessed).await;
    let told = [
        &told["status"],
        &told["customer"],
        &told["sku"],
        &told["cents"],
    ];
    assert_eq!(
        told,
        [
            &json!("refused"),
            &json!("emil"),
            &json!("chair"),
            &json!(0)
        ]
    );
    system.end().await;
}

#[tokio::test]
async fn a_no_is_always_one_sentence_as_json() {
    let _alone = alone().await;
    let system = Serving::start().await;
    let ask = |method: reqwest::Method, path: &str| {
        let request = system
            .http
            .request(method, format!("{}{path}", system.gateway));
        request
            .bearer_auth(token("ada", ALL, 60))
            .header("idempotency-key", "o-1")
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let order = |body: &'static str| {
        ask(post.clone(), "/api/orders")
            .header("content-type", "application/json")
            .body(body)
    };
    for (request, expected) in [
        (ask(get.clone(), "/"), 404),
        (ask(get.clone(), "/api/users/ada/x"), 404),
        (ask(get.clone(), "/api/orders/"), 404),
        (ask(get.clone(), "/api/orders//overview"), 404),
        (ask(get.clone(), "/api/orders"), 405),
        (ask(reqwest::Method::DELETE, "/api/orders/o-1"), 405),
        (order("{"), 400),
        (order(r#"{ "sku": "lamp" }"#), 422),
        (order(r#"{ "sku": "lamp", "quantity": -1 }"#), 422),
        (ask(post.clone(), "/api/orders").body("a lamp"), 415),
        (system.order("..", "lamp", 1), 400),
        // The lever that breaks services is not for those outside.
        (ask(post.clone(), "/admin/faults").json(&json!({})), 404),
    ] {
        let answer = request.send().await.unwrap();
        let (url, status) = (answer.url().clone(), answer.status());
        let body: Value = answer.json().await.unwrap_or_default();
        let why = body["error"].as_str().unwrap_or_default();
        assert_eq!(status, expected, "{url} {body}");
        assert!(!why.is_empty() && why != "no reason given", "{url} {body}");
    }
    // A name that would lead elsewhere is nobody's, whoever signed it.
    for sub in ["", "../guards", "ada/x", "ada\n", "á"] {
        let request = system
            .get("/api/users/ada")
            .bearer_auth(token(sub, ALL, 60));
        assert_eq!(status(request).await, 401, "{sub}");
    }
    system.end().await;
}

#[tokio::test]
async fn a_client_has_a_limit_of_its_own() {
    let _alone = alone().await;
    let system = Serving::start().await;
    let mut refused = Vec::new();
    // A busy machine may spread the calls of a round over seconds, in which permits come back.
    for _ in 0..20 {
        let mut calls = JoinSet::new();
        for _ in 0..300 {
            let call = system
                .get("/api/users/ada")
                .bearer_auth(token("ada", ALL, 60));
            calls.spawn(async move { call.send().await.unwrap() });
        }
        let answers = calls.join_all().await;
        let over = |answer: &Response| answer.status() == StatusCode::TOO_MANY_REQUESTS;
        refused.extend(answers.into_iter().filter(over));
        if !refused.is_empty() {
            break;
        }
    }
    assert!(!refused.is_empty(), "20 times 300 calls, and no limit");
    for answer in refused {
        let after: u64 = answer.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=10).contains(&after), "{after} s");
    }
    let other = system
        .get("/api/users/bela")
        .bearer_auth(token("bela", ALL, 60));
    assert_eq!(status(other).await, 200);
    system.end().await;
}

#[tokio::test]
async fn ids_are_handed_on_and_seen_in_every_log() {
    let _alone = alone().await;
    let system = Serving::start().await;
    let order = system
        .order("o-1", "kettle", 1)
        .header("x-request-id", "request-7")
        .header("x-correlation-id", "visit-9");
    let answer = order.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["x-request-id"], "request-7");
    assert_eq!(answer.headers()["x-correlation-id"], "visit-9");
    let line = "request=request-7 correlation=visit-9";
    for service in SERVICES.iter().filter(|name| **name != "users") {
        assert!(
            system.log(service).contains(line),
            "{service} has not logged it"
        );
    }

    // A made one, and one instead of what would forge a line.
    let mut ids = Vec::new();
    for sent in [None, Some("x status=200 correlation=visit-9")] {
        let mut request = system
            .get("/api/users/ada")
            .bearer_auth(token("ada", ALL, 60));
        if let Some(sent) = sent {
            request = request.header("x-request-id", sent);
        }
        let answer = request.send().await.unwrap();
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(system.log("users").contains(&format!("request={id} ")));
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
    assert!(!ids[1].contains(' '));
    system.end().await;
}

#[tokio::test]
async fn a_missing_part_is_filled_in_and_marked() {
    let _alone = alone().await;
    let system = Serving::start().await;
    assert_eq!(status(system.order("o-1", "lamp", 1)).await, 201);
    let overview = |key: &str| {
        let path = format!("/api/orders/{key}/overview");
        system.get(&path).bearer_auth(token("ada", ALL, 60))
    };
    let whole = json_of(overview("o-1")).await;
    assert_eq!(whole["missing"], json!([]));
    assert_eq!(whole["order"]["status"], "confirmed");
    assert_eq!(whole["user"]["name"], "Ada Moreau");
    assert_eq!(whole["products"].as_array().unwrap().len(), 5);

    for service in ["users", "inventory"] {
        system.faults(service, json!({ "down": true })).await;
    }
    let answer = overview("o-1").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let part: Value = answer.json().await.unwrap();
    assert_eq!(part["missing"], json!(["user", "products"]));
    assert_eq!(part["order"], whole["order"]);
    assert_eq!(part["user"], json!({ "id": "ada" }));
    assert_eq!(part["products"], whole["products"], "the last good catalog");

    // A no is no failure: there is nothing to fill in.
    assert_eq!(status(overview("o-2")).await, 404);
    system.end().await;
}

#[tokio::test]
async fn health_tells_of_each_service() {
    let _alone = alone().await;
    let system = Serving::start().await;
    assert_eq!(status(system.get("/health/live")).await, 200);
    assert_eq!(status(system.get("/health/ready")).await, 200);
    let answer = system.get("/health").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let health: Value = answer.json().await.unwrap();
    let checks = health["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 5);
    assert!(
        checks
            .iter()
            .all(|check| check["time_ms"].as_f64().unwrap() > 0.0)
    );

    system.faults("payments", json!({ "down": true })).await;
    system
        .faults("inventory", json!({ "delay_ms": 5_000 }))
        .await;
    let answer = system.get("/health").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let health: Value = answer.json().await.unwrap();
    assert_eq!(health["status"], "down");
    let check = |name: &str| {
        let checks = health["checks"].as_array().unwrap().iter();
        checks
            .clone()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(check("payments")["error"], "answered 503");
    let late = check("inventory");
    assert!(
        late["error"]
            .as_str()
            .unwrap()
            .contains("timeout `health check`"),
        "{late}"
    );
    assert!(late["time_ms"].as_f64().unwrap() >= 500.0, "{late}");
    assert_eq!(
        (&check("users")["status"], &check("users")["error"]),
        (&json!("up"), &Value::Null)
    );
    // The gateway itself is well.
    assert_eq!(status(system.get("/health/ready")).await, 200);
    system.end().await;
}
