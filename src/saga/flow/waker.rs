use crate::sync::{AtomicBool, AtomicU64, Mutex};
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Wake, Waker},
};

/// Tells a wake-up that comes of the saga's own operations from one that comes from elsewhere: a
/// timer, a channel, a socket. A replay would not repeat the latter.
///
/// Its own come while the engine delivers an outcome and polls, in that very thread.
#[derive(Default)]
pub(crate) struct TurnWaker {
    /// The thread that is in a turn; 0: none is.
    turning: AtomicU64,
    woken: AtomicBool,
    foreign: AtomicBool,
    /// The engine's task, to be told of what is foreign.
    task: Mutex<Option<Waker>>,
}

impl TurnWaker {
    pub(crate) fn enter(&self) {
        self.turning.store(this_thread(), SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.turning.store(0, SeqCst);
    }

    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }

    /// Whether something foreign has woken it.
    pub(crate) fn was_foreign(&self) -> bool {
        self.foreign.load(SeqCst)
    }

    /// Whether something foreign has woken it; `waker` is told when that happens.
    pub(crate) fn is_foreign(&self, waker: &Waker) -> bool {
        *self.task.lock() = Some(waker.clone());
        self.was_foreign()
    }
}

impl Wake for TurnWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.turning.load(SeqCst) == this_thread() {
            self.woken.store(true, SeqCst);
        } else {
            self.foreign.store(true, SeqCst);
            let task = self.task.lock().take();
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

/// Never 0, and no other living thread's.
fn this_thread() -> u64 {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.try_with(|mark| std::ptr::from_ref(mark).addr() as u64)
        .unwrap_or(u64::MAX)
}

#[cfg(all(test, seawall_loom))]
mod models {
    use super::*;
    use loom::thread;

    #[derive(Default)]
    struct Told(AtomicBool);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.swap(true, SeqCst);
        }
    }

    #[test]
    fn what_wakes_it_from_elsewhere_is_seen_or_told() {
        loom::model(|| {
            let (turns, told) = (Arc::<TurnWaker>::default(), Arc::<Told>::default());
            let elsewhere = {
                let waker = Waker::from(turns.clone());
                thread::spawn(move || waker.wake())
            };
            let seen = turns.is_foreign(&Waker::from(told.clone()));
            elsewhere.join().unwrap();
            assert!(seen || told.0.load(SeqCst));
            assert!(turns.was_foreign() && !turns.take_woken());
        });
    }
}
