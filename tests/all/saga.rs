//! Durable sagas on the memory store, whose time is the paused clock's.
mod basics;
mod continue_as;
mod crash;
mod foreign;
mod gate;
mod golden;
mod inputs;
mod life;
mod misfit;
mod model;
mod observed;
mod operator;
mod panics;
mod policies;
mod random;
mod restarts;
mod retention;
mod signals;
#[allow(dead_code)] // a stage for more than these tests
mod stage;
mod store_errors;
mod stories;
mod stuck;
mod tape;
mod tower_engine;
mod tower_step;
mod world;
