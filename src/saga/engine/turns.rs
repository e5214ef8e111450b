//! Polls the code of a saga, one outcome at a time.
use super::book::Park;
use crate::saga::{
    flow::{Ask, Delivered, Given, Shared, TurnWaker},
    journal::{Raw, StuckKind},
    store::BoxFuture,
};
use std::{
    any::Any,
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// What the code of a saga ends with.
pub(super) type Ended = Result<Raw, Given>;
/// The code of one saga, its types erased.
pub(crate) type Code = BoxFuture<'static, Ended>;

pub(super) struct Turns {
    code: Option<Code>,
    shared: Arc<Shared>,
    waker: Arc<TurnWaker>,
    as_waker: Waker,
    pub(super) end: Option<Ended>,
}

/// Polls in one turn; code that wakes itself more often than that spins.
const SPINS: u32 = 10_000;

impl Turns {
    pub(super) fn new(code: Code, shared: Arc<Shared>) -> Self {
        let waker = Arc::<TurnWaker>::default();
        let as_waker = waker.clone().into();
        Turns {
            code: Some(code),
            shared,
            waker,
            as_waker,
            end: None,
        }
    }

    /// Hands over at most one outcome, then polls the code until it waits. What it asks for comes in
    /// place of `empty`.
    pub(super) fn turn(
        &mut self,
        delivered: Option<(u32, Delivered)>,
        empty: &mut Vec<(u32, Ask)>,
    ) -> Result<(), Park> {
        self.waker.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll(delivered)));
        self.waker.leave();
        polled.unwrap_or_else(|panic| {
            let why = format!("the saga's code panicked: {}", text(&*panic));
            Err(Park::new(StuckKind::Saga, why))
        })?;
        if let Some(why) = self.shared.take_undecodable() {
            return Err(Park::new(StuckKind::Code, why));
        }
        self.shared.take_asked(empty);
        Ok(())
    }

    fn poll(&mut self, delivered: Option<(u32, Delivered)>) -> Result<(), Park> {
        if let Some((op, delivered)) = delivered
            && !self.shared.deliver(op, delivered)
        {
            let why = format!(
                "the saga's code does not fit its journal, which has an outcome of operation {op} \
                 that the code has not asked for"
            );
            return Err(Park::new(StuckKind::Code, why));
        }
        let Some(code) = &mut self.code else {
            return Ok(());
        };
        let mut cx = Context::from_waker(&self.as_waker);
        for _ in 0..SPINS {
            self.waker.take_woken();
            // The runtime's budget is one task's, and a replay may be long: a channel of the saga's
            // own would be told to wait, again and again.
            match pin!(tokio::task::unconstrained(code.as_mut())).poll(&mut cx) {
                Poll::Ready(end) => {
                    self.end = Some(end);
                    self.code = None;
                    return Ok(());
                }
                Poll::Pending if !self.waker.take_woken() => return Ok(()),
                Poll::Pending => {}
            }
        }
        let why =
            format!("the saga's code has been polled {SPINS} times without waiting: it spins");
        Err(Park::new(StuckKind::Saga, why))
    }

    /// The code is given up from outside.
    pub(super) fn give_up(&mut self, reason: String) {
        self.drop_code();
        self.end = Some(Err(Given::Up(reason)));
    }

    /// Whether it was woken by what is not its own; `waker` is told when that happens.
    pub(super) fn is_foreign(&mut self, waker: &Waker) -> bool {
        self.waker.is_foreign(waker)
    }

    /// Whether something else than the saga's own operations has its waker, or has used it: the saga
    /// has to be here for that to be noticed.
    pub(super) fn is_held(&self) -> bool {
        // Ours are the waker and the one that it is passed around as.
        let others = Arc::strong_count(&self.waker).saturating_sub(2);
        self.waker.was_foreign() || others > self.shared.wakers(&self.as_waker)
    }

    fn drop_code(&mut self) {
        self.shared.close();
        let code = self.code.take();
        // A destructor in the user's code may panic; the engine goes on.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(code)));
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.drop_code();
    }
}

/// The text of a panic.
pub(super) fn text(panic: &(dyn Any + Send)) -> &str {
    match panic.downcast_ref::<&str>() {
        Some(text) => text,
        None => panic
            .downcast_ref::<String>()
            .map_or("no text", String::as_str),
    }
}
