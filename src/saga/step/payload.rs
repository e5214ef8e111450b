use serde::{Serialize, de::DeserializeOwned};

/// What a journal keeps: commands, inputs, outputs and signals.
///
/// Every type is one that serde can write and read, and that owns its data.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a saga's journal",
    label = "has to be `Serialize`, `DeserializeOwned` and `Send`",
    note = "for a type of your own: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "it has to own its data, since it is read again after a restart: `String`, not `&str`"
)]
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

// So that the compiler tells the message above, and not what serde says of each half.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}
