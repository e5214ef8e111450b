//! A caller: one call after another, each another way, each held against its script.
use crate::attempt::{Attempt, Dependency, Request};
use crate::facts::{Facts, Way};
use crate::log::{Answer, Fail, LOGS};
use crate::stack::{Alone, Pipe, Single};
use crate::thrown::Thrown;
use crate::totals::Totals;
use crate::watched::{End, Fate, Watched};
use crate::world::World;
use crate::wrong::wrong;
use fastrand::Rng;
use seawall::{Error, Replay};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

pub type Ended = End<Result<Answer, Error<Fail>>>;

/// Calls between two turns of other tasks.
const AT_A_TIME: u32 = 16;

pub async fn caller(world: Arc<World>, slot: usize, mut rng: Rng) -> Totals {
    let mut totals = Totals::default();
    let mut call = LOGS[slot].0.lock().unwrap().call;
    while !world.stop.load(Relaxed) {
        for _ in 0..AT_A_TIME {
            call += 1;
            one(&world, slot, call, &mut rng, &mut totals).await;
        }
        tokio::task::yield_now().await;
    }
    totals
}

#[derive(Clone, Copy)]
struct Plan {
    request: Request,
    way: Way,
    fate: Fate,
}

async fn one(world: &Arc<World>, slot: usize, call: u64, rng: &mut Rng, totals: &mut Totals) {
    let fate = match rng.u32(0..1024) {
        0..20 => Fate::DroppedAt(rng.u32(0..4)),
        20..24 => Fate::DroppedAt(rng.u32(0..40)),
        24..30 => Fate::Pestered(rng.u32(0..20)),
        _ => Fate::ToItsEnd,
    };
    let replay = match rng.u32(0..16) {
        0 => Replay::Never,
        1 => Replay::IfUnsent,
        _ => Replay::Always,
    };
    let aborted = rng.u32(0..4096) == 0;
    let seed = rng.u64(..);
    let alone = rng.u32(0..16) == 0;
    let (pipe, single) = (
        rng.usize(0..world.pipes.len()),
        rng.usize(0..world.singles.len()),
    );
    let (pipe, single) = (&world.pipes[pipe], &world.singles[single]);
    let facts = if alone { &single.facts } else { &pipe.facts };
    let way = match rng.u32(0..16) {
        n if alone && n < 4 => Way::SingleLayer,
        _ if alone => Way::Single,
        0 => Way::RunOnce,
        1 if pipe.once.is_some() => Way::LayerOnce,
        2 => Way::LayerWith,
        3..8 => Way::Layer,
        _ => Way::Run,
    };
    let hangs = facts.has_timeout() || matches!(fate, Fate::DroppedAt(_));
    LOGS[slot].0.lock().unwrap().begin(call, seed, way, hangs);
    let of = facts.of;
    let request = Request {
        slot,
        call,
        of,
        replay,
    };
    let plan = Plan { request, way, fate };
    let end = match aborted {
        true if alone => abort(through_one(single.clone(), plan), rng).await,
        true => abort(through(pipe.clone(), plan), rng).await,
        false if alone => through_one(single.clone(), plan).await,
        false => through(pipe.clone(), plan).await,
    };
    check_thrown(&end, facts);
    let counts = LOGS[slot].0.lock().unwrap().finish(&end, slot, facts);
    totals.add(way, &end, aborted, &counts);
}

/// In a task of its own, which is aborted some time later.
async fn abort(call: impl Future<Output = Ended> + Send + 'static, rng: &mut Rng) -> Ended {
    let task = tokio::spawn(call);
    match rng.u32(0..3) {
        0 => {}
        1 => tokio::task::yield_now().await,
        _ => tokio::time::sleep(Duration::from_micros(rng.u64(0..3000))).await,
    }
    task.abort();
    match task.await {
        Ok(end) => end,
        Err(error) if error.is_cancelled() => End::Dropped,
        Err(error) => {
            wrong(format!("a call's task has ended by itself: {error}"));
            End::Dropped
        }
    }
}

/// A call throws what an operation or a policy has thrown, and nothing of its own.
fn check_thrown(end: &Ended, facts: &Facts) {
    let End::Panicked(thrown) = end else { return };
    match thrown.downcast_ref::<Thrown>() {
        Some(Thrown::Observer) | None => {
            let known = thrown.downcast_ref::<String>().cloned();
            let text = known.or_else(|| thrown.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            wrong(format!(
                "{} threw {:?} {text:?}",
                facts.name,
                thrown.type_id()
            ));
        }
        Some(_) => {}
    }
}

async fn through(pipe: Arc<Pipe>, plan: Plan) -> Ended {
    let Plan { request, way, fate } = plan;
    let slot = request.slot;
    let attempt = || Attempt::start(request);
    match way {
        Way::RunOnce => Watched::new(pipe.pipeline.run_once(attempt), slot, fate).await,
        Way::Layer => Watched::new(pipe.layer.clone().call(request), slot, fate).await,
        Way::LayerWith => Watched::new(pipe.copying.clone().call(request), slot, fate).await,
        Way::LayerOnce => match &pipe.once {
            Some(once) => Watched::new(once.clone().call(request), slot, fate).await,
            None => End::Dropped,
        },
        _ => Watched::new(pipe.pipeline.run(attempt), slot, fate).await,
    }
}

async fn through_one(single: Arc<Single>, plan: Plan) -> Ended {
    let Plan { request, way, fate } = plan;
    let slot = request.slot;
    let attempt = || Attempt::start(request);
    macro_rules! alone {
        ($policy:expr) => {
            match way {
                Way::SingleLayer => {
                    let mut service = $policy.layer().layer(Dependency::default());
                    Watched::new(service.call(request), slot, fate).await
                }
                _ => Watched::new($policy.run(attempt), slot, fate).await,
            }
        };
    }
    match &single.policy {
        Alone::Timeout(timeout) => alone!(timeout),
        Alone::Retry(retry) => alone!(retry),
        Alone::Hedge(hedge) => alone!(hedge),
        Alone::Breaker(b) => alone!(b.breaker),
        Alone::Bulkhead(room) => alone!(room.bulkhead),
        Alone::Rate(rate) => alone!(rate.limit),
    }
}
