//! Durable sagas on the memory store, whose time is the paused clock's.
mod basics;
mod crash;
mod gate;
mod life;
mod model;
mod restarts;
mod stories;
mod tape;
mod world;
