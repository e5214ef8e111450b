//! cano with its redb store, at redb's own durability (every commit is synced). A row before each
//! state; the log of a run is cleared at its end.
use crate::{Round, load};
use cano::RedbCheckpointStore;
use cano::prelude::*;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Reserve,
    Charge,
    Confirm,
    Done,
}

struct Reserve;
struct Charge;
struct Confirm;

#[saga::task(state = State)]
impl Reserve {
    type Output = String;
    async fn run(&self, _: &Resources) -> Result<(TaskResult<State>, String), CanoError> {
        Ok((TaskResult::Single(State::Charge), "r-1".to_owned()))
    }
    async fn compensate(&self, _: &Resources, _: String) -> Result<(), CanoError> {
        Ok(())
    }
}

#[saga::task(state = State)]
impl Charge {
    type Output = String;
    async fn run(&self, _: &Resources) -> Result<(TaskResult<State>, String), CanoError> {
        Ok((TaskResult::Single(State::Confirm), "p-1".to_owned()))
    }
    async fn compensate(&self, _: &Resources, _: String) -> Result<(), CanoError> {
        Ok(())
    }
}

#[saga::task(state = State)]
impl Confirm {
    type Output = String;
    async fn run(&self, _: &Resources) -> Result<(TaskResult<State>, String), CanoError> {
        Ok((TaskResult::Single(State::Done), "c-1".to_owned()))
    }
    async fn compensate(&self, _: &Resources, _: String) -> Result<(), CanoError> {
        Ok(())
    }
}

pub fn open(folder: &Path) -> Result<Round, Box<dyn Error>> {
    let store = Arc::new(RedbCheckpointStore::new(folder.join("sagas.redb"))?);
    Ok(Box::new(move |runtime, clients, span| {
        let store = store.clone();
        load::rate(runtime, clients, span, move |n| one(store.clone(), n))
    }))
}

/// The id is a field of the workflow, so each saga has a workflow of its own.
async fn one(store: Arc<RedbCheckpointStore>, n: u64) {
    let end = Workflow::bare()
        .register_with_compensation(State::Reserve, Reserve)
        .register_with_compensation(State::Charge, Charge)
        .register_with_compensation(State::Confirm, Confirm)
        .add_exit_state(State::Done)
        .with_checkpoint_store(store)
        .with_workflow_id(format!("order-{n}"))
        .orchestrate(State::Reserve, CancellationToken::disabled())
        .await
        .expect("a saga that ends");
    assert_eq!(end, State::Done);
}
