//! What is played, and with whom.
use super::{
    super::{
        stage::{Paid, Shipped, Stage, pass, secs},
        world::{Way, World},
    },
    code,
};
use seawall::saga::{Engine, SagaId, journal::Settlement};
use std::time::Duration;

/// One journal: the saga, what its participants do, and what else happens.
pub struct Scenario {
    pub name: &'static str,
    pub saga: &'static str,
    /// What the journal is of, where it is not the saga that is started.
    pub of: &'static str,
    script: Vec<(&'static str, Vec<Way>)>,
    deadline: Option<Duration>,
    input: u32,
    acts: Vec<(u64, Act)>,
}

/// What happens after so many seconds.
#[derive(Clone, Copy)]
enum Act {
    Paid(u32),
    Shipped,
    Cancel,
    Drain,
    Die,
    /// An engine whose code does not fit, for a moment.
    Misfit,
    Skip(u32),
    Settle(u32, &'static str),
    Retry,
    Abort,
    Force,
}

fn of(name: &'static str, saga: &'static str) -> Scenario {
    Scenario {
        name,
        saga,
        of: saga,
        script: Vec::new(),
        deadline: None,
        input: 7,
        acts: Vec::new(),
    }
}

impl Scenario {
    fn goes(mut self, step: &'static str, ways: &[Way]) -> Self {
        self.script.push((step, ways.to_vec()));
        self
    }

    fn then(mut self, after: u64, act: Act) -> Self {
        self.acts.push((after, act));
        self
    }
}

pub fn all() -> Vec<Scenario> {
    use Way::{Lost, Never, Refuse, Transient};
    let deadline = Some(secs(60));
    vec![
        of("done", "three"),
        of("refused", "three").goes("c", &[Refuse]),
        of("unknown", "three").goes("b", &[Lost, Never]),
        of("tried_again", "three").goes("b", &[Transient]),
        of("undo_refused", "three")
            .goes("c", &[Refuse])
            .goes("undo b", &[Refuse, Refuse, Refuse, Refuse])
            .then(2, Act::Retry)
            .then(2, Act::Skip(1)),
        of("undo_settled", "three")
            .goes("c", &[Refuse])
            .goes("undo b", &[Refuse, Refuse])
            .then(2, Act::Settle(1, "undone")),
        of("pivoted", "pivoted"),
        of("stuck_past_the_pivot", "pivoted")
            .goes("c", &[Refuse])
            .then(1, Act::Settle(2, "done")),
        of("forced", "pivoted")
            .goes("c", &[Refuse])
            .then(1, Act::Force),
        of("pivot_unknown", "pivoted")
            .goes("b", &[Lost, Lost])
            .then(2, Act::Settle(1, "not_applied")),
        of("both", "both"),
        of("both_refused", "both").goes("b", &[Refuse]),
        of("race", "race"),
        of("letters", "letters").then(1, Act::Paid(3)),
        of("letters_cancelled", "letters")
            .then(1, Act::Paid(3))
            .then(3640, Act::Cancel),
        of("letters_in_time", "letters")
            .then(1, Act::Paid(3))
            .then(1, Act::Shipped),
        Scenario {
            deadline,
            ..of("deadline", "letters").then(1, Act::Paid(3))
        },
        of("cancelled", "letters").then(1, Act::Cancel),
        of("patient", "patient").goes("slow", &[Lost]),
        of("patient_died", "patient")
            .goes("slow", &[Transient])
            .then(10, Act::Die),
        of("drained", "patient")
            .goes("slow", &[Transient])
            .then(0, Act::Drain),
        of("died", "three").goes("b", &[Never]).then(1, Act::Die),
        of("held", "held"),
        of("verified", "verifying").goes("asked", &[Lost]),
        of("nobody_knows", "parking")
            .goes("parking", &[Lost])
            .then(1, Act::Abort),
        of("taken_back", "taken_back"),
        Scenario {
            input: 1,
            ..of("round", "round")
        },
        of("patched", "patched"),
        of("misfit", "three")
            .goes("b", &[Never])
            .then(1, Act::Misfit),
        of("parent", "parent"),
        Scenario {
            of: "kid",
            ..of("kid", "parent")
        },
        of("parent_undone", "parent").goes("b", &[Refuse]),
        of("kid_refused", "parent").goes("a", &[Refuse]),
    ]
}

/// Plays it to its end, as far as it has one.
pub async fn play(scenario: &Scenario) -> Stage {
    let stage = Stage::with(World::with(scenario.script.clone()));
    let mut b = stage.builder();
    let sagas = code::register(&mut b);
    let mut engine = b.build().await.unwrap();
    let saga = sagas
        .iter()
        .find(|saga| saga.name() == scenario.saga)
        .unwrap();
    let start = engine.start(*saga, "k", scenario.input);
    let id = match scenario.deadline {
        Some(after) => start.deadline(after).await.unwrap().id(),
        None => start.await.unwrap().id(),
    };
    for (after, act) in &scenario.acts {
        if *after > 0 {
            pass(*after).await;
        }
        engine = perform(&stage, engine, id, scenario.saga, *act).await;
    }
    pass(4000).await;
    stage
}

pub async fn open(stage: &Stage) -> Engine<World> {
    let mut b = stage.builder();
    code::register(&mut b);
    b.build().await.unwrap()
}

async fn perform(
    stage: &Stage,
    engine: Engine<World>,
    id: SagaId,
    saga: &str,
    act: Act,
) -> Engine<World> {
    let ann = engine.operator("ann");
    match act {
        Act::Paid(n) => drop(engine.signal(saga, "k", "m1", &Paid(n)).await.unwrap()),
        Act::Shipped => drop(engine.signal(saga, "k", "m2", &Shipped(1)).await.unwrap()),
        Act::Cancel => ann.cancel(id, "called the customer").await.unwrap(),
        Act::Skip(op) => ann.skip(id, op, "refunded by hand").await.unwrap(),
        Act::Retry => ann.retry(id, "the bank is back").await.unwrap(),
        Act::Abort => ann.abort(id, "take it back").await.unwrap(),
        Act::Force => ann.force_end(id, "settled by post").await.unwrap(),
        Act::Settle(op, what) => {
            let verdict = match what {
                "done" => Settlement::done(&"by hand").unwrap(),
                "undone" => Settlement::Undone,
                _ => Settlement::NotApplied,
            };
            ann.settle(id, op, verdict, "asked the bank").await.unwrap();
        }
        Act::Drain => {
            engine.drain().await.unwrap();
            drop(engine);
            return open(stage).await;
        }
        Act::Die => {
            stage.die(engine).await;
            return open(stage).await;
        }
        Act::Misfit => {
            stage.die(engine).await;
            let mut b = stage.builder();
            code::misfit(&mut b);
            let other = b.build().await.unwrap();
            pass(1).await;
            stage.die(other).await;
            return open(stage).await;
        }
    }
    engine
}
