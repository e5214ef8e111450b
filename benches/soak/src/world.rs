//! A round: fresh policies, random pipelines of them and of those that last, many callers, somebody who
//! changes the limits, and what has to hold when all is quiet again.
use crate::attempt::SICK;
use crate::caller::caller;
use crate::gauge::Gauge;
use crate::meddler::meddle;
use crate::parts::Parts;
use crate::quiet;
use crate::script::mix;
use crate::stack::{Pipe, Single, pipe, single};
use crate::totals::Totals;
use crate::wrong::wrong;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub struct World {
    pub lasting: Arc<Parts>,
    pub fresh: Parts,
    pub pipes: Vec<Arc<Pipe>>,
    pub singles: Vec<Arc<Single>>,
    pub gauges: Vec<Arc<Gauge>>,
    pub stop: AtomicBool,
}

const PIPES: usize = 48;
const SINGLES: usize = 12;

/// Nothing in a call takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

impl World {
    fn draw(rng: &mut Rng, lasting: Arc<Parts>) -> World {
        let fresh = Parts::draw(rng, false);
        let mut gauges = Vec::new();
        let pipes = (0..PIPES).map(|_| Arc::new(pipe(rng, &lasting, &fresh, &mut gauges)));
        let pipes = pipes.collect();
        let singles = (0..SINGLES).map(|_| Arc::new(single(rng, &lasting, &fresh)));
        World {
            singles: singles.collect(),
            pipes,
            fresh,
            lasting,
            gauges,
            stop: AtomicBool::new(false),
        }
    }

    pub fn parts(&self) -> [&Parts; 2] {
        [&self.lasting, &self.fresh]
    }
}

/// `None`: a call has not ended.
pub async fn round(
    seed: u64,
    number: u64,
    lasting: &Arc<Parts>,
    callers: usize,
    length: Duration,
) -> Option<Totals> {
    let mut rng = Rng::with_seed(mix(seed ^ mix(number)));
    let world = Arc::new(World::draw(&mut rng, lasting.clone()));
    let mut tasks = JoinSet::new();
    for slot in 0..callers {
        tasks.spawn(caller(world.clone(), slot, rng.fork()));
    }
    let meddler = tokio::spawn(meddle(world.clone(), rng.fork()));
    sleep(length).await;
    world.stop.store(true, Relaxed);
    let mut totals = Totals::default();
    let ended = timeout(PATIENCE, async {
        totals.changes = meddler.await.unwrap_or_default();
        while let Some(caller) = tasks.join_next().await {
            match caller {
                Ok(counted) => totals.merge(&counted),
                Err(error) => wrong(format!("a caller has died: {error}")),
            }
        }
    });
    if ended.await.is_err() {
        let left = tasks.len();
        wrong(format!(
            "{left} callers wait {PATIENCE:?} after the last call began"
        ));
        return None;
    }
    SICK.iter().for_each(|sick| sick.store(false, Relaxed));
    quiet::check(&world).await;
    for breaker in &world.fresh.breakers {
        totals.trips += breaker.watch.trips.load(Relaxed);
        totals.recoveries += breaker.watch.recoveries.load(Relaxed);
    }
    let alive = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    if alive != 0 {
        wrong(format!("{alive} tasks are left"));
    }
    Some(totals)
}
