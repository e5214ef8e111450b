use super::StartError;
use crate::saga::{
    engine::{
        action::{Settled, Wait},
        core::Core,
        drive::Drive,
        forward::CHILD_ENDED,
        handle::End,
    },
    journal::{Event, Parent, Raw, StuckKind},
    store::{Letter, StoreError},
};
use std::{future::Future, sync::Arc, time::Duration};

/// Before the birth of a child is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the id of a letter with a child's end begins with; then comes the child's key.
const END_OF: &str = "child/";

/// Whether a letter tells the end of the child with this key. A saga that had the parent's name and key
/// before may have left children of its own.
pub(in crate::saga::engine) fn is_end_of(letter: &str, child: &str) -> bool {
    letter.strip_prefix(END_OF) == Some(child)
}

/// The birth of a child: it may exist already. Its end comes by mail.
///
/// `given_up`: its parent is by now, so that one which does not exist is not born.
pub(in crate::saga::engine) fn child(
    d: &Drive,
    op: u32,
    (saga, version, key): (String, u32, String),
    input: Raw,
    given_up: bool,
) -> impl Future<Output = Settled> + Send + 'static {
    let core = d.core.clone();
    let (parent_saga, parent_key) = (d.name.to_string(), d.key.to_string());
    async move {
        let parent = Parent {
            saga: parent_saga,
            key: parent_key,
            op,
        };
        if given_up {
            match core.store.find(&saga, &key).await {
                Ok(Some(_)) => {}
                Ok(None) => return unborn(),
                Err(StoreError::Closed(_)) => return Settled::ChildStarted,
                Err(error) => return again(&core, &error),
            }
        }
        let started = match core.sagas.get_key_value(saga.as_str()) {
            Some((name, _)) => {
                let parent = Some(parent.clone());
                core.start(name, version, key.clone(), input, None, parent)
                    .await
                    .map(drop)
            }
            None => Err(unregistered(&saga, version)),
        };
        // Its code is needed to begin it, and not to wait for it.
        let started = match started {
            Err(StartError::Unregistered { .. }) => match core.store.find(&saga, &key).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(unregistered(&saga, version)),
                Err(error) => Err(StartError::Store(error)),
            },
            started => started,
        };
        match started {
            Ok(()) => match tell_old_end(&core, &saga, &key, parent).await {
                Ok(()) | Err(StoreError::Closed(_)) => Settled::ChildStarted,
                Err(error) => again(&core, &error),
            },
            // The engine stops; the next one tries again.
            Err(
                StartError::Store(StoreError::Closed(_)) | StartError::Draining | StartError::Ended,
            ) => Settled::ChildStarted,
            // It may be there already.
            Err(StartError::Store(error)) if !matches!(error, StoreError::TooLarge { .. }) => {
                again(&core, &error)
            }
            Err(error) => {
                let why = format!("child saga `{saga}` cannot be started: {error}");
                Settled::Park {
                    kind: StuckKind::Code,
                    why,
                }
            }
        }
    }
}

/// A child that has ended in an earlier life of its parent, whose letter may have been read then, is
/// told of again.
async fn tell_old_end(
    core: &Arc<Core>,
    saga: &str,
    key: &str,
    parent: Parent,
) -> Result<(), StoreError> {
    let Some(end) = core.end_of(saga, key).await?.filter(End::is_final) else {
        return Ok(());
    };
    let (parent_saga, parent_key) = (parent.saga.clone(), parent.key.clone());
    // One that is there already is the same.
    let letter = child_ended(parent, key, &end, core.now());
    core.store.inbox_put(letter).await?;
    core.notify(&parent_saga, &parent_key).await;
    Ok(())
}

/// The store could not be read or written just now. The child may be there.
fn again(core: &Core, error: &StoreError) -> Settled {
    Settled::Wait(Wait {
        attempt: 0,
        not_before: core.later(AGAIN),
        error: error.to_string(),
        tainted: true,
        refused_by: None,
    })
}

fn unborn() -> Settled {
    Settled::Failed {
        clean: true,
        error: "the saga was given up before it began".to_owned(),
        attempt: 0,
    }
}

fn unregistered(saga: &str, version: u32) -> StartError {
    let name = saga.to_owned();
    StartError::Unregistered { name, version }
}

/// What tells a parent of its child's end: the very event that its journal will have. It carries the
/// output, so that it does not matter how long the child is kept.
///
/// Its id is made of the child's own key, which is random: no user's signal has it.
pub(in crate::saga::engine) fn child_ended(
    parent: Parent,
    child: &str,
    end: &End,
    at: i64,
) -> Letter {
    let Parent { saga, key, op } = parent;
    let (attempt, failed) = (1, |clean, error| Event::Failed {
        op,
        clean,
        error,
        attempt: 1,
    });
    let event = match end {
        End::Finished(out) => Event::Done {
            op,
            out: out.clone(),
            attempt,
        },
        End::Compensated { reason } => failed(true, reason.clone()),
        other => failed(false, other.to_string()),
    };
    Letter {
        saga,
        key,
        id: format!("{END_OF}{child}"),
        name: CHILD_ENDED.to_owned(),
        // An event can always be written: its payloads are JSON already.
        body: serde_json::to_string(&event).unwrap_or_default(),
        at,
    }
}
