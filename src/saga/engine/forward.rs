//! Forward: the code of a saga runs, by its journal first and then live.
mod ending;
mod giving_up;
mod outcomes;
mod replay;
mod standing;
mod starting;

use super::{
    action::{Action, LONG, Mode, Settled, Wait},
    backward,
    book::{Around, Book, Open, Park, What},
    drive::{Drive, Never, Stop},
    operate::{Command, Refused, Reply},
    start, timer,
    turns::{Turns, text},
};
use crate::saga::{
    flow::{Ask, Delivered, Flow, Given, Shared},
    journal::{Event, FORMAT, OpState, Raw, StuckKind},
    mutant::mutant,
    step::Steps,
    store::{BoxFuture, Next, Status},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

/// Outcomes in one row, and the bytes that come in with them before it is written: so it stays of a
/// size that stores take.
const MOST_OUTCOMES: usize = 16;
const HEAVY: usize = 1 << 20;

/// The signal that a child's end comes as. No user's can have the name.
pub(super) const CHILD_ENDED: &str = "\u{1}child ended";

/// A saga going forward.
struct Forward<'a> {
    d: &'a mut Drive,
    steps: Arc<Steps>,
    step_keys: String,
    book: Book,
    turns: Turns,
    /// Room for what the code asks for in its next turn.
    asked: Vec<(u32, Ask)>,
    running: FuturesUnordered<BoxFuture<'static, (u32, Settled)>>,
    /// Steps that wait before their next attempt.
    waiting: BTreeMap<u32, Wait>,
    /// Steps that the journal had when the saga was loaded: an attempt may be lost.
    loaded: BTreeSet<u32>,
    /// Operations whose action is in `running`.
    started: BTreeSet<u32>,
    /// Children that exist; their end comes by mail.
    born: BTreeSet<u32>,
    /// Those of them that were cancelled.
    called_back: BTreeSet<u32>,
    /// Those who want the saga given up, and hear of it when its pivot has settled.
    cancels: Vec<Reply>,
}

enum Woke {
    Nudged,
    Foreign,
    Due,
    Settled(u32, Settled),
}

pub(super) async fn run(d: &mut Drive, journal: Vec<Event>, stuck: bool) -> Result<Never, Stop> {
    let core = d.core.clone();
    let Some(registered) = core.registered(&d.name, d.version) else {
        let why = format!(
            "saga `{}` version {} is not registered with this engine",
            d.name, d.version
        );
        return Err(d.park(Park::new(StuckKind::Code, why)).await);
    };
    let (input, first_op) = match journal.first() {
        Some(Event::Started {
            v, input, first_op, ..
        }) if *v == FORMAT => (input, *first_op),
        _ => {
            let why = format!("the journal is not of format {FORMAT}");
            return Err(d.park(Park::new(StuckKind::Damage, why)).await);
        }
    };
    let patches = journal.iter().filter_map(|event| match event {
        Event::Patch { op, name } => Some((*op, name.clone())),
        _ => None,
    });
    let patches = patches.collect();
    let shared = Arc::new(Shared::new(d.key.clone(), core.origin, first_op, patches));
    let flow = Flow {
        shared: shared.clone(),
    };
    let made = catch_unwind(AssertUnwindSafe(|| (registered.make)(input, flow)));
    let code = match made {
        Ok(Ok(code)) => code,
        Ok(Err(why)) => {
            let why = format!("the input cannot be decoded {why}");
            return Err(d.park(Park::new(StuckKind::Code, why)).await);
        }
        Err(panic) => {
            let why = format!("the saga's code panicked: {}", text(&*panic));
            return Err(d.park(Park::new(StuckKind::Saga, why)).await);
        }
    };
    let mut forward = Forward {
        steps: registered.steps.clone(),
        step_keys: d.step_keys(),
        book: Book::default(),
        turns: Turns::new(code, shared.clone()),
        asked: Vec::new(),
        running: FuturesUnordered::new(),
        waiting: BTreeMap::new(),
        loaded: BTreeSet::new(),
        started: BTreeSet::new(),
        born: BTreeSet::new(),
        called_back: BTreeSet::new(),
        cancels: Vec::new(),
        d,
    };
    let before = forward.d.batch.len();
    if let Err(park) = forward.replay(journal, &shared) {
        // What code that does not fit has asked for on its way is not its journal's.
        forward.d.batch.truncate(before);
        drop(forward.turns);
        return Err(forward.d.park(park).await);
    }
    if stuck {
        forward.d.resumed_by_engine();
    }
    let stop = forward.live(&shared).await;
    let Forward {
        d,
        steps,
        turns,
        running,
        cancels,
        ..
    } = forward;
    // The code and its actions are gone before anything is undone.
    drop((turns, running));
    match stop {
        Err(Halt::Stop(stop)) => Err(stop),
        Err(Halt::Park(park)) => {
            let refused = cancels
                .into_iter()
                .map(|reply| (Err(Refused::Stuck), reply));
            d.replies.extend(refused);
            Err(d.park(park).await)
        }
        Ok(Course::Back) => Box::pin(backward::run_with(d, steps)).await,
        Ok(Course::Again) => Err(Stop::Left),
    }
}

/// Where a saga that has ended its run goes.
enum Course {
    Back,
    Again,
}

enum Halt {
    Stop(Stop),
    Park(Park),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Halt::Stop(stop)
    }
}

impl From<Park> for Halt {
    fn from(park: Park) -> Self {
        Halt::Park(park)
    }
}

impl Forward<'_> {
    async fn live(&mut self, shared: &Shared) -> Result<Course, Halt> {
        // Before the first look, mail may have come.
        if self.d.new.is_none() {
            self.d.link.mail();
        }
        loop {
            self.d.check_closed()?;
            self.commands().await?;
            self.answer_cancels();
            self.consider_giving_up();
            if self.turns.end.is_some() {
                self.settle_what_waits()?;
                self.may_continue()?;
                if self.book.open.is_empty() || mutant("undo_before_the_join") {
                    return self.finish(shared).await;
                }
            }
            if self.d.core.is_draining() {
                return Err(self.drain().await.into());
            }
            if self.d.link.take_mail() {
                self.read_mail().await?;
                continue;
            }
            let mut starting = self.sort_out();
            if self.is_given_up() && self.settle_what_rests(&starting)? {
                continue;
            }
            let due = self.next_due();
            if self.may_leave(&starting, due) {
                self.note_what_stands();
                self.d
                    .flush(Next::Leave {
                        status: Status::Waiting,
                        due,
                    })
                    .await?;
                return Err(Stop::Left.into());
            }
            if mutant("action_before_its_intent") {
                starting.drain(..).try_for_each(|op| self.start(op))?;
                now_or_never(self.running.next());
            }
            self.d.flush(Next::Keep).await?;
            if self.d.core.is_draining() {
                return Err(self.drain().await.into());
            }
            for op in starting {
                self.start(op)?;
            }
            if self.is_given_up() {
                self.call_children_back();
            }
            if self.book.is_idle() && self.turns.end.is_none() {
                return Err(foreign("awaits").into());
            }
            if self.running.is_empty() {
                self.d.stand_by();
                if !self.born.is_empty() {
                    self.d.place.lend();
                }
            }
            let woke = self.wait(due).await;
            self.d.place.take_back();
            match woke {
                // The top of the loop looks for what has come.
                Woke::Nudged => {}
                Woke::Foreign => {
                    return Err(foreign("was woken by").into());
                }
                Woke::Due => self.come_due()?,
                Woke::Settled(op, settled) => {
                    self.settled(op, settled)?;
                    // What else is there goes into the same row, within reason.
                    for _ in 1..MOST_OUTCOMES {
                        if self.d.weight >= HEAVY {
                            break;
                        }
                        let Some(Some((op, settled))) = now_or_never(self.running.next()) else {
                            break;
                        };
                        self.settled(op, settled)?;
                    }
                }
            }
        }
    }

    async fn wait(&mut self, due: Option<i64>) -> Woke {
        let mut timer = due.map(|due| timer::until(due, self.d.core.now()));
        let (turns, running, link) = (&mut self.turns, &mut self.running, &self.d.link);
        poll_fn(|cx| {
            if turns.is_foreign(cx.waker()) {
                return Poll::Ready(Woke::Foreign);
            }
            if link.poll_nudged(cx.waker()) {
                return Poll::Ready(Woke::Nudged);
            }
            if let Poll::Ready(Some((op, settled))) = running.poll_next_unpin(cx) {
                return Poll::Ready(Woke::Settled(op, settled));
            }
            match &mut timer {
                Some(timer) => timer.as_mut().poll(cx).map(|()| Woke::Due),
                None => Poll::Pending,
            }
        })
        .await
    }
}

fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::FutureExt::now_or_never(future)
}

/// It would go on differently when it is replayed.
fn foreign(verb: &str) -> Park {
    let why = format!(
        "the saga {verb} something that is not one of its own operations (a timer, a channel, a \
         socket): it belongs into a step"
    );
    Park::new(StuckKind::Saga, why)
}
