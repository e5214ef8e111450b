use super::{Signal, StepFailed};
use crate::saga::{journal::Raw, mutant::mutant, step::undecodable};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, sync::Arc, task::Waker, time::Duration};

/// What the code of a saga asks for.
#[derive(Debug)]
pub(crate) enum Ask {
    Step {
        name: &'static str,
        origin: Option<u64>,
        cmd: Raw,
        pivot: bool,
    },
    Child {
        name: &'static str,
        origin: u64,
        saga: &'static str,
        version: u32,
        cmd: Raw,
    },
    Timer {
        after: Duration,
    },
    Wait {
        name: &'static str,
        within: Option<Duration>,
    },
    Unwait,
    /// A signal that was handed over and not looked at: for the next wait.
    PutBack(Box<Letter>),
    /// A sleep that was let go: nothing of it is written.
    Forget,
    Undo {
        target: u32,
    },
    Patch {
        name: String,
    },
    /// A step that another builder has registered.
    Foreign(&'static str),
    /// Something that cannot be asked for.
    Unusable(String),
}

/// A signal that was sent to the saga.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Its place among all that the saga was sent.
    pub(crate) arrival: u64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) body: Raw,
}

/// What an operation came to. It has payloads in it, which only tests may print.
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Delivered {
    Done(Raw),
    Failed { clean: bool, error: String },
    Fired,
    Signal(Box<Letter>),
    TimedOut,
    Undone,
}

impl Delivered {
    /// Its kind, for what may be read by anybody.
    fn kind(&self) -> &'static str {
        match self {
            Delivered::Done(_) => "an output",
            Delivered::Failed { .. } => "a failure",
            Delivered::Fired => "the time of a timer",
            Delivered::Signal(_) => "a signal",
            Delivered::TimedOut => "the end of a wait",
            Delivered::Undone => "an undo",
        }
    }
}

enum Slot {
    Waiting { waker: Waker, kind: Kind },
    Ready(Delivered),
}

/// What has to be told when it is let go.
#[derive(Clone, Copy)]
enum Kind {
    Timer,
    Wait,
    Other,
}

/// Between the code of a saga and its engine. Only one of them runs at a time; the lock is for the
/// types.
pub(crate) struct Shared {
    pub(crate) key: Arc<str>,
    /// Names the builder that steps must come from.
    pub(crate) origin: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u32,
    asked: Vec<(u32, Ask)>,
    slots: BTreeMap<u32, Slot>,
    /// Those that the journal has.
    patches: BTreeMap<u32, String>,
    replaying: bool,
    /// An output or signal that the code's types cannot read.
    undecodable: Option<String>,
    /// The code is being dropped as a whole: what its operations do then is not its will.
    closed: bool,
}

impl Shared {
    pub(crate) fn new(
        key: Arc<str>,
        origin: u64,
        first: u32,
        patches: BTreeMap<u32, String>,
    ) -> Self {
        let inner = Inner {
            next: first,
            patches,
            ..Inner::default()
        };
        Shared {
            key,
            origin,
            inner: Mutex::new(inner),
        }
    }

    /// The next number goes to `ask`, which waits with `waker`.
    pub(super) fn ask(&self, ask: Ask, waker: Waker) -> u32 {
        let mut inner = self.inner.lock();
        let op = inner.number();
        let kind = match ask {
            Ask::Timer { .. } => Kind::Timer,
            Ask::Wait { .. } => Kind::Wait,
            _ => Kind::Other,
        };
        inner.slots.insert(op, Slot::Waiting { waker, kind });
        inner.asked.push((op, ask));
        op
    }

    /// What `op` came to, if it has; otherwise it waits with `waker`.
    pub(super) fn take(&self, op: u32, waker: &Waker) -> Option<Delivered> {
        let mut inner = self.inner.lock();
        match inner.slots.remove(&op)? {
            Slot::Ready(delivered) => Some(delivered),
            Slot::Waiting { kind, .. } => {
                let waker = waker.clone();
                inner.slots.insert(op, Slot::Waiting { waker, kind });
                None
            }
        }
    }

    /// The code lets `op` go.
    pub(super) fn let_go(&self, op: u32) {
        let mut inner = self.inner.lock();
        if inner.closed || mutant("no_unwait") {
            return;
        }
        let ask = match inner.slots.remove(&op) {
            Some(Slot::Waiting {
                kind: Kind::Wait, ..
            }) => Ask::Unwait,
            Some(Slot::Waiting {
                kind: Kind::Timer, ..
            }) => Ask::Forget,
            Some(Slot::Ready(Delivered::Signal(letter))) => Ask::PutBack(letter),
            _ => return,
        };
        inner.asked.push((op, ask));
    }

    pub(super) fn patched(&self, name: &str) -> bool {
        let mut inner = self.inner.lock();
        // One that was met stands in the journal at this very place. What was met later, in another
        // round of a loop perhaps, says nothing of how it went here.
        let met = inner
            .patches
            .get(&inner.next)
            .is_some_and(|met| met == name);
        if inner.replaying && !met {
            return false;
        }
        let op = inner.number();
        inner.asked.push((
            op,
            Ask::Patch {
                name: name.to_owned(),
            },
        ));
        true
    }

    pub(super) fn undecodable(&self, why: String) {
        self.inner.lock().undecodable.get_or_insert(why);
    }

    /// Hands an outcome to the code. `false`: it never asked for this.
    pub(crate) fn deliver(&self, op: u32, delivered: Delivered) -> bool {
        let mut inner = self.inner.lock();
        if op >= inner.next {
            return false;
        }
        // An operation that was let go is answered to nobody.
        if let Some(slot) = inner.slots.get_mut(&op)
            && let Slot::Waiting { waker, .. } = std::mem::replace(slot, Slot::Ready(delivered))
        {
            drop(inner);
            waker.wake();
        }
        true
    }

    /// What was asked for since the last time, for `empty`.
    pub(crate) fn take_asked(&self, empty: &mut Vec<(u32, Ask)>) {
        std::mem::swap(&mut self.inner.lock().asked, empty);
    }

    pub(crate) fn take_undecodable(&self) -> Option<String> {
        self.inner.lock().undecodable.take()
    }

    pub(crate) fn set_replaying(&self, replaying: bool) {
        self.inner.lock().replaying = replaying;
    }

    /// How many operations are to wake `waker`.
    pub(crate) fn wakers(&self, waker: &Waker) -> usize {
        let inner = self.inner.lock();
        let slots = inner.slots.values();
        slots
            .filter(|slot| matches!(slot, Slot::Waiting { waker: w, .. } if w.will_wake(waker)))
            .count()
    }

    /// Before the code is dropped as a whole.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
    }

    pub(crate) fn next_op(&self) -> u32 {
        self.inner.lock().next
    }
}

impl Inner {
    fn number(&mut self) -> u32 {
        let op = self.next;
        self.next = self.next.saturating_add(1);
        op
    }
}

/// How an operation reads what it came to. `Err`: the types do not fit.
pub(super) fn step<T: DeserializeOwned>(
    name: &'static str,
    delivered: Delivered,
) -> Result<Result<T, StepFailed>, String> {
    match delivered {
        Delivered::Done(out) => serde_json::from_str(out.get()).map(Ok).map_err(|e| {
            let why = undecodable::<T>(&e);
            format!("the output of `{name}` cannot be decoded {why}")
        }),
        Delivered::Failed { clean, error } => {
            let step = name.to_owned();
            Ok(Err(StepFailed { step, clean, error }))
        }
        other => Err(format!("`{name}` came to {}", other.kind())),
    }
}

pub(super) fn signal<M: Signal>(name: &'static str, delivered: Delivered) -> Result<M, String> {
    match delivered {
        Delivered::Signal(letter) => serde_json::from_str(letter.body.get())
            .map_err(|e| format!("signal `{name}` cannot be decoded {}", undecodable::<M>(&e))),
        other => Err(format!("the wait for `{name}` came to {}", other.kind())),
    }
}

pub(super) fn maybe_signal<M: Signal>(
    name: &'static str,
    delivered: Delivered,
) -> Result<Option<M>, String> {
    match delivered {
        Delivered::TimedOut => Ok(None),
        other => signal(name, other).map(Some),
    }
}
