//! Customers who order one thing after another, and ask until they are told how it ended: the load.
use super::super::{ALL, LONG, token};
use fastrand::Rng;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, timeout},
};

const CUSTOMERS: u64 = 12;
const NAMES: [&str; 5] = ["ada", "bela", "chen", "dora", "emil"];
const PRODUCTS: [&str; 5] = ["chair", "kettle", "lamp", "teapot", "telescope"];

/// How an order has ended, by its key, as a customer was told.
pub type Told = BTreeMap<String, String>;

pub struct Customers {
    shop: Arc<Shop>,
    tasks: JoinSet<()>,
}

struct Shop {
    http: reqwest::Client,
    gateway: String,
    tokens: Vec<String>,
    open: watch::Sender<bool>,
    /// Customers who are at an order.
    busy: watch::Sender<u64>,
    /// Answers, and requests without one.
    answers: watch::Sender<(u64, u64)>,
    told: Mutex<Told>,
    /// What was last answered to those who have not been told the end.
    open_questions: Mutex<Told>,
}

impl Customers {
    pub fn open(gateway: &str, rng: &mut Rng) -> Customers {
        let shop = Arc::new(Shop {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            gateway: gateway.to_owned(),
            tokens: NAMES.iter().map(|name| token(name, ALL, 86_400)).collect(),
            open: watch::Sender::new(false),
            busy: watch::Sender::new(0),
            answers: watch::Sender::new((0, 0)),
            told: Mutex::default(),
            open_questions: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for n in 0..CUSTOMERS {
            tasks.spawn(customer(shop.clone(), n, rng.fork()));
        }
        Customers { shop, tasks }
    }

    pub fn order(&self) {
        self.shop.open.send_replace(true);
    }

    /// So many answers more, or failed requests: the clock of this test.
    pub async fn answers(&self, more: u64) {
        let mut answers = self.shop.answers.subscribe();
        let sum = |(answered, failed): &(u64, u64)| answered + failed;
        let enough = sum(&answers.borrow()) + more;
        let waiting = answers.wait_for(|now| sum(now) >= enough);
        let waited = timeout(LONG, waiting).await;
        waited.expect("nobody is answered").unwrap();
    }

    /// No new orders; everybody has been told the end of the last one.
    pub async fn hold_still(&mut self) {
        self.shop.open.send_replace(false);
        let mut busy = self.shop.busy.subscribe();
        let waited = timeout(2 * LONG, busy.wait_for(|busy| *busy == 0)).await;
        if let Some(dead) = self.tasks.try_join_next() {
            dead.unwrap();
        }
        if waited.is_err() {
            let asked = self.shop.open_questions.lock().unwrap();
            panic!("never told the end: {asked:?}");
        }
    }

    pub fn told(&self) -> Told {
        self.shop.told.lock().unwrap().clone()
    }

    pub fn leave(self) -> (u64, u64) {
        *self.shop.answers.borrow()
    }
}

async fn customer(shop: Arc<Shop>, n: u64, mut rng: Rng) {
    // Nobody asks faster than this, also where nobody answers.
    let mut pace = interval(Duration::from_millis(5));
    let mut open = shop.open.subscribe();
    for order in 0_u64.. {
        // Counted before it is looked whether the shop is open: who holds still sees all who are at it.
        loop {
            shop.busy.send_modify(|busy| *busy += 1);
            if *open.borrow_and_update() {
                break;
            }
            shop.busy.send_modify(|busy| *busy -= 1);
            if open.changed().await.is_err() {
                return;
            }
        }
        let key = format!("c{n}-{order}");
        let order = Order {
            key: &key,
            token: &shop.tokens[rng.usize(0..NAMES.len())],
            wanted: json!({ "sku": PRODUCTS[rng.usize(0..PRODUCTS.len())], "quantity": rng.u32(1..4) }),
        };
        loop {
            pace.tick().await;
            // Now and then she hangs up.
            let patience = match rng.u32(0..16) {
                0 => Duration::from_millis(rng.u64(0..60)),
                _ => LONG,
            };
            let place = timeout(patience, shop.place(&order)).await;
            if place.unwrap_or(false) {
                break;
            }
            // Or changes her mind.
            if rng.u32(0..40) == 0 {
                shop.cancel(&order).await;
            }
        }
        shop.busy.send_modify(|busy| *busy -= 1);
    }
}

struct Order<'a> {
    key: &'a str,
    token: &'a str,
    wanted: Value,
}

impl Shop {
    /// Whether she was told the end.
    async fn place(&self, order: &Order<'_>) -> bool {
        let url = format!("{}/api/orders", self.gateway);
        let request = self
            .http
            .post(url)
            .bearer_auth(order.token)
            .header("idempotency-key", order.key)
            .json(&order.wanted);
        let Some((status, body)) = self.send(request).await else {
            self.note(order.key, "nothing".to_owned());
            return false;
        };
        let known = [201, 202, 402, 404, 409, 424].contains(&status) || status >= 500;
        assert!(known, "{} was answered {status}: {body}", order.key);
        let end = body["status"].as_str().unwrap_or_default();
        let ends = match (status, end) {
            (201, "confirmed") => true,
            (402 | 404 | 409 | 424, "cancelled") => true,
            (202, _) | (500.., _) | (424, "stuck") => false,
            _ => panic!("{} was answered {status}: {body}", order.key),
        };
        if ends {
            self.tell(order.key, end);
            self.open_questions.lock().unwrap().remove(order.key);
        } else {
            self.note(order.key, format!("{status}: {body}"));
        }
        ends
    }

    fn note(&self, key: &str, answer: String) {
        let mut asked = self.open_questions.lock().unwrap();
        asked.insert(key.to_owned(), answer);
    }

    /// What she is told has to be so, too.
    async fn cancel(&self, order: &Order<'_>) {
        let url = format!("{}/api/orders/{}/cancel", self.gateway, order.key);
        let request = self.http.post(url).bearer_auth(order.token);
        let Some((status, body)) = self.send(request).await else {
            return;
        };
        match status {
            200 => self.tell(order.key, body["status"].as_str().unwrap_or_default()),
            // Confirmed already; or it was never heard of.
            409 => self.tell(order.key, "confirmed"),
            404 => {}
            _ => assert!(status >= 500, "{} was answered {status}: {body}", order.key),
        }
    }

    /// Status and body, if they came whole.
    async fn send(&self, request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        let answered = async {
            let answer = request.send().await.ok()?;
            let status = answer.status().as_u16();
            Some((status, answer.json::<Value>().await.ok()?))
        };
        let answered = answered.await;
        self.answers
            .send_modify(|(answers, failed)| match answered {
                Some(_) => *answers += 1,
                None => *failed += 1,
            });
        answered
    }

    /// Nobody is told two ends.
    fn tell(&self, key: &str, end: &str) {
        let mut told = self.told.lock().unwrap();
        let before = told.insert(key.to_owned(), end.to_owned());
        let same = before.as_deref().is_none_or(|before| before == end);
        assert!(same, "{key} was told {before:?}, and then {end}");
    }
}
