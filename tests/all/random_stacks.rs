//! Random stacks of third-party policies around random operations, dropped at random polls: every
//! ticket has exactly one exit, in reverse order, whatever happens, and nothing spins or sleeps on.
use proptest::prelude::*;
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Role, Ticket};
use seawall::{Error, Event, Name, Pipeline, Reason};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

const MS: Duration = Duration::from_millis(1);

/// Above any deadline, which comes back in a ticket's place.
const FIRST: u64 = 1 << 60;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Inside,
    Waits,
    /// Let in when its time has come.
    Delayed,
}

/// What is held, and every promise that was broken.
#[derive(Default)]
struct Book {
    next: u64,
    open: BTreeMap<u64, (usize, Kind)>,
    /// By level: frames that hold a deadline, and the last of their deadlines.
    within: [usize; 12],
    deadline: [Option<Instant>; 12],
    hedge: Option<usize>,
    live: usize,
    started: u32,
    op_panicked: bool,
    calls: u32,
    wrong: Vec<String>,
}

impl Book {
    fn issue(&mut self, level: usize, kind: Kind) -> Ticket {
        self.next += 1;
        self.open.insert(FIRST + self.next, (level, kind));
        self.check_depths();
        Ticket(FIRST + self.next)
    }

    fn held(&self, level: usize) -> usize {
        self.within[level] + self.open.values().filter(|t| t.0 == level).count()
    }

    /// Who is held further in has everyone further out held too.
    fn check_depths(&mut self) {
        for inner in 1..12 {
            let (outer, inside) = (self.held(inner - 1), self.held(inner));
            let lanes = self.hedge.is_some_and(|h| inner > h);
            let from_hedge = self.hedge == Some(inner - 1);
            if (inside > outer && !from_hedge) || (!lanes && inside > 1) {
                self.wrong
                    .push(format!("{inside} at {inner}, {outer} around"));
            }
        }
    }

    fn replace(&mut self, old: Ticket, level: usize) {
        let was = self.open.remove(&old.0);
        if was.map(|t| t.0) != Some(level) {
            self.wrong.push(format!("resumed {old:?}, held as {was:?}"));
        }
    }

    fn exit(&mut self, level: usize, Ticket(ticket): Ticket, outcome: &Outcome<'_>, timely: bool) {
        let kind = if (FIRST..u64::MAX).contains(&ticket) {
            match self.open.remove(&ticket) {
                Some((at, kind)) if at == level => kind,
                other => {
                    self.wrong
                        .push(format!("exit of {ticket} held as {other:?}"));
                    return;
                }
            }
        } else {
            let late = timely && self.deadline[level].is_some_and(|at| at < Instant::now());
            if self.within[level] == 0 || late {
                self.wrong
                    .push(format!("level {level}: a deadline's exit, late {late}"));
            }
            self.within[level] = self.within[level].saturating_sub(1);
            Kind::Inside
        };
        let unused = matches!(outcome, Outcome::Unused);
        let fits = match kind {
            Kind::Inside => !unused,
            Kind::Waits => unused,
            Kind::Delayed => true,
        };
        let false_panic = matches!(outcome, Outcome::Panicked) && !self.op_panicked;
        let false_timeout = matches!(outcome, Outcome::TimedOut) && self.started == 0;
        if !fits || false_panic || false_timeout {
            self.wrong
                .push(format!("level {level}: {kind:?} ended {outcome:?}"));
        }
        let inside = (level + 1..12).map(|l| self.held(l)).sum::<usize>();
        let fenced = self.hedge.is_some_and(|h| level > h);
        if !fenced && (inside > 0 || self.live > 0) {
            let live = self.live;
            self.wrong.push(format!(
                "level {level} before {inside} inside, {live} attempts"
            ));
        }
        self.check_depths();
    }
}

/// Does what its script says, a byte a time; when that is over it lets through.
struct Scripted {
    level: usize,
    role: Role,
    script: Mutex<std::vec::IntoIter<u8>>,
    panics: bool,
    /// Time goes on only when the call sleeps, so that deadlines are exact.
    timely: bool,
    book: Arc<Mutex<Book>>,
}

impl Scripted {
    fn draw(&self) -> (u8, Duration) {
        let byte = self.script.lock().unwrap().next().unwrap_or(0);
        let mut book = self.book.lock().unwrap();
        book.calls += 1;
        assert!(book.calls < 100_000, "it spins");
        drop(book);
        if self.panics && byte == 255 {
            panic!("scripted");
        }
        (byte % 16, MS * u32::from(byte / 16))
    }

    fn issue(&self, kind: Kind) -> Ticket {
        self.book.lock().unwrap().issue(self.level, kind)
    }

    fn within(&self, time: Duration) -> Enter {
        let mut book = self.book.lock().unwrap();
        let at = Instant::now() + time;
        book.deadline[self.level] = book.deadline[self.level].max(Some(at));
        Enter::Within(time)
    }

    /// `entered`: not resumed from a deadline.
    fn answer(&self, call: &Call<'_>, choice: u8, time: Duration) -> Enter {
        let until = call.now() + time;
        match choice {
            1..=2 => {
                self.book.lock().unwrap().within[self.level] += 1;
                self.within(time * 3)
            }
            3..=4 => Enter::Delay {
                ticket: self.issue(Kind::Delayed),
                until,
            },
            5..=6 => Enter::Wait {
                ticket: self.issue(Kind::Waits),
                until: Some(until),
            },
            7 => {
                call.waker().wake_by_ref();
                Enter::Wait {
                    ticket: self.issue(Kind::Waits),
                    until: None,
                }
            }
            8 => Enter::Reject(Reason::Other("scripted")),
            _ => Enter::Proceed(self.issue(Kind::Inside)),
        }
    }
}

impl Policy for Scripted {
    fn name(&self) -> Name {
        "scripted".into()
    }

    fn enter(&self, call: &Call<'_>) -> Enter {
        let (choice, time) = self.draw();
        if self.role == Role::Hedge && choice != 8 {
            return Enter::Hedge {
                ticket: self.issue(Kind::Inside),
                after: (choice != 1).then_some(time),
            };
        }
        self.answer(call, choice, time)
    }

    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        let (choice, time) = self.draw();
        if ticket == Ticket(0) {
            return match choice {
                1..=4 => self.within(time),
                _ => Enter::Reject(Reason::Expired),
            };
        }
        if self.role == Role::Hedge {
            if choice == 0 {
                return Enter::Reject(Reason::Expired); // no more; the old ticket stays
            }
            self.book.lock().unwrap().replace(ticket, self.level);
            let ticket = self.issue(Kind::Inside);
            return match choice {
                1..=2 => Enter::Proceed(ticket),
                _ => Enter::Hedge {
                    ticket,
                    after: Some(time),
                },
            };
        }
        if choice != 8 {
            self.book.lock().unwrap().replace(ticket, self.level);
        }
        self.answer(call, choice, time)
    }

    fn exit(&self, ticket: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let mut book = self.book.lock().unwrap();
        book.exit(self.level, ticket, outcome, self.timely);
        drop(book);
        let (choice, after) = self.draw();
        if choice % 3 != 1 || matches!(outcome, Outcome::Unused) {
            return Exit::Pass;
        }
        Exit::Again {
            ticket: self.issue(Kind::Delayed),
            after: if choice == 1 { Duration::ZERO } else { after },
        }
    }

    fn role(&self) -> Role {
        self.role
    }
}

struct Live(Arc<Mutex<Book>>);
impl Drop for Live {
    fn drop(&mut self) {
        self.0.lock().unwrap().live -= 1;
    }
}

async fn operate(byte: u8, panics: bool, book: Arc<Mutex<Book>>) -> Result<(), u8> {
    {
        let mut book = book.lock().unwrap();
        (book.live, book.started) = (book.live + 1, book.started + 1);
    }
    let _live = Live(book.clone());
    if byte & 3 != 0 {
        sleep(MS * u32::from(byte / 4)).await;
    }
    match byte / 4 % 8 {
        0 if panics => {
            book.lock().unwrap().op_panicked = true;
            panic!("operation")
        }
        1..=3 => Ok(()),
        _ => Err(byte),
    }
}

#[derive(Clone, Debug)]
struct Case {
    scripts: Vec<Vec<u8>>,
    hedge: Option<usize>,
    operations: Vec<u8>,
    panics: bool,
    /// Drop it after these steps; none: run it to its end.
    steps: Option<Vec<u8>>,
}

fn cases() -> impl Strategy<Value = Case> {
    let scripts = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..=12);
    let hedge = prop::option::of(any::<prop::sample::Index>());
    let operations = prop::collection::vec(any::<u8>(), 1..12);
    let steps = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (scripts, hedge, operations, any::<bool>(), steps).prop_map(
        |(scripts, hedge, operations, panics, steps)| Case {
            hedge: hedge
                .filter(|_| !scripts.is_empty())
                .map(|i| i.index(scripts.len())),
            scripts,
            operations,
            panics,
            steps,
        },
    )
}

fn stack(case: &Case, book: &Arc<Mutex<Book>>) -> Pipeline {
    book.lock().unwrap().hedge = case.hedge;
    let mut builder = Pipeline::builder("random");
    for (level, script) in case.scripts.iter().enumerate() {
        builder = builder.with(Scripted {
            level,
            role: if case.hedge == Some(level) {
                Role::Hedge
            } else {
                Role::Repeat
            },
            script: Mutex::new(script.clone().into_iter()),
            panics: case.panics,
            timely: case.steps.is_none(),
            book: book.clone(),
        });
    }
    let (hears, last) = (book.clone(), Mutex::new((0, 0)));
    let observer = move |_: Name, event: &Event<'_>| {
        let mut last = last.lock().unwrap();
        let legal = match event {
            Event::AttemptEnded { attempt, .. } => {
                std::mem::replace(&mut last.0, *attempt) < *attempt
            }
            Event::Waiting { .. } => {
                last.1 += 1;
                true
            }
            Event::Waited { .. } => {
                last.1 -= 1;
                last.1 >= 0
            }
            _ => true,
        };
        if !legal {
            hears.lock().unwrap().wrong.push(format!("{event:?}"));
        }
    };
    builder.observer(observer).build().unwrap()
}

/// Whether it came to its end by itself.
async fn drive(
    case: &Case,
    p: &Pipeline,
    book: &Arc<Mutex<Book>>,
) -> Option<Result<(), Error<u8>>> {
    let mut operations = case.operations.iter().copied();
    let run = p.run(|| operate(operations.next().unwrap_or(4), case.panics, book.clone()));
    let Some(steps) = &case.steps else {
        // Nothing in it takes an hour: who does not end by then was not woken.
        return Some(
            tokio::time::timeout(Duration::from_secs(3600), run)
                .await
                .expect("it sleeps on"),
        );
    };
    let mut run = Box::pin(tokio_test::task::spawn(run));
    for step in steps {
        match catch_unwind(AssertUnwindSafe(|| run.poll())) {
            Ok(Poll::Ready(answer)) => return Some(answer),
            Ok(Poll::Pending) => advance(MS * u32::from(step / 8)).await,
            Err(_) => break,
        }
    }
    None
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let book = Arc::new(Mutex::new(Book::default()));
    let p = stack(case, &book);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let driven = AssertUnwindSafe(|| runtime.block_on(drive(case, &p, &book)));
    let end = catch_unwind(driven);
    let book = book.lock().unwrap();
    prop_assert!(book.wrong.is_empty(), "{:?}", book.wrong);
    prop_assert!(book.open.is_empty(), "never settled: {:?}", book.open);
    prop_assert_eq!(
        book.within.iter().sum::<usize>(),
        0,
        "deadlines never settled"
    );
    prop_assert_eq!(book.live, 0);
    prop_assert!(book.calls < 100_000, "it spins");
    match end {
        Ok(Some(Err(Error::Rejected(r)))) => prop_assert_eq!(r.started, book.started),
        Ok(_) => {}
        Err(_) => prop_assert!(case.panics, "it panicked"),
    }
    Ok(())
}

/// The panics are scripted: no backtraces of them.
fn quietly<T>(f: impl FnOnce() -> T + Send + 'static) -> T
where
    T: Send + 'static,
{
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some("quiet") {
                loud(info);
            }
        }));
    });
    let thread = std::thread::Builder::new().name("quiet".into());
    thread.spawn(f).unwrap().join().unwrap()
}

#[test]
fn every_ticket_of_every_stack_is_settled_once_in_reverse_order() {
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = quietly(move || {
        let mut runner = proptest::test_runner::TestRunner::new(config);
        runner
            .run(&cases(), |case| check(&case))
            .map_err(|e| e.to_string())
    });
    if let Err(why) = result {
        panic!("{why}");
    }
}
