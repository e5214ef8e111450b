//! Somebody who changes limits, opens and closes breakers by hand, and makes dependencies sick and
//! well again, while calls run.
use crate::attempt::{DEPENDENCIES, SICK};
use crate::parts::MS;
use crate::world::World;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::sleep;

/// How many changes were made.
pub async fn meddle(world: Arc<World>, mut rng: Rng) -> u64 {
    let mut changes = 0;
    while !world.stop.load(Relaxed) {
        sleep(MS * rng.u32(0..3)).await;
        let parts = world.parts()[rng.usize(0..2)];
        match rng.u32(0..16) {
            0..7 => {
                let room = &parts.bulkheads[rng.usize(2..4)];
                let limit = match rng.u32(0..16) {
                    0 => 0,
                    _ => rng.u32(1..room.most + 1),
                };
                room.bulkhead.set_limit(limit);
                changes += 1;
            }
            7..10 => {
                let breaker = &parts.breakers[rng.usize(2..4)].breaker;
                match rng.u32(0..8) {
                    0 => breaker.isolate(),
                    1 => breaker.disable(),
                    2 => breaker.metrics_only(),
                    _ => breaker.reset(),
                }
                sleep(MS * rng.u32(0..3)).await;
                breaker.close();
                changes += 2;
            }
            _ => {
                let sick = rng.u32(0..3) == 0;
                SICK[rng.usize(0..DEPENDENCIES)].store(sick, Relaxed);
            }
        }
    }
    // Nobody may be left in a line that no call moves on.
    for room in world
        .parts()
        .into_iter()
        .flat_map(|parts| &parts.bulkheads[2..])
    {
        room.bulkhead.set_limit(room.most);
    }
    changes
}
