//! What happens to an order, and what the order is after that: a fold, and the decisions of commands.
//!
//! Nothing here reads, writes or waits. An event says what *has* happened, so applying one cannot
//! fail; whether it should happen is decided before, by the methods that give one. `None` means that
//! there is nothing left to do, which makes every command one that may be repeated.
use serde::{Deserialize, Serialize};

/// What has happened to an order. Kept for ever, as JSON: a variant that was written once stays
/// readable, and what is not known is refused by the log rather than ignored.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderEvent {
    Placed {
        customer: String,
        sku: String,
        quantity: u32,
    },
    Confirmed {
        cents: i64,
    },
    /// All that was done for it was undone. Why follows, as `Cancelled`.
    Undone {},
    Cancelled {
        code: u16,
        reason: String,
    },
    /// It could be neither finished nor undone.
    Stuck {
        code: u16,
        reason: String,
    },
}

/// An order, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Order {
    pub key: String,
    pub customer: String,
    pub sku: String,
    pub quantity: u32,
    /// 0 until the price is known.
    pub cents: i64,
    /// `pending`, `confirmed`, `cancelled` or `stuck`; empty before it was placed.
    pub status: String,
    /// The HTTP status that answers for it.
    #[serde(skip)]
    pub code: u16,
    /// Why it is where it is.
    pub reason: String,
}

impl Order {
    /// An order that was just placed.
    pub fn new(key: String, customer: String, sku: String, quantity: u32) -> Order {
        let mut order = Order::unplaced(key);
        order.apply(&OrderEvent::Placed {
            customer,
            sku,
            quantity,
        });
        order
    }

    /// What every order is before its first event.
    pub fn unplaced(key: String) -> Order {
        Order {
            key,
            ..Order::default()
        }
    }

    /// One step of the fold.
    pub fn apply(&mut self, event: &OrderEvent) {
        match event.clone() {
            OrderEvent::Placed {
                customer,
                sku,
                quantity,
            } => {
                (self.customer, self.sku, self.quantity) = (customer, sku, quantity);
                self.stand("pending", 409, "in progress".to_owned());
            }
            OrderEvent::Confirmed { cents } => {
                self.cents = cents;
                self.stand("confirmed", 201, String::new());
            }
            OrderEvent::Undone {} => self.stand("cancelled", 409, "in progress".to_owned()),
            OrderEvent::Cancelled { code, reason } => self.stand("cancelled", code, reason),
            OrderEvent::Stuck { code, reason } => self.stand("stuck", code, reason),
        }
    }

    fn stand(&mut self, status: &str, code: u16, reason: String) {
        (self.status, self.code, self.reason) = (status.to_owned(), code, reason);
    }

    /// A repeated key has to come with the same order.
    pub fn is_same(&self, other: &Order) -> bool {
        (&self.customer, &self.sku, self.quantity) == (&other.customer, &other.sku, other.quantity)
    }

    pub fn is_placed(&self) -> bool {
        !self.status.is_empty()
    }

    /// What writing down `new` does: nothing where the key is taken.
    pub fn place(&self, new: &Order) -> Option<OrderEvent> {
        (!self.is_placed()).then(|| OrderEvent::Placed {
            customer: new.customer.clone(),
            sku: new.sku.clone(),
            quantity: new.quantity,
        })
    }

    /// The last step forward. An order that is on its way back, or was never placed, stays as it is.
    pub fn confirm(&self, cents: i64) -> Option<OrderEvent> {
        (self.status == "pending").then_some(OrderEvent::Confirmed { cents })
    }

    /// The last step back, also for a confirmed order: the saga undoes a confirmation whose answer it
    /// has lost. Why comes later, with [`Order::close`].
    pub fn cancel(&self) -> Option<OrderEvent> {
        let open = self.is_placed() && self.status != "cancelled";
        open.then_some(OrderEvent::Undone {})
    }

    /// How it ended, when it was not confirmed.
    pub fn close(&self, end: &OrderEvent) -> Option<OrderEvent> {
        let mut closed = self.clone();
        closed.apply(end);
        (self.is_placed() && closed != *self).then(|| end.clone())
    }
}
