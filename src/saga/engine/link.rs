//! How others reach a saga that is in memory: mail has come, an operator wants something, the
//! engine drains.
use super::{
    action::Mode,
    core::Core,
    operate::{Command, Reply},
    timer,
};
use crate::saga::store::SagaId;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    task::Waker,
    time::Duration,
};
use tokio::sync::Notify;

/// Before a saga that has mail is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(in crate::saga) struct Link {
    nudged: AtomicBool,
    mail: AtomicBool,
    task: AtomicWaker,
    commands: Mutex<VecDeque<(Command, Reply)>>,
    waiting: Mutex<BTreeMap<u32, Held>>,
    fenced: AtomicBool,
    gone: Signpost,
    mode: Signpost,
}

/// A small number that hardly anybody waits for. A `watch` has eight lists for those who do, and goes
/// through them all each time.
#[derive(Default)]
struct Signpost {
    now: AtomicU8,
    changed: Notify,
}

impl Signpost {
    fn read(&self) -> u8 {
        self.now.load(SeqCst)
    }

    fn set(&self, to: u8) {
        if self.now.swap(to, SeqCst) != to {
            self.changed.notify_waiters();
        }
    }

    async fn until(&self, fits: impl Fn(u8) -> bool) {
        loop {
            // Before looking, so that a change in between is not missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if fits(self.read()) {
                return;
            }
            changed.await;
        }
    }
}

/// A step that a policy holds back, for the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::saga) struct Held {
    pub(in crate::saga) policy: String,
    /// UTC ms.
    pub(in crate::saga) until: i64,
}

impl Link {
    pub(super) fn nudge(&self) {
        self.nudged.store(true, SeqCst);
        self.task.wake();
    }

    pub(super) fn mail(&self) {
        self.mail.store(true, SeqCst);
        self.nudge();
    }

    pub(super) fn take_mail(&self) -> bool {
        self.mail.swap(false, SeqCst)
    }

    pub(super) fn command(&self, command: Command, reply: Reply) {
        self.commands.lock().push_back((command, reply));
        self.nudge();
    }

    pub(super) fn take_command(&self) -> Option<(Command, Reply)> {
        self.commands.lock().pop_front()
    }

    /// Whether it was nudged since it was asked last; `waker` is told of the next time.
    pub(super) fn poll_nudged(&self, waker: &Waker) -> bool {
        self.task.register(waker);
        self.nudged.swap(false, SeqCst)
    }

    /// The saga has been taken over by another task of this engine.
    pub(super) fn fence(&self) {
        self.fenced.store(true, SeqCst);
        self.nudge();
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced.load(SeqCst)
    }

    /// Nothing of its task runs any more.
    pub(super) fn leave(&self) {
        self.gone.set(1);
    }

    /// Until nothing of its task runs any more.
    pub(super) async fn left(&self) {
        self.gone.until(|gone| gone == 1).await;
    }

    /// How far its actions may go.
    pub(super) fn mode(&self) -> Mode {
        match self.mode.read() {
            0 => Mode::Go,
            1 => Mode::Ending,
            _ => Mode::Drain,
        }
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.set(mode as u8);
    }

    /// Until the mode is one of `cut`.
    pub(super) async fn is_cut(&self, cut: &[Mode]) {
        self.mode.until(|_| cut.contains(&self.mode())).await;
    }

    pub(super) fn hold(&self, op: u32, held: Option<Held>) {
        let mut waiting = self.waiting.lock();
        match held {
            Some(held) => waiting.insert(op, held),
            None => waiting.remove(&op),
        };
    }

    pub(in crate::saga) fn held(&self) -> BTreeMap<u32, Held> {
        self.waiting.lock().clone()
    }
}

impl Core {
    /// Mail has come for a saga.
    pub(super) async fn notify(self: &Arc<Self>, name: &str, key: &str) {
        if self.notified(name, key).await {
            return;
        }
        // Whoever has told it does not wait for that.
        let (core, name, key) = (self.clone(), name.to_owned(), key.to_owned());
        self.spawn_other(async move {
            while !core.is_draining() && core.is_closed().is_none() {
                timer::pause(AGAIN).await;
                if core.notified(&name, &key).await {
                    return;
                }
            }
        });
    }

    /// `false`: the store could not say which saga it is.
    async fn notified(&self, name: &str, key: &str) -> bool {
        let found = self.heard(self.store.find(name, key).await);
        if let Ok(Some(id)) = found {
            self.nudge_mail(id);
        }
        found.is_ok()
    }

    pub(super) fn nudge_mail(&self, id: SagaId) {
        match self.link_for_mail(id) {
            Some(link) => link.mail(),
            None => {
                self.wake.notify_one();
            }
        }
    }
}
