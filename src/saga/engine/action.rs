//! The attempts of one step: what follows from an outcome, and when to try again.
use super::{
    contained::Contained,
    core::Core,
    link::{Held, Link},
    turns::text,
};
use crate::event::SagaEventKind;
use crate::saga::{
    journal::{Raw, StuckKind},
    mutant::mutant,
    step::{ErasedStep, Failure, FailureKind, OnUnknown, StepContext, StepRetry, Verdict},
    store::SagaId,
};
use std::{
    borrow::Cow,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// How far the actions of a saga may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As their retries allow.
    Go,
    /// The saga is given up: settle, no further attempt.
    Ending,
    /// The engine stops: no wait, no further attempt; what waits is written down.
    Drain,
}

/// What became of an action.
#[derive(Debug)]
pub(super) enum Settled {
    Done {
        out: Raw,
        attempt: u32,
    },
    Failed {
        clean: bool,
        error: String,
        attempt: u32,
    },
    /// It has to wait for longer than a process should be trusted with.
    Wait(Wait),
    Park {
        kind: StuckKind,
        why: String,
    },
    /// A compensation succeeded.
    Undone,
    /// A child saga exists; its end comes by mail.
    ChildStarted,
}

#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) attempt: u32,
    pub(super) not_before: i64,
    pub(super) error: String,
    pub(super) tainted: bool,
    pub(super) refused_by: Option<String>,
}

/// One step that is being run, or taken back.
pub(super) struct Action {
    pub(super) core: Arc<Core>,
    pub(super) link: Arc<Link>,
    pub(super) step: Arc<dyn ErasedStep>,
    pub(super) name: &'static str,
    pub(super) cmd: Raw,
    pub(super) saga_id: SagaId,
    pub(super) saga_name: Arc<str>,
    pub(super) saga_key: Arc<str>,
    pub(super) step_key: Arc<str>,
    /// Why the saga was given up, where it was.
    pub(super) reason: Option<Arc<str>>,
    pub(super) op: u32,
    /// Attempts used.
    pub(super) used: u32,
    /// An attempt may have been applied.
    pub(super) tainted: bool,
    /// And that was looked into already.
    pub(super) doubted: bool,
}

/// Waits that are longer are written down.
pub(super) const LONG: Duration = Duration::from_secs(5);

/// A policy that does not say when to come back.
const UNSAID: Duration = Duration::from_secs(1);

impl Action {
    fn cx(&self, undo: bool, attempt: u32) -> StepContext {
        let (step_key, saga_key) = (self.step_key.clone(), self.saga_key.clone());
        StepContext::new(step_key, undo, saga_key, attempt, self.reason.clone())
    }

    fn misfit(&self, why: String) -> Settled {
        let why = format!("step `{}`: {why}", self.name);
        Settled::Park {
            kind: StuckKind::Code,
            why,
        }
    }

    /// How it is tried again; the code that says so is the user's.
    fn retry<'s>(&self, step: &'s dyn ErasedStep) -> Result<Cow<'s, StepRetry>, Settled> {
        let asked = catch_unwind(AssertUnwindSafe(|| step.retry(&self.cmd)));
        asked
            .unwrap_or_else(|panic| Err(format!("its retry panicked: {}", text(&*panic))))
            .map_err(|why| self.misfit(why))
    }

    /// Runs the step until its outcome is known, or nobody can find out.
    pub(super) async fn run(mut self) -> (u32, Settled) {
        (self.op, self.forward().await)
    }

    async fn forward(&mut self) -> Settled {
        let step = self.step.clone();
        let retry = match self.retry(&*step) {
            Ok(retry) => retry,
            Err(park) => return park,
        };
        let most = retry.attempts.max(1);
        let mut error = Cow::Borrowed("an attempt was cut off by the end of its process");
        // What a crash has left in doubt is asked for before it is tried again.
        // Where no attempt is left it is asked for again: a drain may have cut the question short.
        let mut in_doubt = self.tainted && (!self.doubted || self.used >= most);
        loop {
            let mut kind = FailureKind::Unknown;
            let mut held = None;
            if !in_doubt {
                if self.used >= most {
                    return self.give_up(error.into_owned());
                }
                self.used = self.used.saturating_add(1);
                let attempted = self.attempt(&retry).await;
                let ended = attempted.as_ref().map(|out| out.as_ref().err());
                if let Ok(failure) = ended {
                    self.tell(|op, step| SagaEventKind::AttemptEnded {
                        op,
                        step,
                        attempt: self.used,
                        failure: failure.map(Failure::kind),
                    });
                }
                let failure = match attempted {
                    Ok(Ok(out)) => {
                        return Settled::Done {
                            out,
                            attempt: self.used,
                        };
                    }
                    Ok(Err(failure)) => failure,
                    Err(why) => return self.misfit(why),
                };
                kind = failure.kind();
                held = failure.held().cloned();
                error = failure.into_error().into();
                self.tainted |= kind == FailureKind::Unknown;
            }
            in_doubt = false;
            match kind {
                FailureKind::NeverApplied => return self.failed(true, error.into_owned()),
                FailureKind::Refused
                    if !self.tainted || mutant("taint_forgotten_after_refusal") =>
                {
                    return self.failed(true, error.into_owned());
                }
                FailureKind::Held => self.used = self.used.saturating_sub(1),
                _ => {}
            }
            let in_question = matches!(kind, FailureKind::Unknown | FailureKind::Refused);
            if self.tainted && in_question {
                if self.step.verifies() {
                    match self.ask(&retry, &error).await {
                        Some(settled) => return settled,
                        // Not applied; or not so far, and then it may be the answer to what is
                        // still on its way.
                        None if kind == FailureKind::Refused => {
                            return self.failed(!self.tainted, error.into_owned());
                        }
                        None => {}
                    }
                } else if kind == FailureKind::Refused {
                    // It may be the answer to what an earlier attempt did.
                    return self.failed(false, error.into_owned());
                } else if retry.on_unknown == OnUnknown::Undo {
                    return self.failed(false, error.into_owned());
                } else if retry.on_unknown == OnUnknown::Park {
                    let why = format!(
                        "nobody knows whether step `{}` was applied: {error}",
                        self.name
                    );
                    return Settled::Park {
                        kind: StuckKind::Unknown,
                        why,
                    };
                }
            }
            if kind != FailureKind::Held && self.used >= most {
                return self.give_up(error.into_owned());
            }
            let (wait, refused_by) = match held {
                Some(held) => (held.retry_after.unwrap_or(UNSAID), Some(held.policy)),
                None => (retry.wait(self.used, self.seed()), None),
            };
            if let Some(settled) = self.pause(wait, &error, refused_by, false).await {
                return settled;
            }
        }
    }

    /// No attempt is left.
    fn give_up(&self, error: String) -> Settled {
        self.failed(!self.tainted, error)
    }

    fn failed(&self, clean: bool, error: String) -> Settled {
        let attempt = self.used;
        Settled::Failed {
            clean,
            error,
            attempt,
        }
    }

    /// One attempt. A panic, or the end of its time, leaves its effect unknown.
    async fn attempt(&self, retry: &StepRetry) -> Result<Result<Raw, Failure>, String> {
        let cx = self.cx(false, self.used);
        let out = guarded(retry.timeout, async {
            Ok(self.step.run(&self.cmd, cx)?.await)
        })
        .await?;
        Ok(out.and_then(|out| {
            let (bytes, most) = (out.get().len(), self.core.max_payload);
            if bytes <= most {
                return Ok(out);
            }
            // It has been applied; only its answer cannot be kept.
            Err(Failure::unknown(format!(
                "the output is {bytes} bytes, at most {most} are allowed (max_payload)"
            )))
        }))
    }

    /// Asks the participant until it says something. `None`: it is to be sent again; not applied, the
    /// taint is gone as well.
    async fn ask(&mut self, retry: &StepRetry, error: &str) -> Option<Settled> {
        let mut asked = 0u32;
        loop {
            asked = asked.saturating_add(1);
            let cx = self.cx(false, self.used);
            let asking = async { Ok(Ok(self.step.verify(&self.cmd, cx)?.await)) };
            match guarded(retry.timeout, asking).await {
                Err(why) => return Some(self.misfit(why)),
                Ok(Ok(Verdict::Applied(out))) => {
                    return Some(Settled::Done {
                        out,
                        attempt: self.used.max(1),
                    });
                }
                Ok(Ok(Verdict::NotApplied)) => {
                    self.tainted = false;
                    return None;
                }
                Ok(Ok(Verdict::NotSeen)) => return None,
                Ok(Ok(Verdict::CannotTell) | Err(_)) => {}
            }
            if asked >= retry.attempts.max(1) {
                let name = &self.name;
                let why = format!(
                    "nobody knows whether step `{name}` was applied, and its verify could not tell \
                     after {asked} tries: {error}"
                );
                return Some(Settled::Park {
                    kind: StuckKind::Unknown,
                    why,
                });
            }
            let wait = retry.wait(asked, self.seed()).min(LONG);
            self.wait_out(wait, &[Mode::Drain]).await;
            if self.link.mode() == Mode::Drain {
                return Some(self.write_down(Duration::ZERO, error, None));
            }
        }
    }

    /// Takes the step back, until that is done or no attempt is left.
    pub(super) async fn undo(mut self, was: Option<Raw>) -> (u32, Settled) {
        (self.op, self.backward(was).await)
    }

    async fn backward(&mut self, was: Option<Raw>) -> Settled {
        let step = self.step.clone();
        let retry = match self.retry(&*step) {
            Ok(retry) => retry,
            Err(park) => return park,
        };
        let most = retry.undo_attempts.max(1);
        loop {
            // A count that a restart has used up still gets the one attempt that tells why.
            self.used = self.used.saturating_add(1);
            let cx = self.cx(true, self.used);
            let was = was.as_deref();
            let undoing = async { Ok(self.step.undo(&self.cmd, cx, was)?.await) };
            let failure = match guarded(retry.timeout, undoing).await {
                Ok(Ok(())) => {
                    let attempt = self.used;
                    self.tell(|op, step| SagaEventKind::Undone { op, step, attempt });
                    return Settled::Undone;
                }
                Ok(Err(failure)) => failure,
                Err(why) => return self.misfit(why),
            };
            let held = failure.held().cloned();
            let error = failure.into_error();
            self.tell(|op, step| SagaEventKind::UndoFailed {
                op,
                step,
                attempt: self.used,
                error: &error,
            });
            let (wait, refused_by) = match held {
                Some(held) => {
                    self.used = self.used.saturating_sub(1);
                    (held.retry_after.unwrap_or(UNSAID), Some(held.policy))
                }
                None if self.used >= most => {
                    let (name, used) = (&self.name, self.used);
                    let why = format!("the compensation of `{name}` failed {used} times: {error}");
                    return Settled::Park {
                        kind: StuckKind::Backward,
                        why,
                    };
                }
                None => (retry.wait(self.used, self.seed()), None),
            };
            // It is made also where the saga is being given up.
            let undoing = true;
            if let Some(settled) = self.pause(wait, &error, refused_by, undoing).await {
                return settled;
            }
        }
    }

    /// Waits before the next attempt. `Some`: there will be none, for now or at all.
    async fn pause(
        &self,
        wait: Duration,
        error: &str,
        refused_by: Option<String>,
        undoing: bool,
    ) -> Option<Settled> {
        match self.link.mode() {
            Mode::Ending if !undoing => return Some(self.give_up(error.to_owned())),
            Mode::Drain => return Some(self.write_down(wait, error, refused_by)),
            Mode::Ending | Mode::Go => {}
        }
        if !wait.is_zero() {
            self.tell(|op, step| SagaEventKind::Waiting {
                op,
                step,
                policy: refused_by.as_deref(),
                until_ms: self.core.later(wait),
                undo: undoing,
            });
        }
        if wait >= LONG {
            return Some(self.write_down(wait, error, refused_by));
        }
        if let Some(policy) = &refused_by {
            let until = self.core.later(wait);
            self.link.hold(
                self.op,
                Some(Held {
                    policy: policy.clone(),
                    until,
                }),
            );
        }
        let cut: &[Mode] = if undoing {
            &[Mode::Drain]
        } else {
            &[Mode::Ending, Mode::Drain]
        };
        self.wait_out(wait, cut).await;
        self.link.hold(self.op, None);
        match self.link.mode() {
            Mode::Ending if !undoing => Some(self.give_up(error.to_owned())),
            Mode::Drain => Some(self.write_down(Duration::ZERO, error, refused_by)),
            Mode::Ending | Mode::Go => None,
        }
    }

    /// Sleeps, or until the mode is one of `cut`.
    async fn wait_out(&self, wait: Duration, cut: &[Mode]) {
        // Either the time is up or the mode says so; both are fine.
        let _ = tokio::time::timeout(wait, self.link.is_cut(cut)).await;
    }

    fn write_down(&self, wait: Duration, error: &str, refused_by: Option<String>) -> Settled {
        Settled::Wait(Wait {
            attempt: self.used,
            not_before: self.core.later(wait),
            error: error.to_owned(),
            tainted: self.tainted,
            refused_by,
        })
    }

    /// Jitter of its own for every step, the same after a restart.
    fn seed(&self) -> u64 {
        self.step_key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

/// Runs user code that may panic or take too long. The outer `Err` is a misfit.
async fn guarded<T>(
    timeout: Duration,
    code: impl Future<Output = Result<Result<T, Failure>, String>>,
) -> Result<Result<T, Failure>, String> {
    match tokio::time::timeout(timeout, Contained::new(code)).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Ok(Err(Failure::unknown(format!(
            "it panicked: {}",
            text(&*panic)
        )))),
        Err(_) => Ok(Err(Failure::unknown(format!(
            "no answer within {timeout:?}"
        )))),
    }
}
