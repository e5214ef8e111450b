//! Many orders at a time, with faults drawn from a seed.
use crate::flags::Bulk;
use crate::inventory::PRODUCTS;
use crate::service::{faults::hash, log};
use crate::shopper::Shopper;
use crate::{End, clients, report, say, system::System, users::CUSTOMERS};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use tokio::task::JoinSet;

/// Orders, and counts the answers. The books are read later, by whoever called.
pub async fn run(bulk: &Bulk, system: &System) -> anyhow::Result<End> {
    let http = clients::connections()?;
    let shoppers: Vec<Shopper> = CUSTOMERS
        .iter()
        .map(|(customer, ..)| Shopper::new(system, &http, customer))
        .collect::<anyhow::Result<_>>()?;
    let first = report::next_order(&system.data)?;
    let seed = system.flags().seed;
    let run = Arc::new(Run {
        shoppers,
        seed,
        next: AtomicU32::new(first),
        end: first.saturating_add(bulk.orders),
        answers: Mutex::default(),
    });
    let begun = log::now();
    let mut workers = JoinSet::new();
    for _ in 0..bulk.concurrency {
        workers.spawn(work(run.clone()));
    }
    while let Some(worker) = workers.join_next().await {
        worker?;
    }
    if !bulk.json {
        let took = begun.elapsed().as_secs_f64();
        say(format_args!(
            "{} orders, {} at a time, a fault rate of {} with seed {seed}: {took:.1} s, {:.0} orders/s",
            bulk.orders,
            bulk.concurrency,
            system.flags().fault_rate,
            f64::from(bulk.orders) / took,
        ));
        let answers = run.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for (answer, count) in answers.iter() {
            say(format_args!("  {count:>6} x {answer}"));
        }
        say("");
    }
    Ok(End::Well)
}

struct Run {
    shoppers: Vec<Shopper>,
    seed: u64,
    next: AtomicU32,
    end: u32,
    answers: Mutex<BTreeMap<String, u32>>,
}

/// Takes the next order until there is none.
async fn work(run: Arc<Run>) {
    loop {
        let n = run.next.fetch_add(1, Relaxed);
        if n >= run.end {
            return;
        }
        let key = report::order_key(n);
        // Who orders what follows from the seed and the key.
        let draw = |what| hash(run.seed, &format!("{key} {what}")) as usize;
        let (customers, products) = (run.shoppers.len(), PRODUCTS.len());
        let shopper = run.shoppers.get(draw("who") % customers.max(1));
        let product = PRODUCTS.get(draw("what") % products.max(1));
        let (Some(shopper), Some((sku, ..))) = (shopper, product) else {
            return;
        };
        let quantity = 1 + u32::try_from(draw("how many") % 3).unwrap_or(0);
        let answer = match shopper.order_to_its_end(&key, sku, quantity).await {
            Ok(answer) => match answer.text("status") {
                "" => format!("{}", answer.status),
                status => format!("{status} ({})", answer.status),
            },
            Err(error) => format!("no answer: {error}"),
        };
        let mut answers = run.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(answer).or_default() += 1;
    }
}
