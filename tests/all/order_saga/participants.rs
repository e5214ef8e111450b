//! What makes sagas safe at the services that take part: keys and tombstones.
use super::{LONG, Serving, alone};
use serde_json::{Value, json};
use tokio::time::timeout;

async fn post(system: &Serving, path: &str, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
    let mut request = system
        .http
        .post(format!("{}{path}", system.url("inventory")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn reserve(system: &Serving, key: &str, sku: &str, quantity: u32) -> (u16, Value) {
    let body = json!({ "order": "x", "sku": sku, "quantity": quantity });
    post(system, "/reservations", &[("idempotency-key", key)], body).await
}

async fn release(system: &Serving, key: &str) -> (u16, Value) {
    let undo = format!("{key}/undo");
    let headers = [("idempotency-key", undo.as_str()), ("saga-step", key)];
    post(system, "/reservations/undo", &headers, Value::Null).await
}

async fn lamps(system: &Serving) -> Value {
    let url = format!("{}/products/lamp", system.url("inventory"));
    let lamp: Value = system
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    lamp["stock"].clone()
}

#[tokio::test]
async fn keys_are_kept_and_undone_keys_stay_shut() {
    let _alone = alone().await;
    let system = Serving::start().await;
    assert_eq!(lamps(&system).await, 400);

    // The same key is the same call; with other contents it is refused.
    let first = reserve(&system, "a", "lamp", 3).await;
    assert_eq!(first, (201, json!({ "price_cents": 4_900 })));
    assert_eq!(reserve(&system, "a", "lamp", 3).await, first);
    assert_eq!(reserve(&system, "a", "lamp", 4).await.0, 422);
    assert_eq!(lamps(&system).await, 397);

    // A no is kept too, also when it would be a yes by now.
    let no = reserve(&system, "b", "lamp", 398).await;
    assert_eq!(no.0, 409);

    // An undo takes effect once, and shuts the key.
    for _ in 0..2 {
        assert_eq!(
            release(&system, "a").await,
            (201, json!({ "undone": true }))
        );
        assert_eq!(lamps(&system).await, 400);
    }
    assert_eq!(reserve(&system, "b", "lamp", 398).await, no);
    assert_eq!(reserve(&system, "a", "lamp", 3).await.0, 410);

    // The undo of a key that was never seen is remembered: the step comes too late.
    assert_eq!(
        release(&system, "c").await,
        (201, json!({ "undone": false }))
    );
    assert_eq!(reserve(&system, "c", "lamp", 1).await.0, 410);
    assert_eq!(
        release(&system, "b").await,
        (201, json!({ "undone": false }))
    );
    assert_eq!(lamps(&system).await, 400);

    // An undo's key belongs to one step. A good answer for another would leave that one applied.
    assert_eq!(reserve(&system, "d", "lamp", 5).await.0, 201);
    for taken in ["a/undo", "d"] {
        let headers = [("idempotency-key", taken), ("saga-step", "d")];
        let undo = post(&system, "/reservations/undo", &headers, Value::Null).await;
        assert_eq!(undo.0, 422, "{taken}");
    }
    assert_eq!(lamps(&system).await, 395);

    // A step without a key could not be repeated.
    let body = json!({ "order": "x", "sku": "lamp", "quantity": 1 });
    assert_eq!(post(&system, "/reservations", &[], body).await.0, 400);
    let long = "k".repeat(256);
    assert_eq!(reserve(&system, &long, "lamp", 1).await.0, 400);

    // Money that would flow the other way is a no, and no failure.
    let url = format!("{}/charges", system.url("payments"));
    let charge = system.http.post(url).header("idempotency-key", "e");
    let body = json!({ "order": "x", "customer": "ada", "cents": -5 });
    assert_eq!(charge.json(&body).send().await.unwrap().status(), 400);
    system.end().await;
}

/// A release that asks in other words meets the keys of the one before. Its 422 says that there *was*
/// a call under this key, and no more: goods that it has reserved must not stay behind.
#[tokio::test]
async fn what_an_earlier_release_has_reserved_is_given_back_when_the_key_no_longer_fits() {
    let _alone = alone().await;
    let system = Serving::start().await;
    let inventory = rusqlite::Connection::open(system.data.path().join("inventory.db")).unwrap();
    let otherwise = "CREATE TRIGGER asked_otherwise AFTER INSERT ON seawall_ledger
         WHEN NEW.key NOT LIKE '%/undo' BEGIN
             UPDATE seawall_ledger SET payload = '{}' WHERE action = NEW.action AND key = NEW.key;
         END";
    inventory.execute_batch(otherwise).unwrap();
    // The answer to the first attempt is lost, so it comes again.
    system
        .faults("inventory", json!({ "lose_answers": 1 }))
        .await;
    let answer = system.order("o-1", "lamp", 3).send().await.unwrap();
    assert!(
        answer.status() != 201 && answer.status() != 422,
        "{answer:?}"
    );
    let given_back = async { while lamps(&system).await != 400 {} };
    timeout(LONG, given_back)
        .await
        .expect("3 lamps stay reserved for nobody");
    assert!(system.log("inventory").contains("POST /reservations 422"));
    system.end().await;
}
