//! Sagas that wait for messages: payments is asked for money and answers when it likes, by
//! `payment.completed` or `payment.failed`, twice or never.
//!
//! Run it with `cargo run --example saga_messages`; it ends by itself and exits with 1 if anything
//! went otherwise than it says. Payments is a channel: what is sent to it comes out in `main`.
use seawall::saga::{
    Abort, Engine, Failure, Flow, Outcome, Raced, SagaRef, Signal, SqliteStore, StepContext,
    store::Posted,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize, Serialize)]
struct PaymentCompleted {
    receipt: String,
}

impl Signal for PaymentCompleted {
    const NAME: &'static str = "payment.completed";
}

#[derive(Deserialize, Serialize)]
struct PaymentFailed {
    why: String,
}

impl Signal for PaymentFailed {
    const NAME: &'static str = "payment.failed";
}

/// What a customer orders, and how long payments may take.
#[derive(Deserialize, Serialize)]
struct Order {
    cents: u64,
    patience: Duration,
}

/// The services around the shop. A restart of the shop leaves them as they are.
struct World {
    /// The lamps that are put aside, by the keys of their steps.
    reserved: Mutex<HashSet<String>>,
    payments: mpsc::UnboundedSender<String>,
    seen: Mutex<HashSet<String>>,
}

impl World {
    fn reserved(&self) -> MutexGuard<'_, HashSet<String>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message to payments, which takes a key once: a step that was cut off is made again.
    fn tell_payments(&self, cx: &StepContext, text: String) -> Did {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(cx.idempotency_key().to_owned()) {
            self.payments.send(text)?;
        }
        Ok(())
    }
}

type Did = Result<(), Failure>;
type App = Arc<Arc<World>>;

/// Under its key: made again, it is the same reservation.
async fn reserve(world: App, cx: StepContext, (): ()) -> Did {
    world.reserved().insert(cx.step_key().to_owned());
    Ok(())
}

async fn release(world: App, cx: StepContext, (): (), _: Outcome<()>) -> Did {
    world.reserved().remove(cx.step_key());
    Ok(())
}

async fn request(world: App, cx: StepContext, cents: u64) -> Did {
    let text = format!("payment.requested {} {cents}", cx.saga_key());
    world.tell_payments(&cx, text)
}

/// Whatever payments has done by then, it takes it back.
async fn withdraw(world: App, cx: StepContext, _: u64, _: Outcome<()>) -> Did {
    let text = format!("payment.withdrawn {}", cx.saga_key());
    world.tell_payments(&cx, text)
}

/// A process of the shop, with its sagas in a file.
struct Shop {
    engine: Engine<Arc<World>>,
    place_order: SagaRef<Order, String>,
    store: SqliteStore,
}

impl Shop {
    async fn open(file: &Path, world: &Arc<World>) -> Result<Shop, BoxError> {
        let store = SqliteStore::open(file).await?;
        let mut b = Engine::builder(world.clone(), store.clone());
        let reserve = b.step("reserve_lamp", reserve, release).register();
        let request = b.step("request_payment", request, withdraw).register();
        let place_order = b.saga("place_order", move |saga: Flow, order: Order| async move {
            saga.call(reserve, ()).await?;
            let paid = saga.ask::<PaymentCompleted, _, _>(request, order.cents, order.patience);
            let refused = saga.wait_for::<PaymentFailed>();
            match saga.race(paid, refused).await {
                Raced::First(answer) => match answer? {
                    Some(PaymentCompleted { receipt }) => Ok(receipt),
                    None => Err(Abort::new("no answer from payments")),
                },
                Raced::Second(PaymentFailed { why }) => Err(Abort::new(why)),
            }
        });
        Ok(Shop {
            engine: b.build().await?,
            place_order,
            store,
        })
    }

    /// Places an order. It is written down when this returns; its key makes it one order.
    async fn place(&self, key: &str, order: Order) -> Result<(), BoxError> {
        self.engine.start(self.place_order, key, order).await?;
        Ok(())
    }

    /// Waits for the end of an order, and says how it ended.
    async fn end(&self, key: &str) -> Result<String, BoxError> {
        let id = self.engine.find("place_order", key).await?;
        let id = id.ok_or("there is no such order")?;
        let end = match self.engine.handle::<String>(id).outcome().await {
            Ok(receipt) => format!("paid, with receipt {receipt}"),
            Err(why) => why.to_string(),
        };
        println!("  {key}: {end}");
        Ok(end)
    }

    /// A message from the broker, which may deliver it again: so it has an id of its own.
    async fn deliver<M: Signal>(
        &self,
        key: &str,
        id: &str,
        message: M,
    ) -> Result<Posted, BoxError> {
        let posted = self.engine.signal("place_order", key, id, &message).await?;
        let what = match posted {
            Posted::New(_) => "taken",
            Posted::Duplicate => "has been here before",
            _ => "too late, the order has ended",
        };
        println!("  {} {key}, message {id}: {what}", M::NAME);
        Ok(posted)
    }
}

/// What comes next at payments, which has to be this.
async fn heard(payments: &mut mpsc::UnboundedReceiver<String>, expected: &str) {
    let text = payments.recv().await.unwrap_or_default();
    assert_eq!(text, expected);
    println!("  payments hears: {text}");
}

/// An order that waits for payments for so long.
fn lamp(patience: Duration) -> Order {
    let cents = 4_900;
    Order { cents, patience }
}

const HOUR: Duration = Duration::from_secs(3_600);
const MOMENT: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sagas.db");
    let (payments, mut asked) = mpsc::unbounded_channel();
    let world = Arc::new(World {
        reserved: Mutex::default(),
        payments,
        seen: Mutex::default(),
    });

    println!("an order waits for its payment, and the shop's process ends:");
    let shop = Shop::open(&file, &world).await?;
    shop.place("order-1", lamp(HOUR)).await?;
    heard(&mut asked, "payment.requested order-1 4900").await;
    drop(shop.engine); // whatever it is at
    shop.store.close().await;

    println!("the next one waits on, and the broker delivers the answer twice:");
    let shop = Shop::open(&file, &world).await?;
    let receipt = || PaymentCompleted {
        receipt: "r-77".to_owned(),
    };
    let first = shop.deliver("order-1", "m-1", receipt()).await?;
    let again = shop.deliver("order-1", "m-1", receipt()).await?;
    assert!(matches!(first, Posted::New(_)) && !matches!(again, Posted::New(_)));
    assert_eq!(shop.end("order-1").await?, "paid, with receipt r-77");

    println!("a card is declined:");
    shop.place("order-2", lamp(HOUR)).await?;
    heard(&mut asked, "payment.requested order-2 4900").await;
    let why = "card declined".to_owned();
    let message = PaymentFailed { why };
    shop.deliver("order-2", "m-2", message).await?;
    let end = shop.end("order-2").await?;
    assert_eq!(end, "the saga was undone: card declined");
    heard(&mut asked, "payment.withdrawn order-2").await;

    println!("payments says nothing for {MOMENT:?}, and then it is too late:");
    shop.place("order-3", lamp(MOMENT)).await?;
    heard(&mut asked, "payment.requested order-3 4900").await;
    let end = shop.end("order-3").await?;
    assert_eq!(end, "the saga was undone: no answer from payments");
    heard(&mut asked, "payment.withdrawn order-3").await;
    let late = shop.deliver("order-3", "m-3", receipt()).await?;
    assert_eq!(late, Posted::Ended);

    assert_eq!(world.reserved().len(), 1);
    assert!(
        asked.try_recv().is_err(),
        "payments was told more than that"
    );
    println!("one lamp is sold, two are back, and payments was told everything once");
    shop.engine.drain().await?;
    Ok(())
}
