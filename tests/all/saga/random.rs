//! Programs, participants, people and deaths made up at random: whatever they are, the journal and
//! the effects hold what the [model](super::model) says, and the saga comes to what its program
//! means.
//!
//! `SEAWALL_LONG=1` runs fifty times as many.
mod meaning;
mod program;

use super::{
    gate::Stop,
    life::{Story, Told},
    world::{Habit, Way},
};
use program::{Node, Program, STEPS, program};
use proptest::prelude::*;

/// All that happens in one run.
#[derive(Clone, Debug)]
struct Run {
    program: Program,
    /// By step.
    ways: Vec<Vec<Way>>,
    undo_ways: Vec<Vec<Way>>,
    habits: Vec<Option<Habit>>,
    deadline: Option<u64>,
    signals: Vec<(u64, bool)>,
    cancels: Vec<u64>,
    retries: usize,
    stops: Vec<(usize, Stop)>,
}

fn way() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![
        Way::Transient,
        Way::Lost,
        Way::Lost,
        Way::Dropped,
        Way::Panic,
        Way::Never,
        Way::Slow,
        Way::Late,
        Way::Refuse,
    ])
}

fn run() -> impl Strategy<Value = Run> {
    let vec = prop::collection::vec::<BoxedStrategy<_>>;
    let few = |most: usize| vec(way().boxed(), 0..most);
    let habit = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Habit::Refuses)),
        2 => Just(Some(Habit::RefusesRepeats)),
    ];
    let n = STEPS.len();
    let stop = (
        0..60_usize,
        prop_oneof![4 => Just(Stop::Killed), 1 => Just(Stop::Drained)],
    );
    let time = || prop_oneof![0..150_u64, 0..30_000_u64];
    (
        program(),
        prop::collection::vec(few(3), n),
        prop::collection::vec(few(2), n),
        prop::collection::vec(habit, n),
        prop::option::weighted(0.15, time()),
        prop::collection::vec((time(), any::<bool>()), 0..4),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(time(), 1..3)],
        0..3_usize,
        prop::collection::vec(stop, 0..4),
    )
        .prop_map(
            |(program, ways, undo_ways, habits, deadline, signals, cancels, retries, stops)| Run {
                program,
                ways,
                undo_ways,
                habits,
                deadline,
                signals,
                cancels,
                retries,
                stops,
            },
        )
}

const UNDO: [&str; 7] = [
    "undo a", "undo b", "undo c", "undo d", "undo e", "undo f", "undo g",
];

impl Run {
    async fn tell(&self) -> Told {
        let program = self.program.clone();
        let mut story = Story::made("random", move |b, world| {
            program::register(b, world, &program)
        });
        for (place, step) in STEPS.into_iter().enumerate() {
            story = story.script(step, &self.ways[place]);
            story = story.script(UNDO[place], &self.undo_ways[place]);
            if let Some(habit) = self.habits[place] {
                story = story.habit(step, habit);
            }
        }
        if let Some(ms) = self.deadline {
            story = story.deadline(ms);
        }
        for (ms, paid) in &self.signals {
            story = story.signal(*ms, *paid);
        }
        for ms in &self.cancels {
            story = story.cancel(*ms);
        }
        story.retries = self.retries;
        story.tell_through(&self.stops).await
    }
}

fn cases(few: u32) -> u32 {
    match std::env::var_os("SEAWALL_LONG") {
        Some(_) => 50 * few,
        None => few,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_000), ..ProptestConfig::default() })]

    #[test]
    fn a_random_saga_comes_to_what_its_program_means(run in run()) {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        rt.block_on(async {
            let told = run.tell().await;
            meaning::check(&run.program, &told, meaning::is_doubtful(&run.program.nodes));
        });
    }
}

/// Stopped while both of a race's steps run, an engine writes down their outcomes before the code has
/// heard of either. The letter that stood there comes between them, in every life.
#[tokio::test(start_paused = true)]
async fn a_letter_that_stood_there_comes_between_two_outcomes_of_one_row() {
    let call = |step| Node::Call { step, catch: false };
    let (paid, ms) = (true, 20_000);
    let mut firsts = 0;
    for stop in 0..12 {
        let nodes = vec![Node::Race(
            vec![call(0), Node::Wait { paid, ms }],
            vec![call(1)],
        )];
        let run = Run {
            program: Program {
                nodes,
                again: false,
            },
            ways: vec![vec![Way::Slow]; STEPS.len()],
            undo_ways: vec![Vec::new(); STEPS.len()],
            habits: vec![None; STEPS.len()],
            deadline: None,
            signals: vec![(1, true)],
            cancels: Vec::new(),
            retries: 0,
            stops: vec![(stop, Stop::Drained)],
        };
        let told = run.tell().await;
        meaning::check(&run.program, &told, false);
        firsts += usize::from(told.out.is_some_and(|out| out.contains("1(")));
    }
    assert_ne!(firsts, 0);
}
