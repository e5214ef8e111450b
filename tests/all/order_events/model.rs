//! Any sequence of commands, beside a model that has no events: rows that are overwritten.
use super::{Order, Shop, Versioned, lamps, log};
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Command {
    Create { quantity: u32 },
    Confirm { cents: i64 },
    Cancel,
    Close { status: &'static str, code: u16 },
}

#[derive(Clone, Debug)]
enum Act {
    Command(&'static str, Command),
    /// The service starts again.
    Restart,
    Rebuild,
}

fn act() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        3 => (1..3u32).prop_map(|quantity| Command::Create { quantity }),
        2 => (0..2i64).prop_map(|cents| Command::Confirm { cents }),
        2 => Just(Command::Cancel),
        4 => (prop_oneof![Just("cancelled"), Just("stuck")], 400..403u16)
            .prop_map(|(status, code)| Command::Close { status, code }),
    ];
    prop_oneof![
        20 => (proptest::sample::select(&KEYS), command).prop_map(|(key, c)| Act::Command(key, c)),
        1 => Just(Act::Restart),
        1 => Just(Act::Rebuild),
    ]
}

/// What the table would hold if it were the truth, and how often each row was changed.
#[derive(Default)]
struct Model(BTreeMap<&'static str, Versioned>);

impl Model {
    fn run(&mut self, key: &'static str, command: &Command) {
        if let Command::Create { quantity } = command {
            self.0.entry(key).or_insert_with(|| Versioned {
                order: asked(key, *quantity),
                version: 1,
            });
        }
        let Some(Versioned { order, version }) = self.0.get_mut(key) else {
            return;
        };
        let before = order.clone();
        let mut set = |status: &str, code, reason: String| {
            (order.status, order.code, order.reason) = (status.to_owned(), code, reason);
        };
        match command {
            Command::Confirm { cents } if before.status == "pending" => {
                set("confirmed", 201, String::new());
                order.cents = *cents;
            }
            Command::Cancel if before.status != "cancelled" => {
                set("cancelled", 409, "in progress".to_owned());
            }
            Command::Close { status, code } => set(status, *code, why(*code)),
            _ => {}
        }
        *version += u32::from(*order != before);
    }

    fn at(&self, key: &str) -> Versioned {
        let unplaced = || Versioned {
            order: Order::unplaced(key.to_owned()),
            version: 0,
        };
        self.0.get(key).cloned().unwrap_or_else(unplaced)
    }

    fn unfinished(&self) -> Vec<Order> {
        let orders = self.0.values().map(|kept| kept.order.clone());
        orders
            .filter(|order| ["pending", "stuck"].contains(&order.status.as_str()))
            .collect()
    }
}

fn asked(key: &str, quantity: u32) -> Order {
    Order {
        quantity,
        code: 409,
        status: "pending".to_owned(),
        reason: "in progress".to_owned(),
        ..lamps(key)
    }
}

fn why(code: u16) -> String {
    format!("no {code}")
}

async fn check(acts: &[Act], snapshot_every: u32) -> anyhow::Result<()> {
    let shop = Shop::new(snapshot_every);
    let mut book = shop.open().await?;
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Restart => book = shop.open().await?,
            Act::Rebuild => book.rebuild().await?,
            Act::Command(key, command) => {
                match command {
                    Command::Create { quantity } => {
                        let known = book.create(&asked(key, *quantity)).await?;
                        assert_eq!(known, model.0.get(key).map(|kept| kept.order.clone()));
                    }
                    Command::Confirm { cents } => book.confirm(key, *cents).await?,
                    Command::Cancel => book.cancel(key).await?,
                    Command::Close { status, code } => {
                        book.close(key, status, *code, why(*code)).await?;
                    }
                }
                model.run(key, command);
            }
        }
        let connection = shop.raw();
        for key in KEYS {
            let kept = model.at(key);
            assert_eq!(log::load(&connection, key)?, kept);
            assert_eq!(log::replay(&connection, key)?, kept);
            let found = book.find(key.to_owned()).await?;
            assert_eq!(found, (kept.version > 0).then_some(kept.order));
        }
        assert_eq!(book.unfinished().await?, model.unfinished());
    }
    let kept = shop.rows("orders");
    assert_eq!(kept.len(), model.0.len());
    book.rebuild().await?;
    assert_eq!(shop.rows("orders"), kept);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Commands repeated, out of order and on orders that are not there included: what does not change
    /// an order is no event.
    #[test]
    fn snapshots_replays_and_lists_are_what_the_commands_have_made(
        acts in proptest::collection::vec(act(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for snapshot_every in 0..=8 {
            runtime.block_on(check(&acts, snapshot_every)).unwrap();
        }
    }
}
