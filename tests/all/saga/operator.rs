//! What operators see and do: every command in every state, lists, timelines, bulk, telemetry.
mod bulk;
mod commands;
pub mod desk;
mod list;
mod sqlite;
mod stats;
mod status;
mod table;
mod timeline;
