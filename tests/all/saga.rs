//! Durable sagas on the memory store, whose time is the paused clock's.
mod basics;
mod world;
