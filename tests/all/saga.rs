//! Durable sagas on the memory store, whose time is the paused clock's.
mod basics;
#[allow(dead_code)] // a world for more than these tests
mod world;
