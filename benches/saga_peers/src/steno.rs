//! steno with the store it ships, which keeps nothing: a floor for an engine without durability.
//! Finished sagas stay in its coordinator's memory.
use crate::{Round, load};
use std::sync::Arc;
use steno::{
    ActionContext, ActionError, ActionFunc, ActionRegistry, DagBuilder, Node, SagaDag, SagaId,
    SagaName, SagaType, SecClient,
};
use tokio::runtime::Runtime;

#[derive(Debug)]
struct PlaceOrder;

impl SagaType for PlaceOrder {
    type ExecContextType = ();
}

type Action = Arc<dyn steno::Action<PlaceOrder>>;

const NAMES: [&str; 3] = ["reserve", "charge", "confirm"];

pub fn open(runtime: &Runtime) -> Round {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let store = Arc::new(steno::InMemorySecStore::new());
    let _entered = runtime.enter();
    let coordinator = Arc::new(steno::sec(log, store));
    let actions: Arc<Vec<Action>> = Arc::new(
        NAMES
            .iter()
            .map(|name| ActionFunc::new_action(*name, act, undo) as Action)
            .collect(),
    );
    let mut registry = ActionRegistry::new();
    for action in actions.iter() {
        registry.register(action.clone());
    }
    let registry = Arc::new(registry);
    Box::new(move |runtime, clients, span| {
        let (coordinator, actions) = (coordinator.clone(), actions.clone());
        let registry = registry.clone();
        load::rate(runtime, clients, span, move |_| {
            one(coordinator.clone(), actions.clone(), registry.clone())
        })
    })
}

async fn act(_: ActionContext<PlaceOrder>) -> Result<String, ActionError> {
    Ok("r-1".to_owned())
}

async fn undo(_: ActionContext<PlaceOrder>) -> Result<(), anyhow::Error> {
    Ok(())
}

async fn one(
    coordinator: Arc<SecClient>,
    actions: Arc<Vec<Action>>,
    registry: Arc<ActionRegistry<PlaceOrder>>,
) {
    let id = SagaId::new_v4();
    let dag = dag(&actions);
    let ending = coordinator
        .saga_create(id, Arc::new(()), dag, registry)
        .await
        .expect("a saga that is made");
    coordinator
        .saga_start(id)
        .await
        .expect("a saga that starts");
    let end = ending.await;
    assert!(end.kind.is_ok(), "{end:?}");
}

fn dag(actions: &[Action]) -> Arc<SagaDag> {
    let mut builder = DagBuilder::new(SagaName::new("place_order"));
    for (name, action) in NAMES.iter().zip(actions) {
        builder.append(Node::action(*name, *name, action.as_ref()));
    }
    let dag = builder.build().expect("a chain of three");
    Arc::new(SagaDag::new(dag, serde_json::json!({ "order": "SKU-1" })))
}
