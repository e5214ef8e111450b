//! Sagas as data: made up by proptest, run as code.
use crate::saga::{
    life::{In, Paid, Shipped},
    stories::{S, step, verified},
    world::World,
};
use proptest::prelude::*;
use seawall::{
    retry::Backoff,
    saga::{
        Abort, Builder, ChildRef, Flow, OnUnknown, OpId, Outcome, Raced, SagaRef, StepContext,
        StepRetry,
    },
};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

/// What a saga does, one after the other.
#[derive(Clone, Debug)]
pub struct Program {
    pub nodes: Vec<Node>,
    /// Whether it continues as a second run.
    pub again: bool,
}

/// Its place in the program, counted from the front, names it in the journal.
#[derive(Clone, Debug)]
pub enum Node {
    /// Where the step fails, the saga gives up, or goes on where it is to `catch` that.
    Call {
        step: usize,
        catch: bool,
    },
    Pivot {
        step: usize,
    },
    /// Called and taken back.
    Undo {
        step: usize,
    },
    Child,
    Sleep {
        ms: u64,
    },
    Wait {
        paid: bool,
        ms: u64,
    },
    Patch,
    Fail,
    Both(Vec<Node>, Vec<Node>),
    Race(Vec<Node>, Vec<Node>),
}

/// The names of the steps; what each is like, see [`Kit::new`].
pub const STEPS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
/// The places of the second run begin here.
pub const ROUND: u32 = 1_000;

impl Node {
    pub fn size(&self) -> u32 {
        match self {
            Node::Both(a, b) | Node::Race(a, b) => 1 + size(a) + size(b),
            _ => 1,
        }
    }

    fn races(&self) -> bool {
        match self {
            Node::Race(..) => true,
            Node::Both(a, b) => a.iter().chain(b).any(Node::races),
            _ => false,
        }
    }
}

pub fn size(nodes: &[Node]) -> u32 {
    nodes.iter().map(Node::size).sum()
}

pub fn program() -> impl Strategy<Value = Program> {
    let leaf = prop_oneof![
        8 => (0..STEPS.len(), prop::bool::weighted(0.3))
            .prop_map(|(step, catch)| Node::Call { step, catch }),
        2 => (0..STEPS.len()).prop_map(|step| Node::Undo { step }),
        1 => Just(Node::Child),
        1 => prop_oneof![1..60_u64, Just(20_000)].prop_map(|ms| Node::Sleep { ms }),
        2 => (any::<bool>(), prop_oneof![1..60_u64, Just(20_000)])
            .prop_map(|(paid, ms)| Node::Wait { paid, ms }),
        1 => Just(Node::Patch),
        1 => Just(Node::Fail),
    ];
    let node = leaf.prop_recursive(2, 12, 3, |node| {
        let some = || prop::collection::vec(node.clone(), 1..3);
        prop_oneof![
            (some(), some()).prop_map(|(a, b)| Node::Both(a, b)),
            (some(), some()).prop_map(|(a, b)| Node::Race(a, b)),
        ]
    });
    let pivot = prop::option::weighted(0.3, (0..4_usize, 0..STEPS.len()));
    let nodes = prop::collection::vec(node, 1..5);
    (nodes, pivot, prop::bool::weighted(0.15)).prop_map(|(mut nodes, pivot, again)| {
        let raced = nodes.iter().position(Node::races);
        // The loser of a race may be open still, beside which there can be no pivot and no next run.
        let again = again && pivot.is_none() && raced.is_none();
        if let Some((at, step)) = pivot {
            let at = at.min(raced.unwrap_or(nodes.len())).min(nodes.len());
            nodes.insert(at, Node::Pivot { step });
        }
        Program { nodes, again }
    })
}

type Code<'a> = Pin<Box<dyn Future<Output = Result<String, Abort>> + Send + 'a>>;

/// What a program is run with.
pub struct Kit {
    world: World,
    steps: [S; 7],
    child: ChildRef<u32, String>,
}

pub fn register(b: &mut Builder<World>, world: &World, program: &Program) -> SagaRef<In, String> {
    let soon = StepRetry::attempts(6)
        .undo_attempts(4)
        .backoff(Backoff::constant(Duration::from_millis(10)))
        .timeout(Duration::from_secs(2));
    let late = soon
        .clone()
        .backoff(Backoff::constant(Duration::from_secs(20)));
    // The child must not be stuck: its parent waits for that to end.
    let sure = soon.clone().undo_attempts(20);
    let steps = [
        step(b, "a", sure.clone()),
        step(b, "b", sure),
        verified(b, "c", soon.clone()),
        step(b, "d", late.clone()),
        verified(b, "e", late),
        step(b, "f", soon.clone().on_unknown(OnUnknown::Undo)),
        step(b, "g", soon.on_unknown(OnUnknown::Park)),
    ];
    let inner = b.saga("inner", move |saga: Flow, _: u32| async move {
        saga.call(steps[0], 1).await?;
        Ok::<_, Abort>(saga.call(steps[1], 2).await?)
    });
    let undo = |world: Arc<World>, cx: StepContext, _: u32, _: Outcome<String>| async move {
        world.undo("child", cx).await
    };
    let child = b.child("child", inner, undo);
    let kit = Arc::new(Kit {
        world: world.clone(),
        steps,
        child,
    });
    let program = Arc::new(program.clone());
    b.saga("random", move |saga: Flow, round: In| {
        let (kit, program) = (kit.clone(), program.clone());
        async move {
            let said = all(&saga, &kit, &program.nodes, ROUND * round.unwrap_or(0)).await?;
            match (program.again, round) {
                (true, None) => saga.continue_as(Some(1)),
                _ => Ok::<_, Abort>(said),
            }
        }
    })
}

fn all<'a>(saga: &'a Flow, kit: &'a Kit, nodes: &'a [Node], mut place: u32) -> Code<'a> {
    Box::pin(async move {
        let mut said = Vec::new();
        for node in nodes {
            said.push(one(saga, kit, node, place).await?);
            place += node.size();
        }
        Ok(said.join(","))
    })
}

fn one<'a>(saga: &'a Flow, kit: &'a Kit, node: &'a Node, place: u32) -> Code<'a> {
    Box::pin(async move {
        Ok(match node {
            Node::Call { step, catch } => match saga.call(kit.steps[*step], place).await {
                Err(failed) if *catch => format!("clean: {}", failed.clean),
                done => done?,
            },
            Node::Pivot { step } => saga.pivot(kit.steps[*step], place).await?,
            Node::Undo { step } => {
                let (id, done) = saga.call(kit.steps[*step], place).numbered().await;
                let done = done?;
                saga.undo(id).await;
                format!("no {done}")
            }
            Node::Child => saga.child(kit.child, place).await?,
            Node::Sleep { ms } => {
                let sleep = saga.sleep(Duration::from_millis(*ms));
                kit.seen(place, sleep.numbered().await.0);
                "slept".to_owned()
            }
            Node::Wait { paid, ms } => {
                let within = Duration::from_millis(*ms);
                let (id, signal) = match paid {
                    true => {
                        let (id, it) = saga.wait_within::<Paid>(within).numbered().await;
                        (id, it.map(|it| it.0))
                    }
                    false => {
                        let (id, it) = saga.wait_within::<Shipped>(within).numbered().await;
                        (id, it.map(|it| it.0))
                    }
                };
                kit.seen(place, id);
                format!("{signal:?}")
            }
            Node::Patch => {
                // After a drain, which tells the code nothing, either answer is possible; it stays
                // the same, or the numbers that follow would not fit.
                saga.patched("new");
                "met".to_owned()
            }
            Node::Fail => return Err(Abort::new("no more")),
            Node::Both(a, b) => {
                let left = all(saga, kit, a, place + 1);
                let right = all(saga, kit, b, place + 1 + size(a));
                let (a, b) = tokio::try_join!(left, right)?;
                format!("({a} & {b})")
            }
            Node::Race(a, b) => {
                let left = all(saga, kit, a, place + 1);
                let right = all(saga, kit, b, place + 1 + size(a));
                match saga.race(left, right).await {
                    Raced::First(it) => format!("1({})", it?),
                    Raced::Second(it) => format!("2({})", it?),
                }
            }
        })
    })
}

impl Kit {
    /// The same place has the same number whenever the code is run.
    fn seen(&self, place: u32, id: OpId) {
        let id = format!("{id:?}");
        let known = self.world.books().ops.insert(place, id.clone());
        assert!(known.is_none_or(|known| known == id), "S20: another number");
    }
}
